// Asks the API, with the token in a header.

import { token } from "./token.js";

const root = new URL(".", location.href);

export class Refused extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const address = (path) => new URL(path, root);

export async function ask(path, options = {}, bearer = token()) {
  let answer;
  try {
    answer = await fetch(address(path), {
      ...options, cache: "no-store", credentials: "omit",
      headers: { ...options.headers, Authorization: `Bearer ${bearer}` },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The API can't be reached.", "unreachable");
  }
  if (answer.ok) return answer;
  throw await refusal(answer);
}

async function refusal(answer) {
  let error = {};
  try { error = (await answer.json()).error ?? {}; } catch { /* it was no JSON */ }
  return new Refused(answer.status, error.message ?? `The API answered ${answer.status}.`, error.code);
}

export const data = async (path) => (await ask(`dashboard/data${path}`)).json();

export const order = async (what, about) =>
  (await ask(`dashboard/data/${what}`, {
    method: "POST", body: JSON.stringify(about), headers: { "Content-Type": "application/json" },
  })).json();

// The events of a stream (HTML §9.2), as [name, data].
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (let part; !(part = await reader.read()).done;) {
      text += part.value;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        const event = read(text.slice(0, end));
        text = text.slice(end + 2);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(event) {
  let name = "message";
  const lines = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) lines.push(line.slice(5).trimStart());
  }
  return lines.length ? [name, lines.join("\n")] : null;
}
