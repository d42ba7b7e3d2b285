// The answer to "is all well?": one sentence, and six figures.

import { byId, h, keep, say, shape } from "./dom.js";
import { age, count, many, speed, time } from "./format.js";
import { workerState } from "./workers.js";

const LATE_S = 30;

export function showFleet(snapshot, past) {
  const [kind, text] = verdict(snapshot);
  const title = byId("verdict");
  if (title.dataset.kind !== kind || title.dataset.text !== text) {
    title.dataset.kind = kind;
    title.dataset.text = text;
    title.replaceChildren(shape(kind), h("span", {}, text));
  }
  keep(byId("tiles"), tiles(snapshot, past), (tile) => tile.name, makeTile);
}

const servers = (snapshot) =>
  snapshot.models.flatMap((model) => model.workers).filter((worker) => !worker.is_standby);

export function verdict(snapshot) {
  const workers = servers(snapshot);
  const standbys = snapshot.models.flatMap((model) => model.workers).length - workers.length;
  if (!workers.length && !standbys) {
    return ["off", snapshot.models.length ? "No worker is here now." : "No worker has joined yet."];
  }
  const kinds = workers.map((worker) => workerState(worker)[0]);
  const down = kinds.filter((kind) => kind === "bad").length;
  if (down) return ["bad", `${down} of ${many(workers.length, "worker")} ${down === 1 ? "needs" : "need"} help.`];
  const unserved = snapshot.models.filter((model) => model.queued && !model.workers.length);
  if (unserved.length) return ["bad", `Requests wait for ${unserved[0].model}, and nobody serves it.`];
  const oldest = oldestWait(snapshot);
  if (oldest > LATE_S) return ["warn", `Busy: a request has waited for ${age(oldest)}.`];
  const odd = kinds.filter((kind) => kind === "warn").length;
  if (odd) return ["warn", `${odd} of ${many(workers.length, "worker")} ${odd === 1 ? "is" : "are"} not ready.`];
  const served = snapshot.models.filter((model) => model.workers.length).length;
  const resting = kinds.filter((kind) => kind === "off").length;
  const rest = resting ? ` ${resting} of them ${resting === 1 ? "rests" : "rest"}.` : "";
  const all = workers.length ? many(workers.length, "worker") : many(standbys, "standby", "standbys");
  return ["good", `All well: ${all} for ${many(served, "model")}.${rest}`];
}

export const oldestWait = (snapshot) =>
  Math.max(0, ...snapshot.models.map((model) => model.oldest_s ?? 0));

function tiles(snapshot, past) {
  const workers = servers(snapshot);
  const sum = (list, field) => list.reduce((all, each) => all + each[field], 0);
  const slots = sum(workers, "slots");
  const running = sum(workers, "running");
  const queued = sum(snapshot.models, "queued");
  const oldest = oldestWait(snapshot);
  const lately = (past?.hour.steps ?? []).slice(-5);
  const requests = lately.reduce((all, step) => all + step.requests, 0);
  const failed = lately.reduce((all, step) => all + step.failed, 0);
  const last = lately.findLast((step) => step.first_token_ms[0] !== null);
  return [
    { name: "Slots at work", value: String(running), unit: ` of ${slots}`,
      beside: slots ? `${Math.round((running / slots) * 100)} %` : "no worker accepts" },
    { name: "Waiting", value: count(queued), unit: "", beside: queued ? `the oldest for ${age(oldest)}` : "nobody waits" },
    { name: "Tokens per second", value: speed(sum(workers, "tokens_per_s")), unit: "", beside: "all workers, now" },
    { name: "First token", value: last ? time(last.first_token_ms[0]) : "–", unit: "",
      beside: last ? `95 %: up to ${time(last.first_token_ms[1])}` : "no request in 5 min" },
    { name: "Requests", value: count(requests), unit: " in 5 min", beside: failed ? `${failed} failed` : "none failed" },
  ];
}

function makeTile(tile) {
  const value = h("span");
  const unit = h("small");
  const beside = h("dd", { class: "beside" });
  const node = h("div", { class: "tile" }, h("dt", {}, tile.name), h("dd", {}, value, unit), beside);
  return {
    node,
    update(now) { say(value, now.value); say(unit, now.unit); say(beside, now.beside); },
  };
}
