"""What the token's owner has used this month, by model."""

import os

import httpx

headers = {"Authorization": f"Bearer {os.environ['LLAMAQ_TOKEN']}"}
url = f"{os.environ['LLAMAQ_URL']}/v1/usage?group_by=model"
usage = httpx.get(url, headers=headers).raise_for_status().json()

print(f"{usage['tenant']}, {usage['from']} to {usage['to']}")
for row in [*usage["data"], {"model": "in all", **usage["total"]}]:
    print(
        f"{row['model']:20} {row['requests']:6} requests  {row['prompt_tokens']:8} tokens read"
        f"  {row['completion_tokens']:8} written  {row['slot_seconds']:9.1f} s of a slot"
    )
