// The last hour and week: read every 20 s while the page is seen, and drawn as charts.

import { data } from "./api.js";
import { byId, h } from "./dom.js";
import { speed, time } from "./format.js";
import { Plot } from "./plot.js";

const EVERY_MS = 20000;
// What a chart shows: of the steps of the hour or of the week the last ones.
const SPANS = { quarter: ["hour", 15], hour: ["hour", 60], day: ["week", 24], week: ["week", 168] };

let plots;
let found = null;
let timer = 0;

export const past = () => found;

export function wantPast(told) {
  clearTimeout(timer);
  read(told);
}

export const leavePast = () => clearTimeout(timer);

async function read(told) {
  try {
    const model = byId("past-model").value;
    const is_first = !found;
    found = await data(`/history${model ? `?model=${encodeURIComponent(model)}` : ""}`);
    if (is_first) chooseSpan();
    showPast();
    told();
  } catch { /* the stream tells of what is wrong */ }
  clearTimeout(timer);
  timer = setTimeout(() => read(told), EVERY_MS);
}

export function setUpPast(told) {
  const per = (field, ms) => (step) => step[field] / (step.covers_ms / ms);
  const read = (step) => (step.prompt - step.cached) / (step.covers_ms / 1000);
  const chosen = (at) => { for (const plot of plots) plot.choose(at); };
  plots = [
    new Plot("Tokens per second", [
      { name: "answers", of: per("completion", 1000) },
      { name: "prompts, not cached", of: read }], speed, { area: true, chosen }),
    new Plot("Time to the first token", [
      { name: "median", of: (step) => step.first_token_ms[0] },
      { name: "95 %", of: (step) => step.first_token_ms[1] }], time, { chosen }),
    new Plot("Requests per minute", [
      { name: "all", of: per("requests", 60000) },
      { name: "failed", of: per("failed", 60000), tone: "failed" }], speed, { area: true, chosen }),
    new Plot("Time in the queue", [
      { name: "median", of: (step) => step.queued_ms[0] },
      { name: "95 %", of: (step) => step.queued_ms[1] }], time, { chosen }),
  ];
  byId("charts").append(...plots.map((plot) => plot.node));
  byId("span").addEventListener("change", showPast);
  byId("past-model").addEventListener("change", () => wantPast(told));
}

export function offerModels(names) {
  const select = byId("past-model");
  select.hidden = names.length < 2;
  const shown = [...select.options].map((option) => option.value).join("\n");
  if (shown === ["", ...names].join("\n")) return;
  const { value } = select;
  select.replaceChildren(h("option", { value: "" }, "All models"), ...names.map((name) => h("option", { value: name }, name)));
  select.value = names.includes(value) ? value : "";
}

// A fleet that has just begun has nothing to show of an hour.
function chooseSpan() {
  const [name, steps] = SPANS.quarter;
  const before = found[name].steps.slice(0, -steps);
  if (!before.some((step) => step.requests)) document.querySelector("#span [value=quarter]").checked = true;
}

function showPast() {
  const [name, most] = SPANS[document.querySelector("#span input:checked").value];
  const { from_ms, step_ms, steps } = found?.[name] ?? {};
  if (!steps) return;
  const shown = steps.slice(-most);
  const past_ms = (steps.length - shown.length) * step_ms;
  for (const plot of plots) plot.show({ from_ms: from_ms + past_ms, step_ms, steps: shown });
}
