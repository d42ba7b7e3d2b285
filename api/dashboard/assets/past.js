// The last hour and week: read every 20 s while the page is seen, and drawn as charts.

import { data } from "./api.js";
import { byId, h } from "./dom.js";
import { speed, time } from "./format.js";
import { Plot } from "./plot.js";

const EVERY_MS = 20000;

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
    found = await data(`/history${model ? `?model=${encodeURIComponent(model)}` : ""}`);
    showPast();
    told();
  } catch { /* the stream tells of what is wrong */ }
  clearTimeout(timer);
  timer = setTimeout(() => read(told), EVERY_MS);
}

export function setUpPast(told) {
  const per = (field, ms) => (step) => step[field] / (step.covers_ms / ms);
  plots = [
    new Plot("Answer tokens per second", [{ name: "tokens/s", of: per("completion", 1000) }], speed, { area: true }),
    new Plot("Time to the first token", [
      { name: "median", of: (step) => step.first_token_ms[0] },
      { name: "95 %", of: (step) => step.first_token_ms[1] }], time),
    new Plot("Requests per minute", [
      { name: "all", of: per("requests", 60000) },
      { name: "failed", of: per("failed", 60000) }], speed, { area: true }),
    new Plot("Time in the queue", [
      { name: "median", of: (step) => step.queued_ms[0] },
      { name: "95 %", of: (step) => step.queued_ms[1] }], time),
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

const chosen = () => document.querySelector("#span input:checked").value;

function showPast() {
  if (found) for (const plot of plots) plot.show(found[chosen()]);
}
