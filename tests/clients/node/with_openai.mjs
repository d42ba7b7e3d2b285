// OpenAI's own client.

import OpenAI, { toFile } from "openai";
import { ASK, CITIES, SCHEMA, TOKEN, URL_, call, check } from "./calls.mjs";

const client = new OpenAI({ baseURL: `${URL_}/v1`, apiKey: TOKEN, maxRetries: 0, timeout: 60000 });
const messages = [{ role: "user", content: ASK }];
const model = "tiny";

await call("openai", "models", async () => {
  const found = await client.models.list();
  check(found.data.some(each => each.id === model), "the model is listed");
});
await call("openai", "chat", async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 40 });
  check(answer.choices[0].message.content, "a text");
});
await call("openai", "chat, streamed", async () => {
  const stream = client.chat.completions.stream({
    model, messages, max_tokens: 40, stream_options: { include_usage: true },
  });
  check(await stream.finalContent(), "a text");
  check((await stream.totalUsage()).completion_tokens, "usage");
});
await call("openai", "chat, broken off", async () => {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  for await (const _ of stream) break;
});
await call("openai", "chat, tool", async () => {
  const told = [];
  const weather = {
    name: "weather", parameters: SCHEMA, parse: JSON.parse,
    function: ({ city }) => { told.push(city); return "mild"; },
  };
  const run = client.chat.completions.runTools({
    model, messages, tools: [{ type: "function", function: weather }],
  });
  check(await run.finalContent(), "a text");
  check(CITIES.includes(told[0]), "the tool was called");
});
await call("openai", "responses", async () => {
  const answer = await client.responses.create({ model, input: ASK, max_output_tokens: 40 });
  check(answer.output_text, "a text");
});
await call("openai", "responses, streamed", async () => {
  const stream = client.responses.stream({ model, input: ASK, max_output_tokens: 40 });
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  check(text, "a text");
});
await call("openai", "responses, structured, streamed", async () => {
  const format = { type: "json_schema", name: "place", schema: SCHEMA, strict: true };
  const stream = client.responses.stream({ model, input: ASK, text: { format } });
  check(CITIES.includes(JSON.parse((await stream.finalResponse()).output_text).city), "a city");
});
await call("openai", "responses, tool", async () => {
  const tools = [{ type: "function", name: "weather", parameters: SCHEMA, strict: true }];
  const first = await client.responses.create({ model, input: ASK, tools });
  const asked = first.output.find(item => item.type === "function_call");
  check(CITIES.includes(JSON.parse(asked.arguments).city), "arguments");
  const result = { type: "function_call_output", call_id: asked.call_id, output: "mild" };
  const input = [{ role: "user", content: ASK }, asked, result];
  const second = await client.responses.create({ model, input, tools, max_output_tokens: 40 });
  check(second.output_text, "a text");
});
await call("openai", "completions", async () => {
  const answer = await client.completions.create({ model, prompt: "Once", max_tokens: 20 });
  check(answer.choices[0].text, "a text");
});
await call("openai", "completions, streamed", async () => {
  const asked = { model, prompt: "Once", max_tokens: 20, stream: true };
  let text = "";
  for await (const chunk of await client.completions.create(asked)) text += chunk.choices[0]?.text ?? "";
  check(text, "a text");
});
await call("openai", "embeddings", async () => {
  const answer = await client.embeddings.create({ model: "embeds", input: ["one", "two"] });
  check(answer.data.every(each => each.embedding.length === 32), "two vectors");
});
await call("openai", "transcriptions", async () => {
  const file = await toFile(sound(), "a.wav");
  const answer = await client.audio.transcriptions.create({ model: "long", file });
  check(typeof answer.text === "string", "a text");
});

// A quarter of a second of silence, as a WAV file.
function sound() {
  const [rate, bytes] = [16000, 8000];
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write("WAVEfmt ", 8);
  [16, 1 << 16 | 1, rate, 2 * rate, 16 << 16 | 2].forEach((word, n) => head.writeUInt32LE(word, 16 + 4 * n));
  head.write("data", 36);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
}
