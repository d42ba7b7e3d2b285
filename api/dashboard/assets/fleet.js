// The figures under the verdict, each with what it has been lately.

import { byId, h, keep, say, shape } from "./dom.js";
import { age, count, speed, time } from "./format.js";
import { spark } from "./spark.js";
import { LATE_S, oldestWait, servers } from "./verdict.js";

const SECONDS = 120;

const lately = { waiting: [], speed: [] };
let looked_s = 0;

export function showFleet(snapshot, past) {
  remember(snapshot);
  keep(byId("tiles"), tiles(snapshot, past), (tile) => tile.name, makeTile);
}

const sum = (list, field) => list.reduce((all, each) => all + each[field], 0);

// What the page has seen itself, once a second.
function remember(snapshot) {
  if (snapshot.now_s === looked_s) return;
  looked_s = snapshot.now_s;
  lately.waiting.push(sum(snapshot.models, "queued"));
  lately.speed.push(sum(servers(snapshot), "tokens_per_s"));
  for (const values of Object.values(lately)) if (values.length > SECONDS) values.shift();
}

function tiles(snapshot, past) {
  const workers = servers(snapshot);
  const minutes = past?.hour.steps ?? [];
  return [slots(workers), waiting(snapshot), pace(workers), firstToken(minutes), requests(minutes)];
}

function slots(workers) {
  const all = sum(workers, "slots");
  const running = sum(workers, "running");
  return { name: "Slots at work", value: String(running), unit: ` of ${all}`, part: all ? running / all : 0,
    beside: all ? `${Math.round((running / all) * 100)} %` : "no worker accepts" };
}

function waiting(snapshot) {
  const queued = sum(snapshot.models, "queued");
  const oldest = oldestWait(snapshot);
  return { name: "Waiting", value: count(queued), line: lately.waiting, over: "the last 2 minutes",
    beside: queued ? `the oldest for ${age(oldest)}` : "nobody waits", tone: oldest > LATE_S ? "warn" : "" };
}

const pace = (workers) => ({ name: "Tokens per second", value: speed(sum(workers, "tokens_per_s")),
  line: lately.speed, over: "the last 2 minutes", beside: "all workers, now" });

function firstToken(minutes) {
  const last = minutes.slice(-5).findLast((step) => step.first_token_ms[0] !== null);
  return { name: "First token", value: last ? time(last.first_token_ms[0]) : "–",
    line: minutes.map((step) => step.first_token_ms[0] ?? 0), over: "the last hour",
    beside: last ? `95 %: up to ${time(last.first_token_ms[1])}` : "no request in 5 min" };
}

function requests(minutes) {
  const five = minutes.slice(-5);
  const failed = sum(five, "failed");
  return { name: "Requests", value: count(sum(five, "requests")), unit: " in 5 min",
    line: minutes.map((step) => step.requests), over: "the last hour",
    beside: failed ? `${count(failed)} failed` : "none failed", tone: failed ? "warn" : "" };
}

function makeTile(first) {
  const value = h("span");
  const unit = h("small");
  const words = h("span");
  const beside = h("dd", { class: "beside" }, words);
  const drawn = first.line ? spark() : meter();
  const node = h("div", { class: "tile" }, h("dt", {}, first.name),
    h("dd", { class: "figure" }, h("span", {}, value, unit), drawn.node), beside);
  if (first.over) node.title = `The line is of ${first.over}.`;
  return {
    node,
    update(now) {
      say(value, now.value);
      say(unit, now.unit ?? "");
      say(words, now.beside);
      if ((beside.dataset.tone ?? "") !== (now.tone ?? "")) {
        beside.dataset.tone = now.tone ?? "";
        beside.replaceChildren(...(now.tone ? [shape(now.tone)] : []), words);
      }
      drawn.update(now.line ?? now.part);
    },
  };
}

function meter() {
  const bar = h("i");
  return {
    node: h("span", { class: "meter", "aria-hidden": "true" }, bar),
    update(part) { bar.style.width = `${Math.round(part * 100)}%`; },
  };
}
