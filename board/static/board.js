// Times in the visitor's own zone, and the choice of light or dark. Every page works without it.
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

chooseScheme();
localTimes(document);
