"""Anthropic's client: its base URL has no `/v1`."""

import os

from anthropic import Anthropic
from openai import OpenAI

url, token = os.environ["LLAMAQ_URL"], os.environ["LLAMAQ_TOKEN"]
model = OpenAI(base_url=f"{url}/v1", api_key=token).models.list().data[0].id

client = Anthropic(base_url=url, api_key=token)
message = client.messages.create(
    model=model, max_tokens=40, messages=[{"role": "user", "content": "Who are you?"}]
)
print(message.content[0].text)
print(f"{message.usage.input_tokens} tokens read, {message.usage.output_tokens} written")
