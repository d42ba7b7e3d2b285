// Anthropic's own client.

import Anthropic from "@anthropic-ai/sdk";
import { ASK, CITIES, SCHEMA, TOKEN, URL_, call, check } from "./calls.mjs";

const NAME = "@anthropic-ai/sdk";
const client = new Anthropic({ baseURL: URL_, apiKey: TOKEN, maxRetries: 0, timeout: 60000 });
const messages = [{ role: "user", content: ASK }];
const model = "tiny";

await call(NAME, "messages", async () => {
  const answer = await client.messages.create({ model, messages, max_tokens: 40 });
  check(answer.content[0].text, "a text");
});
await call(NAME, "messages, streamed", async () => {
  const stream = client.messages.stream({ model, messages, max_tokens: 40 });
  check(await stream.finalText(), "a text");
});
await call(NAME, "messages, tool", async () => {
  const fields = { model, max_tokens: 200, tools: [{ name: "weather", input_schema: SCHEMA }] };
  const first = await client.messages.create({ ...fields, messages });
  const asked = first.content.find(block => block.type === "tool_use");
  check(CITIES.includes(asked.input.city), "arguments");
  const result = { type: "tool_result", tool_use_id: asked.id, content: "mild" };
  const turns = [
    ...messages,
    { role: "assistant", content: first.content },
    { role: "user", content: [result] },
  ];
  const second = await client.messages.create({ ...fields, messages: turns });
  check(second.content[0].text, "a text");
});
await call(NAME, "countTokens", async () => {
  const counted = await client.messages.countTokens({ model, messages });
  check(counted.input_tokens > ASK.length, "a number of tokens");
});
