// Times in the visitor's own zone, the choice of light or dark, and parts that stay true while
// somebody looks. Every page works without it.
"use strict";

const CLOCK = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});

function localTimes(within) {
  for (const each of within.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    if (isNaN(at)) continue;
    if (each.classList.contains("ago")) each.title = CLOCK.format(at);
    else if (each.dateTime.includes("T")) each.textContent = CLOCK.format(at);
  }
}

function chooseScheme() {
  const root = document.documentElement;
  const button = document.querySelector("[data-scheme]:not(html)");
  const kept = localStorage.getItem("scheme");
  if (kept) root.dataset.scheme = kept;
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.scheme
      ? root.dataset.scheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.scheme = dark ? "light" : "dark";
    localStorage.setItem("scheme", root.dataset.scheme);
  });
}

// What changed is changed in place: the focus, an open <details>, what is marked and how far the
// page was scrolled stay as they are.
function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
  } else {
    for (const {name} of [...old.attributes]) {
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const {name, value} of fresh.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    childrenBecome(old, fresh);
  }
}

function childrenBecome(old, fresh) {
  const keyed = new Map();
  for (const each of old.children) if (each.dataset.key) keyed.set(each.dataset.key, each);
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = child.dataset?.key ? keyed.get(child.dataset.key) : null;
    if (known && known !== place) old.insertBefore(known, place);
    else if (!place || (child.dataset?.key && !known)) { old.insertBefore(child, place); continue; }
    const mine = known ?? place;
    place = mine.nextSibling;
    become(mine, child);
  }
  while (place) { const next = place.nextSibling; place.remove(); place = next; }
}

// One element says, also to a screen reader, when a page is not kept up to date and since when.
function standingNote(section) {
  const note = document.createElement("p");
  note.className = "live-note";
  note.setAttribute("role", "status");
  section.before(note);
  return (text) => { if (note.textContent !== text) note.textContent = text; };
}

function keepTrue(section) {
  const say = standingNote(section);
  let source = null, again = 0, heard = new Date();
  const close = () => { clearTimeout(again); source?.close(); source = null; };
  const open = () => {
    close();
    source = new EventSource(section.dataset.live);
    source.addEventListener("open", () => { say(""); });
    source.addEventListener("part", (event) => {
      const fresh = document.createElement("template");
      fresh.innerHTML = event.data;
      localTimes(fresh.content);
      childrenBecome(section, fresh.content);
      heard = new Date();
    });
    source.addEventListener("error", () => {
      say(`Not connected: this is how it was at ${CLOCK.format(heard)}.`);
      // A browser tries again by itself unless it was answered no.
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, 30000);
    });
  };
  const look = () => { if (document.hidden) close(); else if (!source) open(); };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", look);
  look();
}

chooseScheme();
localTimes(document);
for (const each of document.querySelectorAll("[data-live]")) keepTrue(each);
