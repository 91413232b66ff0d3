// Elements, times and messages. Whatever comes from elsewhere becomes text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; `class`; `on` {event: handler}; false and null leave an attribute out. */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** For screen readers, when something happened that they do not see. */
export function announce(text) {
  const said = document.getElementById("said");
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

/** A time as it is here, with the UTC one as its title. */
export function when(utc, none = "–") {
  const at = utc ? new Date(utc) : null;
  if (at === null || Number.isNaN(at.getTime())) return h("span", {}, utc ? String(utc) : none);
  const now = new Date();
  const today = at.toDateString() === now.toDateString();
  const day = today ? "" : `${(at.getFullYear() === now.getFullYear() ? DAY : FULL).format(at)}, `;
  return h("time", { datetime: utc, title: `${utc} (UTC)` }, `${day}${CLOCK.format(at)}`);
}

/** "3 min": how long from one time to the other, to one unit. */
export function span(fromUtc, toUtc = new Date().toISOString()) {
  const ms = Math.abs(new Date(toUtc) - new Date(fromUtc));
  if (Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const TONES = {
  pending: "warn", approved: "good", rejected: "bad", expired: "quiet",
  Completed: "good", Succeeded: "good", Approved: "good", completed: "good", ready: "good", up: "good", Applied: "good",
  NeedsReview: "warn", Warning: "warn", Pending: "warn", degraded: "warn", aborted: "warn", Reserved: "info", Expired: "quiet",
  Error: "bad", Critical: "bad", Failed: "bad", Rejected: "bad", down: "bad", not_ready: "bad",
  Running: "info", running: "info", Info: "quiet",
};

/** A state as a word with a colour; the word alone says it. */
export function badge(word, tone = TONES[word] ?? "quiet") {
  return h("span", { class: `badge ${tone}` }, word.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " "));
}

/** An id; `characters` of it are seen, all of it is there to be read out, searched and copied. */
export function id(value, href = null, characters = 12) {
  if (!value) return h("span", {}, "–");
  const code = h("code", { class: `id${characters > 12 ? "" : ` id-${characters}`}`, title: value }, value);
  return href === null ? code : h("a", { href }, code);
}

/** Pairs as a description list; pairs without a value are left out. */
export function facts(pairs, className = "facts") {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: className }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A table that becomes cards on a phone. `columns`: [title, row => content]. */
export function table(caption, columns, rows) {
  return h("table", { class: "table", role: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      columns.map(([title]) => h("th", { scope: "col", role: "columnheader" }, title)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" },
      columns.map(([title, content]) => h("td", { role: "cell", "data-label": title }, content(row)))))));
}

/** A button that cannot be pressed twice while its handler is at work. */
export function button(text, handler, props = {}) {
  const node = h("button", { type: "button", ...props, on: { click: async () => {
    if (node.getAttribute("aria-disabled") === "true") return;
    node.setAttribute("aria-disabled", "true");
    try { await handler(node); } finally { node.removeAttribute("aria-disabled"); }
  } } }, text);
  return node;
}

/** A form's handler that is not begun again while it is at work: haste sends nothing twice. */
export function once(handler) {
  let busy = false;
  return async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    try { await handler(); } finally { busy = false; }
  };
}

let fields = 0;

/** A labelled control; `help` below it. */
export function field(label, control, help = "") {
  const name = `field-${(fields += 1)}`;
  control.id = name;
  if (help) control.setAttribute("aria-describedby", `${name}-help`);
  return h("div", { class: "field" }, h("label", { for: name }, label), control,
    help ? h("p", { class: "help", id: `${name}-help` }, help) : null);
}

export function select(name, options, chosen = "") {
  return h("select", { name }, options.map(([value, text]) =>
    h("option", { value, selected: value === chosen }, text)));
}

/**
 * A modal dialog, which the browser keeps the focus in; resolves when it is closed. `build(close)` gives its content.
 * The focus goes back to where it was, if that is still there.
 */
export function dialog(title, build) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    let answer;
    const close = (value) => { answer = value; node.close(); };
    const heading = h("h2", { id: "dialog-title" }, title);
    const node = h("dialog", { "aria-labelledby": "dialog-title", on: { close: () => {
      node.remove();
      if (before?.isConnected) before.focus();
      resolve(answer);
    } } }, heading);
    node.append(...[build(close)].flat());
    document.body.append(node);
    node.showModal();
    (node.querySelector("textarea, input, select") ?? node.querySelector("button"))?.focus();
  });
}
