// What a screen reader is told: only what has changed and matters, and never more than once in 2 s.

import { byId } from "./dom.js";

const waiting = [];
let timer = 0;

export function announce(text) {
  if (!waiting.includes(text)) waiting.push(text);
  if (!timer) timer = setTimeout(speak, 300);
}

function speak() {
  byId("spoken").textContent = waiting.splice(0).slice(-4).join(" ");
  timer = setTimeout(() => { timer = 0; if (waiting.length) speak(); }, 2000);
}
