// Runs of any household by filters, page by page; and one of them, live.

import { get } from "./api.js";
import { announce, badge, field, h, id, select, table, when } from "./dom.js";
import { attempts, runFacts, timeline } from "./story.js";
import { empty, load, pages, refreshing } from "./view.js";

const STATUSES = ["Running", "Completed", "NeedsReview", "Pending", "Failed", "Cancelled"];
const AGES = [["", "any time"], ["1", "last hour"], ["24", "last day"], ["168", "last week"]];

export async function show(view, { query, go, signal }) {
  const household = h("input", { name: "householdId", value: query.get("householdId") ?? "", size: "34", spellcheck: "false", autocomplete: "off" });
  const form = h("form", { class: "filters", on: { submit: (event) => { event.preventDefault(); go("/runs", new FormData(form)); },
    change: (event) => { if (event.target !== household) go("/runs", new FormData(form)); } } },
  field("Status", select("status", [["", "any"], ...STATUSES.map((one) => [one, one])], query.get("status") ?? "")),
  field("Lane", select("lane", [["", "any"], ["ingestion", "ingestion"], ["conversation", "conversation"], ["sweep", "sweep"]], query.get("lane") ?? "")),
  field("Since", select("hours", AGES, query.get("hours") ?? "")),
  field("Household id", household),
  h("button", { type: "submit", class: "end" }, "Show"));
  const place = h("div", {});
  view.append(form, place);
  const hours = Number(query.get("hours")) || 0;
  const sinceUtc = hours ? `${new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 19)}Z` : "";
  const asked = { status: query.get("status"), lane: query.get("lane"), householdId: query.get("householdId"), sinceUtc };
  await pages(place, async (cursor) => {
    const page = await get("/ops/runs", { ...asked, limit: "20", cursor }, signal);
    return { rows: [...page.runs, ...page.unreadableRunIds.map((runId) => ({ runId, unreadable: true }))], next: page.nextCursor };
  }, rows, signal).first();
}

const attempt = (run) => run.nextAttemptAtUtc
  ? h("span", {}, `${attempts(run)}, next at `, when(run.nextAttemptAtUtc))
  : attempts(run);

function rows(found) {
  if (found.length === 0) return empty("No runs on this page", "Loosen the filters, or go to older ones where there are some: a page looks at 200 commands.");
  const of = (make) => (run) => run.unreadable ? "" : make(run);
  return table("Runs, newest first", [
    ["Began", of((run) => when(run.createdAtUtc))],
    ["Status", (run) => run.unreadable ? badge("unreadable", "bad") : badge(run.status)],
    ["What", of((run) => h("span", {}, run.commandType.replaceAll("_", " "), run.failureCode ? [h("br"), h("code", {}, run.failureCode)] : ""))],
    ["Attempt", of(attempt)],
    ["Household", of((run) => id(run.householdId, null, 8))],
    ["Run", (run) => id(run.runId, `#/runs/${run.runId}`)],
  ], found);
}

/** One run, looked at again until it is final. */
export async function one(view, { parts, signal }) {
  const runId = parts[0];
  const place = h("div", {});
  let last = "", status = "";
  const read = () => load(place, async () => {
    const [detail, trace] = await Promise.all([
      get(`/ops/runs/${encodeURIComponent(runId)}`, {}, signal), get(`/ops/trace/${encodeURIComponent(runId)}`, {}, signal)]);
    if (status && status !== detail.run.status) announce(`The run is now ${detail.run.status}`);
    status = detail.run.status;
    if (detail.run.isFinal) live.stop();
    const seen = JSON.stringify([detail, trace]);
    if (seen === last) return [...place.childNodes]; // nothing moves where nothing changed
    last = seen;
    return [h("section", { class: "card", "aria-label": "Facts" }, runFacts(detail.run)),
      detail.signals.length ? h("p", {}, "Signals: ", detail.signals.map((one) => [badge(one.severity), ` ${one.signalCode}${one.isResolved ? " (resolved) " : " "}`])) : "",
      h("section", { "aria-labelledby": "timeline" }, h("h2", { id: "timeline" }, "Timeline"), timeline(trace))];
  }, signal);
  const live = refreshing(read, 2, signal);
  view.append(h("div", { class: "bar" }, h("a", { href: "#/runs" }, "All runs"), live.control), place);
  await read();
}
