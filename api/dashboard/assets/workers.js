// The workers of each model: how they are, how busy, how fast; and what may be ordered of them.

import { byId, empty, h, keep, mark, s, say, state, table } from "./dom.js";
import { age, clock, count, many, share, size, speed } from "./format.js";
import { drain, resume } from "./orders.js";
import { spark } from "./spark.js";

const MOST_SQUARES = 16;
const GOOD_HEALTH = new Set(["healthy"]);
const SOFT_HEALTH = new Set(["starting", "loading", "suspect", "overloaded", "draining", "giving way"]);

// What is shown of a worker's state: the kind that gives it a shape and a colour, and a word.
export function workerState(worker) {
  if (!worker.is_understood) return ["bad", "another version"];
  if (worker.condition === "left") return ["off", "has left"];
  if (worker.drained_s) return ["off", worker.running ? `drained, ${worker.running} to end` : "drained"];
  if (worker.paused_until_s) return ["off", `paused until ${clock(worker.paused_until_s * 1000)}`];
  if (worker.is_standby) {
    if (worker.health === "failed") return ["bad", "could not load"];
    return worker.health === "loading" ? ["warn", "loading"] : ["off", "not loaded"];
  }
  if (SOFT_HEALTH.has(worker.health)) return ["warn", worker.health];
  if (!GOOD_HEALTH.has(worker.health)) return ["bad", worker.health || "unknown"];
  if (worker.breaker === "open") return ["bad", "breaker open"];
  if (worker.breaker !== "closed") return ["warn", `breaker ${worker.breaker}`];
  return ["good", "healthy"];
}

export const ADVICE = {
  "another version": "It speaks another protocol: update the older side.",
  "breaker open": "Its server failed several requests in a row. It is tested by itself.",
  down: "Its llama-server does not answer. Its bridge waits for it.",
  misconfigured: "What answers there is not the server that its bridge was told of.",
  wedged: "It answers, but its engine does not move.",
  incomplete: "A machine with a part of its model is gone.",
};

export function showWorkers(models, past) {
  const place = byId("workers");
  const shown = models.filter((model) => model.workers.length || model.queued);
  if (!shown.length) {
    place.kept = undefined;
    if (!place.querySelector(".empty")) place.replaceChildren(nobody());
    return;
  }
  place.querySelector(":scope > .empty")?.remove();
  keep(place, shown, (model) => model.model, makeModel);
  for (const model of shown) {
    place.kept.get(model.model).showWorkers(model, past?.workers ?? {});
  }
}

const nobody = () => empty("No worker is here.",
  "Start one beside a llama-server:", h("code", {}, "llamaq bridge --server http://127.0.0.1:8080"),
  "On another machine type the line that llamaq up has printed, or that llamaq join prints.");

function makeModel(model) {
  const title = h("h3");
  const about = h("span", { class: "muted small" });
  const parts = table(`Workers of ${model.model}`, [
    ["Worker"], ["State"], ["Slots"], ["Tokens/s now", "number"], ["Last week", "number"],
    ["Cache hits", "number"], ["Context", "number"], ["Orders", "hidden"],
  ]);
  const none = h("p", { class: "more" });
  const node = h("div", { class: "framed" }, h("div", { class: "model-head" }, title, about), parts.node, none);
  return {
    node,
    update(now) {
      say(title, now.model);
      say(about, told(now));
      parts.node.hidden = !now.workers.length;
      say(none, now.workers.length ? "" : "Requests wait for it, and no worker serves it. Start its llama-server and its bridge.");
    },
    showWorkers(now, past) {
      const rows = now.workers.map((worker) => ({ ...worker, model: now.model, past: past[worker.id] }));
      rows.sort((one, other) => needsHelp(other) - needsHelp(one));
      keep(parts.body, rows, (worker) => worker.id, makeWorker);
    },
  };
}

const needsHelp = (worker) => Number(workerState(worker)[0] === "bad");

function told(model) {
  const words = [];
  if (model.aliases.length) words.push(`also ${model.aliases.slice(0, 3).join(", ")}`);
  if (model.is_default) words.push("the default");
  words.push(model.queued ? `${count(model.queued)} waiting` : "nobody waits");
  if (model.queued && model.eta_s) words.push(`the last starts in about ${age(model.eta_s)}`);
  if (model.suspects.length) words.push(`servers crashed under ${model.suspects.join(", ")}`);
  return words.join(" · ");
}

