"""While somebody types: a newer request takes the place of the older one in the queue.

An older one that still waits gets 409. A running one goes on.
"""

import asyncio
import os

import httpx

TYPED = ["def area", "def area(radius", "def area(radius):", "def area(radius): return"]


async def complete(client: httpx.AsyncClient, model: str, text: str) -> str:
    """Returns the completion, or why there is none."""
    body = {"model": model, "prompt": text, "max_tokens": 8}
    answer = await client.post("/v1/completions", json=body)
    if answer.status_code == 409:
        return "(a newer request took its place)"
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["text"])


async def main() -> None:
    headers = {
        "Authorization": f"Bearer {os.environ['LLAMAQ_TOKEN']}",
        "x-llamaq-supersede": "the editor's tab 1",
    }
    url = os.environ["LLAMAQ_URL"]
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600) as client:
        model = (await client.get("/v1/models")).json()["data"][0]["id"]
        asked = [asyncio.create_task(complete(client, model, text)) for text in TYPED]
        for text, answer in zip(TYPED, await asyncio.gather(*asked), strict=True):
            print(f"{text!r}: {answer!r}")


asyncio.run(main())
