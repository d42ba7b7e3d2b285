"""A hundred requests at once in the `flex` tier: chats of others go first.

After a refusal with 429 or 503 the client tries again by itself, when `Retry-After` says.
"""

import asyncio
import os
from collections import Counter

from openai import AsyncOpenAI

client = AsyncOpenAI(
    base_url=f"{os.environ['LLAMAQ_URL']}/v1",
    api_key=os.environ["LLAMAQ_TOKEN"],
    max_retries=10,
    timeout=600,
)


async def ask(model: str, number: int) -> str:
    """Returns the worker that answered."""
    answer = await client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": f"A sentence about the number {number}."}],
        max_tokens=8,
        service_tier="flex",
    )
    return answer.headers["x-llamaq-worker"]


async def main(requests: int = int(os.environ.get("REQUESTS", "100"))) -> None:
    model = (await client.models.list()).data[0].id
    workers = Counter(await asyncio.gather(*(ask(model, number) for number in range(requests))))
    for worker, count in workers.most_common():
        print(f"{worker}: {count} answers")


asyncio.run(main())
