// Workers that went away in the last hour: when, why, and what became of their jobs.

import { byId, h, keep, say, table } from "./dom.js";
import { age } from "./format.js";

let body;

export function showGone(models) {
  const gone = models.flatMap((model) => model.gone.map((each) => ({ ...each, model: model.model })));
  byId("gone-part").hidden = !gone.length;
  if (!body) {
    const parts = table("Workers that went away", [["Worker"], ["When", "number"], ["Why"], ["Its jobs"]]);
    byId("gone").append(h("div", { class: "framed" }, parts.node));
    body = parts.body;
  }
  keep(body, gone, (each) => `${each.model}|${each.id}`, makeRow);
}

function makeRow() {
  const name = h("span", { class: "name" });
  const where = h("span", { class: "under" });
  const when = h("td", { role: "cell", class: "number", "data-label": "When" });
  const why = h("td", { role: "cell", "data-label": "Why" });
  const jobs = h("td", { role: "cell", "data-label": "Its jobs" });
  const node = h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader", class: "wide" }, name, where), when, why, jobs);
  return {
    node,
    update(now) {
      say(name, now.id);
      say(where, [now.model, now.host].filter(Boolean).join(" · "));
      say(when, `${age(now.ago_s)} ago`);
      say(why, now.why);
      say(jobs, now.jobs);
    },
  };
}
