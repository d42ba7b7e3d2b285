// A small chat to try a model. What is said stays in this page.

import { ask, events } from "./api.js";
import { byId, h, say } from "./dom.js";
import { speed, time } from "./format.js";
import { announce } from "./speech.js";
import { token } from "./token.js";

const STARTERS = ["Tell me a story about a llama.", "Count from 1 to 50.", "What can you do?"];

let talk = [];
let running = null;

export function setUpChat() {
  const text = byId("chat-text");
  byId("chat-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  byId("chat-stop").addEventListener("click", () => running?.abort());
  byId("chat-clear").addEventListener("click", clear);
  clear();
}

export function offerChatModels(models) {
  const select = byId("chat-model");
  const names = models.filter((model) => model.makes_text && model.workers.length).map((model) => model.model);
  if ([...select.options].map((option) => option.value).join("\n") === names.join("\n")) return;
  const { value } = select;
  select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
  if (names.includes(value)) select.value = value;
  byId("chat-send").disabled = !names.length;
}

function clear() {
  running?.abort();
  talk = [];
  byId("talk").replaceChildren(h("div", { class: "starters" },
    h("p", { class: "muted" }, "Ask something below, or begin with one of these. The answer streams as the model makes it."),
    h("p", {}, STARTERS.map((text) => h("button", { type: "button", onclick: () => begin(text) }, text)))));
  byId("chat-text").focus({ preventScroll: true });
}

function begin(text) {
  byId("chat-text").value = text;
  byId("chat-text").focus();
  send();
}

async function send() {
  const box = byId("chat-text");
  const text = box.value.trim();
  if (!text || running || byId("chat-send").disabled) return;
  if (!talk.length) byId("talk").replaceChildren();
  talk.push({ role: "user", content: text });
  add("user", "You", text);
  box.value = "";
  const shown = add("assistant", byId("chat-model").value, "");
  setBusy(true);
  try {
    const answer = await stream(shown);
    talk.push({ role: "assistant", content: answer });
  } catch (error) {
    tellOf(error, shown);
  } finally {
    setBusy(false);
  }
}

function tellOf(error, shown) {
  if (error.name === "AbortError") {
    say(shown.figures, "Stopped.");
    talk.push({ role: "assistant", content: shown.words.textContent });
    announce("Stopped.");
    return;
  }
  talk.pop();
  shown.node.append(h("p", { class: "trouble" }, error.message));
  announce(`The answer failed. ${error.message}`);
}

function setBusy(is_busy) {
  running = is_busy ? new AbortController() : null;
  const [button, other] = [byId("chat-send"), byId("chat-stop")];
  const had = document.activeElement === (is_busy ? button : other);
  button.hidden = is_busy;
  other.hidden = !is_busy;
  if (had) (is_busy ? other : byId("chat-text")).focus();
  byId("talk").setAttribute("aria-busy", String(is_busy));
}

function add(role, who, text) {
  const words = h("p", { class: "words" }, text);
  const figures = h("p", { class: "figures" });
  const node = h("div", { class: `said ${role}` }, h("p", { class: "who" }, who), words);
  if (role === "assistant") node.append(figures);
  const place = byId("talk");
  place.append(node);
  place.scrollTop = place.scrollHeight;
  return { node, words, figures };
}

function body() {
  const system = byId("chat-system").value.trim();
  const length = Number.parseInt(byId("chat-length").value, 10);
  return JSON.stringify({
    model: byId("chat-model").value, stream: true, stream_options: { include_usage: true },
    ...(length > 0 ? { max_tokens: length } : {}),
    messages: [...(system ? [{ role: "system", content: system }] : []), ...talk],
  });
}

async function stream(shown) {
  const began = performance.now();
  const answer = await ask("v1/chat/completions", {
    method: "POST", body: body(), signal: running.signal, headers: { "Content-Type": "application/json" },
  }, byId("chat-token").value.trim() || token());
  const figures = { began, first: 0, tokens: 0, worker: answer.headers.get("x-llamaq-worker") ?? "", usage: null };
  let text = "";
  let thought = null;
  for await (const [, data] of events(answer)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    figures.usage = chunk.usage ?? figures.usage;
    const delta = chunk.choices?.[0]?.delta ?? {};
    if (delta.reasoning_content) {
      thought ??= shown.node.insertBefore(h("p", { class: "thought" }), shown.words);
      thought.append(delta.reasoning_content);
    }
    if (delta.content || delta.reasoning_content) {
      figures.first ||= performance.now();
      figures.tokens += 1;
    }
    if (delta.content) {
      text += delta.content;
      shown.words.append(delta.content);
      follow();
    }
    say(shown.figures, told(figures, false));
  }
  say(shown.figures, told(figures, true));
  follow();
  announce("The answer is complete.");
  return text;
}

function follow() {
  const place = byId("talk");
  if (place.scrollHeight - place.scrollTop - place.clientHeight < 120) place.scrollTop = place.scrollHeight;
}

function told(figures, is_over) {
  const made = is_over ? figures.usage?.completion_tokens ?? figures.tokens : figures.tokens;
  const seconds = (performance.now() - figures.first) / 1000;
  const words = [
    figures.worker, figures.first ? `first token after ${time(figures.first - figures.began)}` : "waiting…",
    made ? `${made} tokens` : "", made > 1 && seconds > 0.02 ? `${speed((made - 1) / seconds)} tokens/s` : "",
  ];
  const cached = figures.usage?.prompt_tokens_details?.cached_tokens;
  if (is_over && cached !== undefined) words.push(`${cached} of ${figures.usage.prompt_tokens} prompt tokens cached`);
  return words.filter(Boolean).join(" · ");
}
