// Bars that move while something is under way, and fields that depend on another one. Every page
// works without it.
"use strict";

const EVERY_MS = 700;

function followBars() {
  const bars = document.getElementById("bars");
  if (!bars) return;
  const said = document.getElementById("said");
  const away = document.getElementById("away");
  async function look() {
    try {
      const answer = await fetch("/progress/part", {cache: "no-store"});
      if (!answer.ok) throw new Error(String(answer.status));
      if (answer.headers.get("Page-State") !== bars.dataset.state) {
        location.reload();
        return;
      }
      bars.innerHTML = await answer.text();
      const text = bars.firstElementChild.dataset.said;
      if (said.textContent !== text) said.textContent = text;
      away.hidden = true;
    } catch {
      away.hidden = false;
    }
    setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS);
}

// What another collection offers is hidden; the first that this one offers is taken instead.
function followCollection() {
  const collection = document.getElementById("collection");
  if (!collection) return;
  function offer() {
    for (const field of document.querySelectorAll("select[data-of-collection]")) {
      for (const each of field.options) {
        each.hidden = each.disabled = !JSON.parse(each.dataset.collections).includes(collection.value);
      }
      if (field.selectedOptions[0]?.disabled ?? true) {
        field.value = [...field.options].find((each) => !each.disabled)?.value ?? "";
      }
    }
  }
  collection.addEventListener("change", offer);
  offer();
}

// A picture that cannot be made small leaves its place empty.
function markMissingPictures() {
  for (const image of document.querySelectorAll(".tiles img")) {
    const missing = () => image.classList.add("missing");
    if (image.complete && !image.naturalWidth) missing();
    image.addEventListener("error", missing);
  }
}

followBars();
followCollection();
markMissingPictures();
