// Dead letters by group, and their replay: dry run first; then a reason, a root cause and the lane's name typed.

import { REPLAY, get, has, post } from "./api.js";
import { announce, badge, button, dialog, facts, field, h, id, once, table, when } from "./dom.js";
import { empty, failure, load, pages } from "./view.js";

export async function show(view, { go, signal }) {
  const groups = h("div", { class: "list" });
  const replays = h("div", {});
  view.append(has(REPLAY) ? "" : h("p", { class: "quiet" }, `To replay, the role ${REPLAY} is needed.`), groups,
    h("section", { "aria-labelledby": "replays" }, h("h2", { id: "replays" }, "Replays"), replays));
  await Promise.all([
    load(groups, async () => {
      const found = await get("/ops/dead-letters/groups", {}, signal);
      if (found.groups.length === 0) return empty("No dead letters", "Messages that ended for good without success would be here, grouped by why.");
      return [found.complete ? "" : h("p", { class: "notice warn" }, "There are more dead letters than were looked at: counts are of those."),
        ...found.groups.map((group) => card(group, go, signal))];
    }, signal),
    load(replays, async () => recent((await get("/ops/replays", { limit: "10" }, signal)).replays), signal),
  ]);
}

const recent = (found) => found.length === 0 ? h("p", { class: "quiet" }, "None yet.") : table("Replays, newest first", [
  ["Asked for", (one) => when(one.createdAtUtc)],
  ["State", (one) => badge(one.state)],
  ["Lane", (one) => one.lane],
  ["Replayed", (one) => `${one.replayed} of ${one.total}`],
  ["Reason", (one) => one.reason],
  ["By", (one) => one.requestedBy],
  ["Replay", (one) => id(one.replayId, `#/replays/${one.replayId}`)],
], found);

function card(group, go, signal) {
  const title = (group.code || group.reason).replaceAll("_", " ");
  const place = h("div", {});
  const list = h("details", {}, h("summary", {}, "Messages"), place);
  list.addEventListener("toggle", () => {
    if (list.open && !place.hasChildNodes()) pages(place, async (cursor) => {
      const page = await get("/ops/dead-letters", { lane: group.lane, code: group.code, reason: group.reason, limit: "20", cursor }, signal);
      return { rows: page.deadLetters.filter((one) => one.groupId === group.groupId), next: page.nextCursor };
    }, letters, signal).first();
  });
  return h("article", { class: "card", "aria-labelledby": `group-${group.groupId}` },
    h("header", {}, h("h2", { id: `group-${group.groupId}` }, title), badge(`${group.count} ${group.count === 1 ? "message" : "messages"}`, "bad"), h("span", { class: "end" }, group.lane)),
    facts([
      ["Reason", h("code", {}, group.reason)], ["Code", group.code ? h("code", {}, group.code) : null], ["Exception", group.exceptionType ? h("code", {}, group.exceptionType) : null],
      ["Oldest", when(group.oldestAtUtc)], ["Newest", when(group.newestAtUtc)],
      ["Newest sent by", group.sentBy],
      ["For instance", h("span", {}, (group.sampleCommandIds.length ? group.sampleCommandIds : [group.newestMessageId]).map((one) => [id(one, `#/trace/${encodeURIComponent(one)}`), " "]))],
    ]),
    list,
    has(REPLAY) ? h("p", { class: "actions" }, button("Replay…", () => replay(group, go), { "aria-label": `Replay ${title}, ${group.lane}` })) : "");
}

const letters = (found) => found.length === 0 ? h("p", { class: "quiet" }, "None of these are left.") : table("Dead letters of the group", [
  ["Enqueued", (one) => when(one.enqueuedAtUtc)],
  ["Command", (one) => id(one.commandId ?? one.messageId, `#/trace/${encodeURIComponent(one.commandId ?? one.messageId)}`)],
  ["Household", (one) => id(one.householdId, null, 8)],
  ["Sent by", (one) => one.sentBy ?? "–"],
  ["Rationale", (one) => one.rationale ?? "–"],
  ["Replayed as", (one) => one.replayedAs ? id(one.replayedAs, `#/trace/${one.replayedAs}`) : "–"],
], found);

/** What was typed, as the one line that the API takes. */
const line = (control) => control.value.trim().replace(/\s+/g, " ");

