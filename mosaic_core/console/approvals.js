// The household's approvals: the exact action, who asked, and the member's word.

import { get, post, state } from "./api.js";
import { announce, badge, button, dialog, facts, field, h, id, once, select, span, when } from "./dom.js";
import { empty, failure, load } from "./view.js";

const LOOKS = [500, 700, 1000, 1500, 2000, 3000, 4000, 6000];

export async function show(view, { query, go, signal, counted }) {
  const wanted = query.get("status") ?? "pending";
  const form = h("form", { class: "filters", on: { submit: (event) => event.preventDefault(), change: () => go("/approvals", new FormData(form)) } },
    field("State", select("status", [["pending", "pending"], ["all", "all"], ["approved", "approved"], ["rejected", "rejected"], ["expired", "expired"]], wanted)));
  const place = h("div", { class: "list" });
  view.append(form, h("div", {}, membership(() => read())), place);
  const read = () => load(place, async () => {
    const found = (await get("/approvals", { status: wanted === "all" ? "" : wanted }, signal)).approvals;
    if (wanted === "pending") counted(found.length);
    return found.length ? found.map((one) => card(one, signal))
      : empty("Nothing waits for your word", "When the agent wants to do something that needs a person, it is asked here.");
  }, signal);
  await read();
}

/** Whoever has several memberships picks one, by its household user id. */
function membership(read) {
  const input = h("input", { name: "membership", value: state.membership, autocomplete: "off", spellcheck: "false", size: "34" });
  const form = h("form", { on: { submit: (event) => { event.preventDefault(); state.membership = input.value.trim(); read(); } } },
    field("Household user id", input, "Only where you are a member of several households."),
    h("p", { class: "actions" }, h("button", { type: "submit" }, "Use this membership")));
  return h("details", { class: "choice" }, h("summary", {}, "Membership"), form);
}

function exact(it) {
  if (it.action === null) return h("p", { class: "notice bad" }, "The stored action is not the one that was asked for. Do not approve it.");
  const plain = (value) => typeof value === "string" ? value : JSON.stringify(value, null, 1);
  return h("div", { class: "exact" }, h("p", {}, "Action ", h("code", {}, it.action.name)),
    facts(Object.entries(it.action.arguments).map(([name, value]) => [name, h("span", { class: "said-by-others" }, plain(value))])));
}

function card(found, signal) {
  const node = h("article", { class: "card approval", "aria-labelledby": `approval-${found.approvalId}` });
  const draw = (it, said = "") => node.replaceChildren(
    h("header", {}, h("h2", { id: `approval-${it.approvalId}`, tabindex: "-1" }, it.actionSummary), badge(it.status)),
    exact(it),
    facts([
      ["Asked by", id(it.requestedBy, null, 32)],
      ["Asked", when(it.createdAtUtc)],
      ["Expires", it.status === "pending" ? h("span", {}, `in ${span(it.expiresAtUtc)}, `, when(it.expiresAtUtc)) : null],
      ["Kind", it.actionKind.replaceAll("_", " ")],
      ["Decided", it.decidedAtUtc ? h("span", {}, when(it.decidedAtUtc), ` by ${it.decidedBy ?? "–"}`) : null],
      ["Rationale", it.decisionRationale],
      ["Carried out", it.carriedOutAtUtc ? h("span", {}, when(it.carriedOutAtUtc), it.carriedOutAs ? `: ${it.carriedOutAs.replaceAll("_", " ")}` : "") : null],
      ["Conversation", id(it.conversationId)],
      ["Run", id(it.runId)],
      ["Bound to", h("span", {}, id(it.actionHash), ` policy ${it.policyVersion}`)],
    ]),
    it.draft ? h("details", {}, h("summary", {}, "Draft, to be sent by hand"), h("p", {}, it.draft.instruction),
      facts([["To", it.draft.recipient], ["By", it.draft.channel], ["Subject", it.draft.subject]]), h("p", { class: "said-by-others" }, it.draft.body)) : "",
    said ? h("p", { class: "notice info" }, said) : "",
    it.status === "pending" && !said ? h("p", { class: "actions" },
      button("Approve…", () => decide(it, "Approve", draw, node, signal), { class: "primary", "aria-label": `Approve: ${it.actionSummary}` }),
      button("Reject…", () => decide(it, "Reject", draw, node, signal), { "aria-label": `Reject: ${it.actionSummary}` })) : "");
  draw(found);
  return node;
}

async function decide(it, decision, draw, node, signal) {
  const reference = crypto.randomUUID(); // one for this dialog: a second press is the same decision
  const word = decision === "Approve" ? "Approve" : "Reject";
  const sent = await dialog(`${word} this action?`, (close) => {
    const rationale = h("textarea", { rows: "3", maxlength: "500" });
    const problem = h("div", {});
    return h("form", { on: { submit: once(async () => {
      const text = rationale.value.trim();
      try {
        await post(`/conversations/${it.conversationId}/approvals/${it.approvalId}`,
          { decision, clientApprovalId: reference, ...(text ? { rationale: text } : {}) });
        close(true);
      } catch (error) { problem.replaceChildren(failure(error, null)); }
    }) } },
    h("p", {}, it.actionSummary), exact(it), h("p", { class: "quiet" }, `Asked by ${it.requestedBy}.`),
    field("Rationale", rationale, "Optional; kept with the decision."), problem,
    h("p", { class: "actions" }, h("button", { type: "submit", class: decision === "Approve" ? "primary" : "danger" }, `${word} this action`),
      button("Cancel", () => close(false))));
  });
  if (!sent) return;
  draw(it, "Your decision is on its way to the worker.");
  announce("Your decision is on its way to the worker.");
  node.querySelector("h2").focus();
  const now = await settled(it.approvalId, signal);
  if (signal.aborted) return;
  draw(now ?? it, now ? "" : "The worker has not answered yet. Look again in a minute: the decision is kept.");
  announce(now ? `The approval is now ${now.status}.` : "The worker has not answered yet.");
  node.querySelector("h2").focus();
}

/** The approval once it is decided; null where that takes longer than some seconds. */
async function settled(approvalId, signal) {
  for (const wait of LOOKS) {
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    if (signal.aborted) return null;
    const { approvals } = await get("/approvals", {}, signal).catch(() => ({ approvals: [] }));
    const found = approvals.find((one) => one.approvalId === approvalId && one.status !== "pending");
    if (found) return found;
  }
  return null;
}
