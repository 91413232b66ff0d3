// What the sections share: loading, errors, pages, refreshing.

import { ApiError, explain } from "./api.js";
import { announce, button, h } from "./dom.js";

/** An error as a person should meet it, with a way on. `retry` may be null. */
export function failure(error, retry) {
  const [title, remedy, trace] = explain(error);
  const after = error instanceof ApiError ? error.after : 0;
  const again = retry === null || (error instanceof ApiError && [401, 403, 404].includes(error.status))
    ? null : button("Retry", retry, { class: "primary" });
  const box = h("div", { class: "notice bad", role: "alert" }, h("strong", {}, title), h("p", {}, remedy),
    trace ? h("p", { class: "quiet" }, trace) : null, again);
  if (again !== null && after > 0) {
    let left = Math.min(after, 300);
    again.disabled = true;
    const tick = () => {
      again.textContent = left > 0 ? `Retry in ${left} s` : "Retry";
      again.disabled = left > 0;
      if (left > 0 && (box.isConnected || left === after)) setTimeout(tick, 1000);
      left -= 1;
    };
    tick();
  }
  return box;
}

/** Fills `place` with what `make` resolves to; meanwhile what was there stays, dimmed. */
export async function load(place, make, signal) {
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) place.append(h("p", { class: "quiet" }, "Loading…"));
  try {
    const made = await make();
    if (signal.aborted) return;
    place.replaceChildren(...[made].flat());
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(failure(error, () => load(place, make, signal)));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** "Nothing here", with what that means. */
export const empty = (title, text) => h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, text));

/**
 * A list by cursor: `read(cursor)` gives {rows, next}, `show(rows)` the nodes. Only one page is ever in the document.
 */
export function pages(place, read, show, signal) {
  const before = [""];
  const turn = (to) => load(place, async () => {
    const page = await read(before[to]);
    before.length = to + 1;
    if (page.next) before.push(page.next);
    if (to > 0 || place.dataset.turned) announce(`Page ${to + 1}, ${page.rows.length} shown`);
    place.dataset.turned = "1";
    return [show(page.rows), to > 0 || page.next ? h("nav", { class: "pages", "aria-label": "Pages" },
      to > 0 ? button("Newer", () => go(to - 1)) : null, h("span", {}, `Page ${to + 1}`),
      page.next ? button("Older", () => go(to + 1)) : null) : ""];
  }, signal);
  const go = async (to) => {
    await turn(to);
    place.querySelector("nav.pages button")?.focus();
    place.scrollIntoView({ block: "start" });
  };
  return { first: () => turn(0) };
}

/** Calls `work` every `seconds` while the page is looked at and not paused; gives the control that pauses it. */
export function refreshing(work, seconds, signal) {
  let paused = false, timer = 0;
  const next = () => { clearTimeout(timer); if (!paused && !signal.aborted) timer = setTimeout(tick, seconds * 1000); };
  const tick = async () => {
    if (document.visibilityState === "visible") await work();
    next();
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  const control = h("button", { type: "button", class: "plain", "aria-pressed": "false", on: { click: () => {
    paused = !paused;
    control.setAttribute("aria-pressed", String(paused));
    if (!paused) tick();
  } } }, "Pause refreshing");
  next();
  return { control, stop: () => { paused = true; clearTimeout(timer); control.hidden = true; } };
}
