// The answer to "is all well?": one sentence that names what needs help, and what that means.

import { byId, h, keep, say, shape } from "./dom.js";
import { age, many } from "./format.js";
import { ADVICE, workerState } from "./workers.js";

export const LATE_S = 30;
const MOST_NAMES = 2;
const PREDICATES = {
  "another version": "speaks another protocol",
  "breaker open": "fails too often",
  "could not load": "could not load its model",
};

export const servers = (snapshot) =>
  snapshot.models.flatMap((model) => model.workers).filter((worker) => !worker.is_standby);

export const oldestWait = (snapshot) =>
  Math.max(0, ...snapshot.models.map((model) => model.oldest_s ?? 0));

// The kind of state, the sentence, and what there is to add to it.
export function verdict(snapshot) {
  const workers = snapshot.models.flatMap((model) => model.workers);
  if (!workers.length) return ["off", snapshot.models.length ? "No worker is here now." : "No worker has joined yet.", ""];
  // A standby is expected to have no server; one that failed at loading is not.
  const states = workers.map((worker) => [worker, ...workerState(worker)])
    .filter(([worker, kind]) => !worker.is_standby || kind === "bad");
  return trouble(snapshot, states) ?? wait(snapshot) ?? unready(states) ?? well(snapshot, states);
}

const are = (states, kind) => states.filter(([, each]) => each === kind);

function trouble(snapshot, states) {
  const down = are(states, "bad");
  if (down.length) return ["bad", ...tellOfDown(down, states)];
  const unserved = snapshot.models.find((model) => model.queued && !model.workers.length);
  if (!unserved) return null;
  return ["bad", `Requests wait for ${unserved.model}, and nobody serves it.`, "Start its llama-server and its bridge."];
}

function tellOfDown(down, states) {
  const good = are(states, "good").length;
  const others = good ? `${many(good, "other")} ${good === 1 ? "serves" : "serve"}.` : "No worker serves.";
  const [[worker, , word]] = down;
  if (down.length === 1) {
    const advice = worker.reason ? sentence(worker.reason) : ADVICE[word] ?? "";
    return [`${worker.id} ${PREDICATES[word] ?? `is ${word}`}.`, `${advice} ${others}`.trim()];
  }
  const names = down.slice(0, MOST_NAMES).map(([each, , its]) => `${each.id}: ${its}`);
  const more = down.length > MOST_NAMES ? `, and ${down.length - MOST_NAMES} more` : "";
  return [`${down.length} of ${many(states.length, "worker")} need help.`, `${names.join(", ")}${more}. ${others}`];
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

function wait(snapshot) {
  const oldest = oldestWait(snapshot);
  if (oldest <= LATE_S) return null;
  const tenant = snapshot.models.flatMap((model) => model.requests)
    .filter((request) => request.state === "queued")
    .reduce((one, other) => (one && one.since_s >= other.since_s ? one : other), null)?.tenant;
  return ["warn", `Busy: a request has waited for ${age(oldest)}.`, tenant ? `Its tenant is ${tenant}.` : ""];
}

function unready(states) {
  const odd = are(states, "warn");
  if (!odd.length) return null;
  const names = odd.slice(0, MOST_NAMES).map(([worker, , word]) => `${worker.id}: ${word}`);
  const more = odd.length > MOST_NAMES ? `, and ${odd.length - MOST_NAMES} more` : "";
  return ["warn", `${odd.length} of ${many(states.length, "worker")} ${odd.length === 1 ? "is" : "are"} not ready.`, `${names.join(", ")}${more}.`];
}

function well(snapshot, states) {
  const workers = servers(snapshot);
  const served = snapshot.models.filter((model) => model.workers.length).length;
  const resting = are(states, "off").length;
  const standbys = snapshot.models.flatMap((model) => model.workers).length - workers.length;
  const all = workers.length ? many(workers.length, "worker") : many(standbys, "standby", "standbys");
  const rest = resting ? `${resting} of them ${resting === 1 ? "rests" : "rest"}.` : "";
  return ["good", `All well: ${all} for ${many(served, "model")}.`, rest];
}

export function showVerdict(snapshot) {
  const [kind, text, more] = verdict(snapshot);
  const box = byId("verdict-box");
  const title = byId("verdict");
  if (box.dataset.kind !== kind) {
    box.dataset.kind = kind;
    title.replaceChildren(shape(kind), h("span"));
    keep(byId("fleet-mark"), kind === "bad" || kind === "warn" ? [kind] : [], (each) => each, makeMark);
  }
  say(title.lastChild, text);
  say(byId("verdict-more"), more);
}

// In the bar, so that other views tell of it too.
function makeMark(kind) {
  const words = kind === "bad" ? " (needs help)" : " (not all well)";
  return { node: h("span", { class: "mark-of" }, shape(kind), h("span", { class: "unseen" }, words)), update() {} };
}
