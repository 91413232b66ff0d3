// Lanes at a glance: each with its newest runs as a sparkline.

import { get } from "./api.js";
import { badge, facts, h, span, svg, when } from "./dom.js";
import { load, refreshing } from "./view.js";

const BARS = 30;

// "1 run", "2 runs".
const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

export async function show(view, { signal }) {
  const place = h("div", { class: "lanes" });
  const health = h("div", { class: "health" });
  const read = () => Promise.all([load(place, () => lanes(signal), signal), load(health, () => ready(signal), signal)]);
  const { control } = refreshing(read, 15, signal);
  view.append(h("div", { class: "bar" }, health, control), place);
  await read();
}

/** Whether the app is ready, and beside it what asks for a person: an app that is ready is not one with which all is well. */
async function ready(signal) {
  const answer = await get("/health/ready", {}, signal).catch((error) => {
    if (error.status === 503) return null; // it says so by its status; the parts are in `./mosaic ops status`
    throw error;
  });
  if (answer === null) return h("p", {}, badge("down"), " Something that the app builds on does not answer: ./mosaic ops status names it.");
  const { lanes: found } = await get("/ops/lanes", {}, signal).catch(() => ({ lanes: [] })); // the cards below say why
  const errors = found.reduce((sum, lane) => sum + lane.openSignals.error, 0);
  const more = found.some((lane) => lane.openSignals.isMore) ? " or more" : "";
  const bad = answer.dependencies.filter((one) => one.state !== "up");
  return h("p", {}, badge(answer.status), " ",
    errors ? [h("a", { href: "#/review" }, badge(`${count(errors, "open error")}${more}`, "bad")), " "] : "",
    bad.length ? bad.map((one) => `${one.name}: ${one.state}${one.reason ? ` (${one.reason})` : ""}`).join(", ") : "all dependencies up",
    answer.version ? h("span", { class: "quiet" }, ` · version ${answer.version}, commit `, h("code", {}, String(answer.commit).slice(0, 8))) : null);
}

async function lanes(signal) {
  const { lanes: found } = await get("/ops/lanes", {}, signal);
  const runs = await Promise.all(found.map((lane) => get("/ops/runs", { lane: lane.lane, limit: String(BARS) }, signal)));
  return found.map((lane, index) => card(lane, runs[index].runs));
}

function card(lane, runs) {
  const { recent, openSignals } = lane;
  const open = openSignals.error + openSignals.warning;
  const rate = recent.failureRate;
  return h("section", { class: "card lane", "aria-labelledby": `lane-${lane.lane}` },
    h("header", {}, h("h2", { id: `lane-${lane.lane}` }, lane.lane), h("code", { class: "quiet" }, lane.queue)),
    spark(lane.lane, runs),
    h("ul", { class: "numbers" },
      number(recent.running, "running"), number(recent.waiting, "waiting"), number(recent.notBegun, "not begun"),
      number(rate === null ? "–" : `${Math.round(rate * 100)}%`, "failed", rate ? "bad" : "")),
    facts([
      ["Last success", when(recent.lastSuccessAtUtc)],
      ["Oldest unfinished", recent.oldestUnfinishedAtUtc ? h("span", {}, span(recent.oldestUnfinishedAtUtc), " ago") : "none"],
      ["Open signals", open === 0 ? "none" : h("a", { href: `#/review?lane=${encodeURIComponent(lane.lane)}` },
        `${count(openSignals.error, "error")}, ${count(openSignals.warning, "warning")}${openSignals.isMore ? " and more" : ""}`)],
    ]),
    h("p", { class: "quiet small" }, `Counts are of the newest ${recent.lookedAt} commands. `,
      h("a", { href: `#/runs?lane=${encodeURIComponent(lane.lane)}` }, "All runs", h("span", { class: "unseen" }, ` of the ${lane.lane} lane`))));
}

const number = (value, name, tone = "") =>
  h("li", { class: tone }, h("b", {}, String(value)), h("span", {}, name));

const KIND = (run) => !run.isFinal ? "open" : run.attemptOutcome === "failed" ? "bad" : run.status === "NeedsReview" ? "warn" : "good";

/** One bar a run, oldest first; its height is how long it took, on a logarithmic scale (10 ms to 10 min). */
function spark(name, newestFirst) {
  const runs = newestFirst.slice(0, BARS).reverse();
  const count = (kind) => runs.filter((run) => KIND(run) === kind).length;
  const took = (run) => Math.max(10, new Date(run.completedAtUtc ?? run.lastModifiedAtUtc) - new Date(run.createdAtUtc));
  const longest = runs.length ? span(0, Math.max(...runs.map(took))) : "";
  const text = runs.length === 0 ? `${name}: no runs yet` :
    `${name}, newest ${runs.length} runs: ${count("good")} completed, ${count("warn")} need review, ` +
    `${count("bad")} failed, ${count("open")} not finished; longest ${longest}`;
  const bars = runs.map((run, index) => {
    const height = Math.min(36, 4 + 32 * (Math.log10(took(run)) - 1) / (Math.log10(600_000) - 1));
    const x = (BARS - runs.length + index) * 8;
    return svg("rect", { class: `spark-${KIND(run)}`, x, y: (40 - height).toFixed(1), width: 6, height: height.toFixed(1), rx: 1 });
  });
  return h("figure", { class: "spark" },
    svg("svg", { viewBox: `0 0 ${BARS * 8 - 2} 41`, role: "img", "aria-label": text, preserveAspectRatio: "none" },
      svg("line", { x1: 0, x2: BARS * 8, y1: 40.5, y2: 40.5, class: "spark-axis" }), ...bars),
    h("figcaption", { "aria-hidden": "true" }, runs.length === 0 ? "no runs yet" : [
      h("span", {}, count(runs.length, "run")), h("span", {}, `longest ${longest}`)]));
}
