"""A request with an `Idempotency-Key` runs once, though it is sent twice."""

import os
import uuid

import httpx

headers = {
    "Authorization": f"Bearer {os.environ['LLAMAQ_TOKEN']}",
    "Idempotency-Key": str(uuid.uuid4()),
}
with httpx.Client(base_url=os.environ["LLAMAQ_URL"], headers=headers, timeout=600) as client:
    model = client.get("/v1/models").json()["data"][0]["id"]
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "A number, please"}],
        "max_tokens": 8,
    }
    first, second = (client.post("/v1/chat/completions", json=body) for _ in range(2))

assert first.json() == second.json()
print(f"The second answer is that of {second.headers['x-llamaq-original-request']}.")
