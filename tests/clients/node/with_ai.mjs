// Vercel's AI SDK, over each of its providers that can be pointed at llamaq.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ASK, CITIES, TOKEN, URL_, call, check } from "./calls.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: `${URL_}/v1`, apiKey: TOKEN });
const compatible = createOpenAICompatible({
  name: "llamaq", baseURL: `${URL_}/v1`, apiKey: TOKEN, supportsStructuredOutputs: true,
  includeUsage: true,
});
const anthropic = createAnthropic({ baseURL: `${URL_}/v1`, apiKey: TOKEN });
const models = {
  "@ai-sdk/openai": [["responses", openai("tiny")], ["chat", openai.chat("tiny")]],
  "@ai-sdk/openai-compatible": [["chat", compatible("tiny")]],
  "@ai-sdk/anthropic": [["messages", anthropic("tiny")]],
};
const place = z.object({ city: z.enum(CITIES) });
const common = { prompt: ASK, maxRetries: 0 };

for (const [name, ways] of Object.entries(models)) {
  for (const [way, model] of ways) {
    await call(name, `${way}, generateText`, async () => {
      const answer = await generateText({ ...common, model, maxOutputTokens: 40 });
      check(answer.text, "a text");
    });
    await call(name, `${way}, streamText`, async () => {
      const faults = [];
      const stream = streamText({
        ...common, model, maxOutputTokens: 40, onError: ({ error }) => faults.push(error),
      });
      const text = await stream.text;
      if (faults.length) throw faults[0];
      check(text, "a text");
      check((await stream.usage).outputTokens > 0, "usage");
    });
    await call(name, `${way}, tool`, async () => {
      const told = [];
      const weather = tool({
        description: "Tells the weather.", inputSchema: place,
        execute: async ({ city }) => { told.push(city); return "mild"; },
      });
      const answer = await generateText({
        ...common, model, tools: { weather }, stopWhen: stepCountIs(3),
      });
      check(CITIES.includes(told[0]), "the tool was called");
      check(answer.text, "a text");
    });
    await call(name, `${way}, generateObject`, async () => {
      const answer = await generateObject({ ...common, model, schema: place });
      check(CITIES.includes(answer.object.city), "an object");
    });
  }
}
for (const [name, provider] of [["@ai-sdk/openai", openai], ["@ai-sdk/openai-compatible", compatible]]) {
  await call(name, "completionModel", async () => {
    const model = (provider.completionModel ?? provider.completion)("tiny");
    check((await generateText({ ...common, model, maxOutputTokens: 20 })).text, "a text");
  });
  await call(name, "embedMany", async () => {
    const model = (provider.embeddingModel ?? provider.textEmbeddingModel)("embeds");
    const answer = await embedMany({ model, values: ["one", "two"], maxRetries: 0 });
    check(answer.embeddings.every(each => each.length === 32), "two vectors");
  });
}