/** The dry run, then what is needed to mean it. */
async function replay(group, go) {
  const started = await dialog(`Replay ${(group.code || group.reason).replaceAll("_", " ")}`, (close) => {
    const reason = h("textarea", { rows: "2", maxlength: "500", required: true });
    const problem = h("div", {}), next = h("div", { "aria-live": "polite" });
    const ask = (more) => post("/ops/replays", { lane: group.lane, select: { groupId: group.groupId }, reason: line(reason), ...more }, { seconds: 120 });
    const cancel = () => button("Cancel", () => close(undefined));
    const form = h("form", { on: { submit: once(async () => {
      problem.replaceChildren();
      next.replaceChildren(h("p", { class: "quiet" }, "Looking…"));
      try {
        const dry = await ask({ dryRun: true });
        next.replaceChildren(confirm(dry));
        next.querySelector("textarea, input, button")?.focus();
      } catch (error) { next.replaceChildren(); problem.replaceChildren(failure(error, null)); }
    }) } },
    h("p", {}, `${group.count} messages of the ${group.lane} lane. Each is sent again under a new command id, linked to the old one.`),
    field("Reason", reason, "Kept with the replay and with each message, whose members can read it."),
    h("p", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Dry run"), cancel()));

    function confirm(dry) {
      const many = dry.willReplay > 1;
      const rootCause = h("textarea", { rows: "2", maxlength: "500", required: true });
      const lane = h("input", { required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
      const refused = dry.refused;
      const told = h("p", {}, h("b", {}, `${dry.willReplay} of ${dry.total}`), " would be replayed",
        dry.refusedCount ? `; ${dry.refusedCount} refused.` : ". Nothing has been sent.");
      const list = refused.length ? h("details", {}, h("summary", {}, "Refused"), h("ul", {}, refused.slice(0, 50).map((one) =>
        h("li", {}, id(one.commandId), " ", h("code", {}, one.code))))) : "";
      if (dry.willReplay === 0) return h("div", { class: "notice warn" }, told, list);
      return h("form", { class: "notice info", on: { submit: once(async () => {
        try {
          close(await ask({ dryRun: false, ...(many ? { rootCause: line(rootCause), confirmLane: lane.value.trim() } : {}) }));
        } catch (error) { problem.replaceChildren(failure(error, null)); }
      }) } }, told, list,
      many ? [field("Root cause, and what mended it", rootCause), field(`Type the lane's name, ${group.lane}`, lane)] : "",
      h("p", { class: "actions" }, h("button", { type: "submit", class: "danger" }, many ? `Replay ${dry.willReplay} messages` : "Replay this message")));
    }
    return [form, next, problem];
  });
  if (started !== undefined) go(`/replays/${started.replayId}`);
}

/** One replay: this page drives it, a piece at a time. Leaving the page stops it, and nothing is lost. */
export async function one(view, { parts, signal }) {
  const path = `/ops/replays/${encodeURIComponent(parts[0])}`;
  const place = h("div", {});
  let now = null, driving = false;
  view.append(h("div", { class: "bar" }, h("a", { href: "#/dead-letters" }, "Dead letters")), place);
  const draw = (it, problem = null) => {
    if (signal.aborted) return;
    const focused = document.activeElement?.dataset?.verb;
    now = it;
    const done = it.total - it.remaining;
    const verb = (name, text, handler, props = {}) => button(text, handler, { "data-verb": name, ...props });
    place.replaceChildren(h("section", { class: "card", "aria-label": "Progress" },
      h("p", {}, badge(it.state), ` ${done} of ${it.total} done: ${it.replayed} replayed, ${it.refused} refused, ${it.failed} failed.`),
      h("progress", { max: String(Math.max(1, it.total)), value: String(done), "aria-label": "Messages done" }),
      facts([["Lane", it.lane], ["Reason", it.reason], ["Root cause", it.rootCause], ["By", it.requestedBy],
        ["Asked for", when(it.createdAtUtc)], ["Last step", when(it.updatedAtUtc)], ["Replay", id(it.replayId, null, 32)]]),
      h("p", { class: "actions" },
        it.state === "running" && has(REPLAY) ? [
          driving ? "" : verb("go", "Go on", () => drive(), { class: "primary" }),
          verb("abort", "Abort", async () => step("abort"), { class: "danger" })] : "",
        it.state === "aborted" && has(REPLAY) ? verb("go", "Resume", async () => { if (await step("resume")) await drive(); }, { class: "primary" }) : "")),
    problem === null ? "" : failure(problem, () => drive()));
    if (focused) (place.querySelector(`[data-verb="${focused}"]`) ?? place.querySelector("[data-verb]"))?.focus();
  };
  const step = async (name) => {
    try {
      draw(await post(`${path}/${name}`, undefined, { signal, seconds: 60 }));
      if (name !== "advance") announce(`The replay is ${now.state}.`);
      return true;
    } catch (error) {
      if (!signal.aborted) { driving = false; draw(now, error); }
      return false;
    }
  };
  const drive = async () => {
    if (driving) return;
    driving = true;
    while (driving && !signal.aborted && now.state === "running" && await step("advance"));
    driving = false;
    if (!signal.aborted && now.state === "completed") announce(`The replay is completed: ${now.replayed} replayed, ${now.failed} failed.`);
    if (!signal.aborted && now.state !== "running") draw(now);
  };
  await load(place, async () => { now = await get(path, {}, signal); return h("p", {}, ""); }, signal);
  if (now === null || signal.aborted) return;
  const mine = now.state === "running" && has(REPLAY) && Date.now() - new Date(now.updatedAtUtc) < 60_000;
  draw(now);
  if (mine) await drive(); // one that rests is gone on with by hand alone
}
