// One command's story: facts, what is missing, and the timeline.

import { badge, facts, h, id, span, when } from "./dom.js";

const TONE = (entry) => /failed|rejected|dead letter|NeedsReview|Error|Critical/i.test(entry.what) ? "bad"
  : /Completed|Succeeded|resolved/.test(entry.what) ? "good" : "";

/** How many attempts of the most count; where that is not known of a number above it, that number as what it is. */
export function attempts({ countedAttempts, attempt, maxAttempts }) {
  if (countedAttempts !== null || attempt <= maxAttempts) return `${Math.min(countedAttempts ?? attempt, maxAttempts)} of ${maxAttempts}`;
  return `number ${attempt}, of which at most ${maxAttempts} count`;
}

/** The facts of a run as operators are shown it. */
export function runFacts(run) {
  return facts([
    ["Status", h("span", {}, badge(run.status), run.isFinal ? "" : " not final")],
    ["Attempt", attempts(run)],
    ["Next attempt", run.nextAttemptAtUtc ? h("span", {}, when(run.nextAttemptAtUtc), " by itself") : null],
    ["Failure", run.failureCode ? h("span", {}, h("code", {}, run.failureCode), run.failureRationale ? ` ${run.failureRationale}` : "") : null],
    ["Lane", run.lane ?? run.queue],
    ["Command type", run.commandType],
    ["Began", when(run.createdAtUtc)],
    ["Took", run.completedAtUtc ? span(run.createdAtUtc, run.completedAtUtc) : null],
    ["Household", id(run.householdId, run.householdId ? `#/runs?householdId=${run.householdId}` : null)],
    ["Run", id(run.runId, `#/runs/${run.runId}`, 32)],
    ["Command", id(run.commandId, `#/trace/${encodeURIComponent(run.commandId)}`, 32)],
    ["Correlation", h("code", {}, run.correlationId)],
    ["Replay of", run.replayOfCommandId ? id(run.replayOfCommandId, `#/trace/${run.replayOfCommandId}`, 32) : null],
    ["Trace", run.traceId ? h("code", {}, run.traceId) : null],
  ]);
}

export function timeline(trace) {
  const first = trace.timeline[0]?.atUtc;
  return [
    trace.missing.length ? h("div", { class: "notice warn" }, h("strong", {}, "Parts of the story are missing"),
      h("ul", {}, trace.missing.map((text) => h("li", {}, text)))) : "",
    h("ol", { class: "timeline" }, trace.timeline.map((entry) => h("li", { class: TONE(entry) },
      h("div", { class: "at" }, when(entry.atUtc), h("span", { class: "quiet" }, entry.atUtc === first ? "" : `+${span(first, entry.atUtc)}`)),
      h("div", { class: "what" }, h("p", {}, entry.what, entry.code ? [" ", h("code", {}, entry.code)] : ""),
        entry.rationale ? h("p", { class: "quiet" }, entry.rationale) : "",
        h("p", { class: "quiet small" }, entry.source, entry.attempt ? ` · attempt ${entry.attempt}` : "",
          entry.ref ? [" · ", id(entry.ref)] : "")))))];
}
