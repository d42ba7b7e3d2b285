"""Four chats at a time, by the official client: `client.py URL TOKEN`. Prints who answered each."""

import asyncio
import sys

from openai import AsyncOpenAI


async def ask(client: AsyncOpenAI) -> str:
    raw = await client.chat.completions.with_raw_response.create(
        model="trial",
        messages=[{"role": "user", "content": "Hello!"}],
        max_tokens=400,
        extra_body={"ignore_eos": True},
    )
    tokens = raw.parse().usage.completion_tokens
    return f"{tokens} tokens by {raw.headers['x-llamaq-worker']}"


async def main() -> None:
    async with AsyncOpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0) as client:
        print(*await asyncio.gather(*(ask(client) for _ in range(4))), sep="\n")


asyncio.run(main())
