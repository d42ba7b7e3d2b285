// Who waits, and each request that is here with where it is.

import { byId, empty, h, keep, mark, say, state, table } from "./dom.js";
import { age, count, many } from "./format.js";
import { cancel } from "./orders.js";

const RANK = { running: 0, lost: 1, queued: 2 };
const WHERE = {
  queued: ["off", "in the queue"],
  running: ["good", "runs"],
  lost: ["warn", "lost its worker, goes on elsewhere"],
};

const FIRST = 10;

let parts;
let is_all = false;
let wanted = "";
let shown_models = [];

export function showRequests(models) {
  const place = byId("requests");
  const requests = models.flatMap((model) => model.requests.map((each) => ({ ...each, model: model.model })));
  const queues = models.filter((model) => model.waiting.length);
  shown_models = models;
  parts ??= make(place);
  requests.sort((one, other) => RANK[one.state] - RANK[other.state] || other.since_s - one.since_s);
  const found = wanted ? requests.filter(is_wanted) : requests;
  const shown = is_all ? found : found.slice(0, FIRST);
  parts.filter.hidden = requests.length <= FIRST && !wanted;
  say(parts.about, wanted ? `${count(found.length)} of ${many(requests.length, "request")}` : many(requests.length, "request"));
  parts.empty.hidden = requests.length > 0 || queues.length > 0;
  parts.queues.hidden = !queues.length;
  parts.list.hidden = !requests.length;
  keep(parts.queueRows, queues.flatMap(rowsOf), (row) => `${row.model}|${row.tier}|${row.tenant}`, makeQueueRow);
  keep(parts.rows, shown.map((each) => ({ ...each, is_one_of_many: models.length > 1 })), (request) => `${request.model}|${request.id}`, makeRequest);
  const left = models.reduce((all, model) => all + model.requests_left_out, 0);
  const hidden = found.length - shown.length;
  parts.all.hidden = !hidden && !(is_all && found.length > FIRST);
  say(parts.all, is_all ? "Show fewer" : `Show ${count(hidden)} more`);
  say(parts.more, left ? `${many(left, "request")} more than can be shown` : "");
}

const is_wanted = (request) =>
  [request.id, request.tenant, request.user, request.tier, request.worker, request.model, request.state]
    .some((text) => text.toLowerCase().includes(wanted));

const rowsOf = (model) => model.waiting.map((turn) => ({ ...turn, model: model.model }));

function make(place) {
  const queue = table("Who waits, the next one first", [
    ["Next"], ["Model"], ["Tier"], ["Waiting", "number"], ["Oldest", "number"],
  ], "cards pairs");
  const list = table("Requests", [
    ["Request"], ["Where it is"], ["Progress", "number"], ["Tenant"], ["For", "number"], ["Orders", "hidden"],
  ], "cards lines");
  const more = h("p", { class: "more" });
  const about = h("span", { class: "muted small" });
  const filter = h("input", { type: "search", "aria-label": "Show requests with", placeholder: "Tenant, worker, id…", autocomplete: "off", spellcheck: "false" });
  filter.addEventListener("input", () => { wanted = filter.value.trim().toLowerCase(); showRequests(shown_models); });
  const all_button = h("button", { type: "button", class: "quiet" });
  all_button.addEventListener("click", () => { is_all = !is_all; showRequests(shown_models); });
  const none = empty("No request is here.", "Send one from the chat of this page, or with the line that llamaq up prints.");
  const queues = h("div", { class: "framed" }, h("div", { class: "model-head" }, h("h3", {}, "Who waits"),
    h("span", { class: "muted small" }, "the next one of each tier first")), queue.node);
  const all = h("div", { class: "framed" }, h("div", { class: "model-head" }, h("h3", {}, "Open requests"), about, filter),
    list.node, all_button, more);
  place.replaceChildren(none, queues, all);
  return { empty: none, queues, list: all, queueRows: queue.body, rows: list.body, more, all: all_button, about, filter };
}

const cell = (label, className = null) => h("td", { role: "cell", "data-label": label, class: className });

function makeQueueRow(row) {
  const tenant = h("span", { class: "name" });
  const needs = h("span", { class: "under" });
  const waiting = cell("Waiting", "number");
  const oldest = cell("Oldest", "number");
  const node = h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader", class: "wide" }, tenant, needs),
    h("td", { role: "cell", "data-label": "Model" }, row.model), h("td", { role: "cell", "data-label": "Tier" }, row.tier),
    waiting, oldest);
  return {
    node,
    update(now) {
      say(tenant, now.tenant);
      say(needs, now.needs ? `only some workers can take: ${now.needs}` : "");
      say(waiting, count(now.queued));
      say(oldest, now.oldest_s === null || now.oldest_s === undefined ? "–" : age(now.oldest_s));
    },
  };
}

function makeRequest() {
  const id = h("span", { class: "mono" });
  const model = h("span", { class: "under" });
  const where = state();
  const progress = cell("Progress", "number progress");
  const tenant = h("span");
  const tier = h("span", { class: "chip" });
  const since = cell("For", "number since");
  const button = h("button", { type: "button", class: "danger" }, "Cancel");
  let request;
  button.addEventListener("click", () => cancel(request, button));
  const node = h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader", class: "wide" }, id, model),
    h("td", { role: "cell", class: "wide", "data-label": "Where it is" }, where.node),
    progress, h("td", { role: "cell", "data-label": "Tenant" }, tenant, " ", tier), since, h("td", { role: "cell", class: "actions" }, button));
  return {
    node,
    update(now) {
      request = now;
      const [kind, words] = WHERE[now.state] ?? ["off", now.state];
      say(id, now.id.length > 18 ? `${now.id.slice(0, 12)}…` : now.id);
      mark(id, "title", now.id);
      say(model, now.is_one_of_many ? now.model : "");
      where.update(kind, place(words, now));
      say(progress, howFar(now));
      say(tenant, now.user ? `${now.tenant} / ${now.user}` : now.tenant);
      tier.hidden = now.tier === "default";
      say(tier, now.tier);
      say(since, age(now.since_s));
      mark(button, "aria-label", `Cancel request ${now.id.slice(0, 12)} of ${now.tenant}`);
    },
  };
}

function howFar(request) {
  if (request.completion) return many(request.completion, "token");
  if (request.state !== "running") return "–";
  return request.prompt ? `reads ${count(request.prompt)}` : "begins";
}

function place(words, request) {
  const at = request.state === "running" && request.worker ? ` at ${request.worker}` : "";
  const again = request.attempts > 1 ? `, attempt ${request.attempts}` : "";
  return `${words}${at}${request.resumed ? ", resumed" : again}`;
}
