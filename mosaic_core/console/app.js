// The console: sign-in, sections, and where one is (`#/runs/ID`).

import { READ, get, has, state } from "./api.js";
import { SignInError, begin, complete } from "./auth.js";
import { announce, button, h } from "./dom.js";
import * as approvals from "./approvals.js";
import * as lanes from "./lanes.js";
import * as letters from "./letters.js";
import * as review from "./review.js";
import * as runs from "./runs.js";
import * as trace from "./trace.js";
import { failure } from "./view.js";

/** Where: name in the menu (none: not in it), the role that it needs (none: a membership), and what shows it. */
const SECTIONS = [
  { path: "lanes", name: "Lanes", role: READ, show: lanes.show },
  { path: "review", name: "Review", role: READ, show: review.show },
  { path: "approvals", name: "Approvals", role: null, show: approvals.show },
  { path: "runs", name: "Runs", role: READ, show: runs.show, one: runs.one, oneName: "Run" },
  { path: "dead-letters", name: "Dead letters", role: READ, show: letters.show },
  { path: "replays", name: "", role: READ, show: letters.show, one: letters.one, oneName: "Replay" },
  { path: "trace", name: "Trace", role: READ, show: trace.show },
];

const nav = document.getElementById("nav");
const title = document.getElementById("title");
const view = document.getElementById("view");
const who = document.getElementById("who");
let config = null, current = new AbortController(), isMember = false, waiting = 0;

const visible = (section) => section.role === null ? isMember : has(section.role);

function go(path, form = null) {
  const query = form === null ? "" : new URLSearchParams([...form].filter(([, value]) => value !== "")).toString();
  location.hash = `#${path}${query ? `?${query}` : ""}`;
}

function menu(path) {
  nav.hidden = state.session === null;
  nav.replaceChildren(...SECTIONS.filter((one) => one.name && visible(one)).map((one) =>
    h("a", { href: `#/${one.path}`, "aria-current": one.path === path ? "page" : null }, one.name,
      one.path === "approvals" && waiting > 0 ? h("span", { class: "count", "aria-label": `${waiting} pending` }, String(waiting)) : "")));
  who.replaceChildren(...(state.session === null ? [] : [
    h("span", { class: "name", title: state.session.roles.join(", ") || "no roles" }, state.session.name),
    button("Sign out", () => signedOut("You are signed out.", ""), { class: "plain" })]));
}

function heading(text, focus) {
  title.textContent = text;
  document.title = `${text} · Mosaic console`;
  if (focus) title.focus();
}

async function route(focus = true) {
  if (state.session === null) return;
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...raw] = path.split("/");
  const first = SECTIONS.find(visible)?.path;
  if (!name && first) { location.replace(`#/${first}`); return; }
  current.abort();
  current = new AbortController();
  view.replaceChildren();
  const section = SECTIONS.find((one) => one.path === name);
  menu(name);
  if (!section) {
    heading(first ? "No such page" : "Nothing to show", focus);
    view.append(h("p", {}, first ? "The address names no section of the console."
      : `Your token has ${state.session.roles.join(", ") || "no role"} and you are no member of a household. Operators need ${READ}.`));
    return;
  }
  let parts = [];
  try { parts = raw.filter(Boolean).map(decodeURIComponent); } catch { /* not an address of ours */ }
  const single = section.one && parts.length > 0;
  heading(single ? section.oneName : section.name || "Dead letters", focus);
  if (section.role !== null && !has(section.role)) {
    view.append(h("div", { class: "notice bad", role: "alert" }, h("strong", {}, "Not allowed"),
      h("p", {}, `This needs the role ${section.role}; your token has ${state.session.roles.join(", ") || "no role"}. Whoever manages the app registration can assign it.`)));
    return;
  }
  const counted = (number) => { waiting = number; menu(name); };
  try {
    await (single ? section.one : section.show)(view, { parts, query: new URLSearchParams(query ?? ""), go, signal: current.signal, counted });
  } catch (error) {
    if (error.name !== "AbortError") view.append(failure(error, null));
  }
}

function signedOut(text, problem) {
  current.abort();
  state.session = null;
  state.membership = "";
  menu("");
  const returnTo = location.hash.startsWith("#/") ? location.hash : "";
  const alert = h("div", {}, problem ? h("div", { class: "notice bad", role: "alert" }, h("p", {}, problem)) : "");
  const start = button("Sign in", async () => {
    try { await begin(config, returnTo); }
    catch (error) { alert.replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("p", {}, error.message))); }
  }, { class: "primary large", id: "sign-in" });
  heading("Sign in", false);
  view.replaceChildren(h("div", { class: "gate" }, h("p", {}, text), alert, h("p", { class: "actions" }, start),
    h("p", { class: "quiet" }, "Your sign-in is kept in this tab's memory alone: a reload asks again.")));
  start.focus();
}

async function signedIn(session) {
  state.session = session;
  try {
    waiting = (await get("/approvals", { status: "pending" })).approvals.length;
    isMember = true;
  } catch (error) {
    isMember = error.code === "member_context_ambiguous";
  }
  announce(`Signed in as ${session.name}`);
}

async function start() {
  state.onUnauthorized = () => { if (state.session !== null) signedOut("Your sign-in is over.", ""); };
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
  addEventListener("hashchange", () => route());
  try {
    const answer = await fetch("/api/console/config.json", { credentials: "omit" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    config = await answer.json();
  } catch (error) {
    view.replaceChildren(failure(error, () => location.reload()));
    return;
  }
  if (!config.configured) {
    heading("Sign-in is not configured", false);
    view.replaceChildren(h("p", {}, "Set Console__ClientId (and Console__Scope) to the console's app registration; docs/console.md says how."));
    return;
  }
  let back = null;
  try {
    back = await complete(config);
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    signedOut("Operate the runtime worker: lanes, reviews, approvals, runs, dead letters.", error.message);
    return;
  }
  if (back === null) {
    signedOut("Operate the runtime worker: lanes, reviews, approvals, runs, dead letters.", "");
    return;
  }
  await signedIn(back.session);
  if (back.returnTo?.startsWith("#/")) history.replaceState(null, "", back.returnTo);
  await route();
}

start();
