// What each client's program needs: where llamaq is, and how to say what became of a call.

import { readFileSync } from "node:fs";

export const URL_ = process.env.LLAMAQ_URL;
export const TOKEN = process.env.LLAMAQ_TOKEN;
export const CITIES = ["Paris", "Lima"];
export const ASK = "Tell me something.";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: CITIES } },
  required: ["city"],
  additionalProperties: false,
};

export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}

// One ordinary call of a client: reports it as failed where something is thrown.
export async function call(name, title, ask) {
  let why = "";
  try {
    await ask();
  } catch (error) {
    console.error(error);
    why = `${error.name}: ${error.message}`;
  }
  const about = new URL(`node_modules/${name}/package.json`, import.meta.url);
  const client = `${name} ${JSON.parse(readFileSync(about)).version} (npm)`;
  console.log(JSON.stringify({ client, call: title, why }));
}
