// Comfort only: everything works without it. No text is made here: what is shown comes escaped from the gateway.
"use strict";

for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;

// What was pressed says that it was: asking a peer may take a while, and a second press would only ask again.
document.addEventListener("submit", (event) => {
  const button = event.submitter ?? event.target.querySelector("button");
  window.setTimeout(() => { button.disabled = true; });
  button.setAttribute("aria-busy", "true");
  window.addEventListener("pageshow", () => { button.disabled = false; button.removeAttribute("aria-busy"); }, { once: true });
});

// -- choosing documents

const rows = [...document.querySelectorAll("#documents tr")];
const boxes = rows.map((row) => row.querySelector("input[type=checkbox]"));
const every = document.getElementById("every");
const filter = document.getElementById("filter");
const clear = document.getElementById("clear");

const shown = () => boxes.filter((_, at) => !rows[at].hidden);
const some = () => document.querySelector("input[name=what][value=some]");

function tell() {
  const count = boxes.filter((box) => box.checked).length;
  const ticked = document.getElementById("ticked");
  if (ticked) ticked.textContent = String(count);
  if (every) {
    const seen = shown();
    const on = seen.filter((box) => box.checked).length;
    every.checked = seen.length > 0 && on === seen.length;
    every.indeterminate = on > 0 && on < seen.length;
  }
}

function tellClear() {
  if (!clear) return;
  document.getElementById("clearing").hidden = !clear.checked;
  document.getElementById("clear-subset").hidden = !(some() && some().checked);
  document.querySelector("input[name=typed]").required = clear.checked;
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    if (box.checked) some().checked = true;
    tell();
    tellClear();
  });
}
every?.addEventListener("change", () => {
  for (const box of shown()) box.checked = every.checked;
  if (every.checked) some().checked = true;
  tell();
  tellClear();
});
filter?.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.querySelector("th").textContent.toLowerCase().includes(wanted);
  tell();
});
filter?.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
clear?.addEventListener("change", tellClear);
for (const radio of document.querySelectorAll("input[name=what]")) radio.addEventListener("change", tellClear);
tell();
tellClear();

// -- following a sync: every second, until it has ended; then the whole page, with each document's outcome

const live = document.getElementById("live");
const going = () => document.getElementById("progress")?.dataset.going === "yes";

async function follow() {
  try {
    const answer = await fetch(live.dataset.from, { headers: { Accept: "text/plain" }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 404) return window.location.reload();
    if (answer.ok) {
      live.innerHTML = await answer.text();
      document.getElementById("told").textContent = document.querySelector("#progress .status").textContent;
    }
  } catch {
    // the gateway starts again, or the line is down: the next second asks again
  }
  if (going()) return window.setTimeout(follow, 1000);
  return window.location.reload();
}

if (live && going()) window.setTimeout(follow, 1000);
