// What tenants have used: read when the view is opened, or something else is chosen.

import { data } from "./api.js";
import { byId, empty, h, say, table } from "./dom.js";
import { count, many, share } from "./format.js";
import { announce } from "./speech.js";

const NAMES = { tenant: "Tenant", model: "Model", day: "Day (UTC)" };

export function setUpUsage() {
  byId("usage-days").addEventListener("change", showUsage);
  byId("usage-by").addEventListener("change", showUsage);
}

export async function showUsage() {
  const by = document.querySelector("#usage-by input:checked").value;
  const place = byId("usage-table");
  try {
    const found = await data(`/usage?days=${byId("usage-days").value}&by=${by}`);
    place.replaceChildren(found.data.length ? filled(found, by) : nothing());
    announce(`${many(found.data.length, "row")} of usage.`);
  } catch (error) {
    place.replaceChildren(empty("Usage can't be read.", error.message));
  }
}

const nothing = () => empty("Nobody has used anything in these days.",
  "Usage is counted by UTC days as answers end. llamaq usage tells of it in a terminal.");

function filled(found, by) {
  const parts = table(`Usage by ${by}`, [
    [NAMES[by]], ["Requests", "number"], ["Prompt tokens", "number"], ["of them cached", "number"],
    ["Answer tokens", "number"], ["Time in slots", "number"],
  ]);
  const most = Math.max(...found.data.map(tokens));
  parts.body.append(...found.data.map((row) => line(row, row[by], tokens(row) / most)));
  if (found.data.length > 1) parts.body.append(line(found.total, "All"));
  const more = h("p", { class: "more" });
  say(more, found.left_out ? `and ${many(found.left_out, "more row")}: llamaq usage --by ${by} tells all` : "");
  return h("div", { class: "framed" }, parts.node, more);
}

const tokens = (row) => row.prompt_tokens + row.completion_tokens;

function line(row, name, part = null) {
  const cell = (label, text) => h("td", { role: "cell", class: "number", "data-label": label }, text);
  const bar = part === null ? null : meter(part);
  return h("tr", { role: "row", class: part === null ? "is-sum" : null },
    h("th", { scope: "row", role: "rowheader", class: "wide" }, h("span", { class: "name" }, name), bar),
    cell("Requests", count(row.requests)), cell("Prompt tokens", count(row.prompt_tokens)),
    cell("of them cached", share(row.cached_tokens, row.prompt_tokens)),
    cell("Answer tokens", count(row.completion_tokens)), cell("Time in slots", spent(row.slot_seconds)));
}

function meter(part) {
  const bar = h("i");
  bar.style.width = `${Math.max(1, Math.round(part * 100))}%`;
  return h("span", { class: "meter", "aria-hidden": "true" }, bar);
}

function spent(seconds) {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
