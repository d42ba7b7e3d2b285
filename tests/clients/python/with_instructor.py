"""Instructor's ways to get an object out of a model."""

from typing import Any, Literal

import instructor
from calls import ASK, CITIES, TOKEN, URL, call
from openai import OpenAI
from pydantic import BaseModel

MESSAGES: Any = [{"role": "user", "content": ASK}]


class Place(BaseModel):
    """What the model is to fill in."""

    city: Literal["Paris", "Lima"]


def main() -> None:
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
        with call("instructor", mode.name):
            client = OpenAI(base_url=f"{URL}/v1", api_key=TOKEN, max_retries=0)
            asked = instructor.from_openai(client, mode=mode)
            place = asked.chat.completions.create(
                model="tiny", messages=MESSAGES, response_model=Place, max_retries=0
            )
            assert place.city in CITIES


if __name__ == "__main__":
    main()
