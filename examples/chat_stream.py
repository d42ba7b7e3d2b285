"""A streamed chat with OpenAI's client, and which worker answered."""

import os
import sys

from openai import OpenAI

client = OpenAI(base_url=f"{os.environ['LLAMAQ_URL']}/v1", api_key=os.environ["LLAMAQ_TOKEN"])
model = client.models.list().data[0].id
question = " ".join(sys.argv[1:]) or "Why do machines pull their work?"

stream = client.chat.completions.with_raw_response.create(
    model=model,
    messages=[{"role": "user", "content": question}],
    max_tokens=40,
    stream=True,
)
print(f"{stream.headers['x-llamaq-worker']} answers for {model}:")
for chunk in stream.parse():
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
