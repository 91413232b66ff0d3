// From any id to one command's story.

import { get } from "./api.js";
import { facts, field, h, id } from "./dom.js";
import { runFacts, timeline } from "./story.js";
import { load } from "./view.js";

export async function show(view, { parts, go, signal }) {
  const asked = parts[0] ?? "";
  const input = h("input", { name: "id", value: asked, required: true, size: "40", maxlength: "128", spellcheck: "false", autocomplete: "off", autocapitalize: "none" });
  const form = h("form", { class: "filters search", role: "search", on: { submit: (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) go(`/trace/${encodeURIComponent(text)}`);
  } } }, field("Id", input, "Of a message, command, run, signal, or a correlation id."), h("button", { type: "submit", class: "primary" }, "Trace"));
  const place = h("div", { "aria-live": "polite" });
  view.append(form, place);
  if (!asked) return;
  await load(place, async () => {
    const trace = await get(`/ops/trace/${encodeURIComponent(asked)}`, {}, signal);
    return [
      h("section", { class: "card", "aria-label": "Facts" },
        h("p", { class: "quiet" }, `Found as ${trace.foundAs.join(", ")}.`),
        trace.run ? runFacts(trace.run) : facts([
          ["Command", trace.commandId ? id(trace.commandId, null, 32) : null], ["Queue", trace.queue],
          ["Household", trace.householdId ? id(trace.householdId) : null], ["Correlation", trace.correlationId]])),
      h("section", { "aria-labelledby": "timeline" }, h("h2", { id: "timeline" }, "Timeline"), timeline(trace))];
  }, signal);
}