function cell(label, className = null) {
  return h("td", { role: "cell", "data-label": label, class: className });
}

function makeWorker() {
  const name = h("span", { class: "name" });
  const where = h("span", { class: "under" });
  const shown = state();
  const why = h("span", { class: "under" });
  const slots = slotsBar();
  const now = cell("Tokens/s now", "number fixed-speed");
  const weekly = h("span");
  const line = spark();
  const week = h("td", { role: "cell", class: "number", "data-label": "Last week" },
    h("span", { class: "week" }, line.node, weekly));
  const cache = cell("Cache hits", "number");
  const context = h("span");
  const build = h("span", { class: "under" });
  const orders = ordersOf();
  const node = h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader", class: "wide" }, name, where),
    h("td", { role: "cell", "data-label": "State" }, shown.node, why),
    h("td", { role: "cell", "data-label": "Slots" }, slots.node), now, week, cache,
    h("td", { role: "cell", class: "number", "data-label": "Context" }, context, build),
    h("td", { role: "cell", class: "actions" }, orders.node));
  return {
    node,
    update(worker) {
      const [kind, word] = workerState(worker);
      mark(node, "class", { bad: "is-down", warn: "is-odd" }[kind] ?? null);
      say(name, worker.id);
      say(where, place(worker));
      shown.update(kind, word);
      say(why, worker.reason || ADVICE[word] || "");
      slots.update(worker);
      say(now, worker.is_standby ? "–" : speed(worker.tokens_per_s));
      say(weekly, worker.past?.tokens_per_s ? `${speed(worker.past.tokens_per_s)}/s` : "–");
      line.update(worker.past?.completion_by_hour ?? []);
      say(cache, worker.past ? share(worker.past.cached, worker.past.prompt) : "–");
      say(context, worker.context ? count(worker.context) : "–");
      say(build, [worker.quantisation.replace(/^\(guessed\) /, ""), size(worker.size_bytes), worker.build].filter(Boolean).join(" · "));
      orders.update(worker);
    },
  };
}

function place(worker) {
  const invited = worker.invited ? `invited as ${worker.invited}` : "";
  return [worker.host, worker.address, worker.server, invited].filter(Boolean).join(" · ");
}

function slotsBar() {
  const drawing = s("svg", { role: "img" });
  const words = h("span", { "aria-hidden": "true" });
  const node = h("span", { class: "slots" }, drawing, words);
  let drawn = "";
  return {
    node,
    update(worker) {
      const others = worker.foreign;
      const now = `${worker.running} ${worker.slots} ${others}`;
      if (now === drawn) return;
      drawn = now;
      drawing.toggleAttribute("hidden", !worker.slots && !others);
      drawing.style.display = worker.slots || others ? "" : "none";
      say(words, worker.slots || others ? `${worker.running}/${worker.slots}` : "–");
      const used = others ? `, and ${many(others, "slot")} used by others` : "";
      mark(drawing, "aria-label", `${worker.running} of ${many(worker.slots, "slot")} at work${used}`);
      draw(drawing, worker.running, worker.slots, others);
    },
  };
}

function draw(drawing, running, slots, others) {
  const all = slots + others;
  const scale = Math.max(1, Math.ceil(all / MOST_SQUARES));
  const squares = Math.ceil(all / scale);
  mark(drawing, "viewBox", `0 0 ${Math.max(1, squares) * 13} 12`);
  drawing.replaceChildren(...Array.from({ length: squares }, (_, at) => {
    const first = at * scale;
    const kind = first < running ? "busy" : first < slots ? "free" : "others";
    return s("rect", { x: at * 13 + 1, y: 1, width: 10, height: 10, rx: 2, class: `slot ${kind}` });
  }));
}

function ordersOf() {
  const button = h("button", { type: "button" });
  let worker;
  button.addEventListener("click", () => (is_stopped(worker) ? resume : drain)(worker, button));
  return {
    node: button,
    update(now) {
      worker = now;
      button.hidden = now.is_standby && !now.drained_s;
      say(button, is_stopped(now) ? "Resume" : "Drain");
      mark(button, "aria-label", `${is_stopped(now) ? "Resume" : "Drain"} ${now.id}`);
    },
  };
}

const is_stopped = (worker) => worker.drained_s > 0;
