// The review queue: what asks for a person, with its evidence, and its resolution.

import { REPLAY, get, has, post } from "./api.js";
import { announce, badge, button, dialog, facts, field, h, id, once, select, when } from "./dom.js";
import { timeline } from "./story.js";
import { empty, failure, load, pages } from "./view.js";

export async function show(view, { query, go, signal }) {
  const form = h("form", { class: "filters", on: { submit: (event) => event.preventDefault(), change: () => go("/review", new FormData(form)) } },
    field("State", select("state", [["", "open"], ["all", "all"]], query.get("state") ?? "")),
    field("Lane", select("lane", [["", "any"], ["ingestion", "ingestion"], ["conversation", "conversation"], ["sweep", "sweep"]], query.get("lane") ?? "")),
    field("Severity", select("severity", [["", "any"], ["Critical", "Critical"], ["Error", "Error"], ["Warning", "Warning"], ["Info", "Info"]], query.get("severity") ?? "")));
  const place = h("div", { class: "list" });
  view.append(form, has(REPLAY) ? "" : h("p", { class: "quiet" }, `To resolve a signal, the role ${REPLAY} is needed.`), place);
  const list = pages(place, async (cursor) => {
    const page = await get("/ops/signals", { ...Object.fromEntries(query), limit: "20", cursor }, signal);
    return { rows: page.signals, next: page.nextCursor };
  }, (rows) => rows.length ? h("div", { class: "list" }, rows.map((signalRow) => card(signalRow, signal)))
    : empty("Nothing asks for a person", "Open signals appear here: commands that failed, findings, things that wait for a word."), signal);
  await list.first();
}

function card(found, signal) {
  const place = h("div", {});
  const node = h("article", { class: "card", "aria-labelledby": `signal-${found.signalId}` });
  const draw = (it) => {
    const about = it.commandId ?? it.messageId ?? it.runId;
    const evidence = h("details", {}, h("summary", {}, "Evidence"), place);
    evidence.addEventListener("toggle", () => {
      if (evidence.open && about && !place.hasChildNodes())
        load(place, async () => timeline(await get(`/ops/trace/${encodeURIComponent(about)}`, {}, signal)), signal);
    });
    node.replaceChildren(
      h("header", {}, h("h2", { id: `signal-${it.signalId}`, tabindex: "-1" }, it.signalCode.replaceAll("_", " ")),
        badge(it.severity), it.isResolved ? badge("resolved", "good") : "", h("span", { class: "end" }, when(it.raisedAtUtc))),
      it.summary ? h("p", {}, it.summary) : h("p", { class: "quiet" }, "What it is about is the household's own; its members see it."),
      facts([
        ["Lane", it.queue],
        ["Household", it.householdId ? id(it.householdId) : null],
        ["Run", it.runId ? id(it.runId, `#/runs/${it.runId}`) : null],
        ["Command", it.commandId ? id(it.commandId, `#/trace/${encodeURIComponent(it.commandId)}`) : null],
        ["Message", it.messageId && it.messageId !== it.commandId ? id(it.messageId, `#/trace/${encodeURIComponent(it.messageId)}`) : null],
        ["Attempt", it.attempt],
        ["Resolved", it.isResolved ? h("span", {}, when(it.resolvedAtUtc), ` by ${it.resolvedBy ?? "–"}: ${it.resolutionNote ?? ""}`) : null],
      ]),
      about ? evidence : "",
      !it.isResolved && has(REPLAY) ? h("p", { class: "actions" }, button("Resolve…", () => resolve(it, draw, node),
        { "aria-label": `Resolve ${it.signalCode.replaceAll("_", " ")}` })) : "");
  };
  draw(found);
  return node;
}

async function resolve(it, draw, node) {
  const done = await dialog("Resolve this signal", (close) => {
    const note = h("textarea", { rows: "3", maxlength: "500", required: true });
    const problem = h("div", {});
    const form = h("form", { on: { submit: once(async () => {
      try {
        close((await post(`/ops/signals/${it.signalId}/resolve`, { note: note.value.trim() })).signal);
      } catch (error) { problem.replaceChildren(failure(error, null)); }
    }) } },
    h("p", {}, h("b", {}, it.signalCode.replaceAll("_", " ")), `: ${it.summary ?? "a household's own matter"}`),
    field("Note: why nobody is needed any more", note, "Kept with your name. The run and its message are not touched."), problem,
    h("p", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Resolve"), button("Cancel", () => close(undefined))));
    return form;
  });
  if (done === undefined) return;
  draw(done);
  announce("The signal is resolved.");
  node.querySelector("h2").focus();
}
