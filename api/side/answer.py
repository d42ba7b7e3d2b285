"""The answer to a side request in the words of Anthropic's clients. Pure."""

from api.bodies import BodyAssembly, value_of
from api.json_text import compact


class MessageCount(BodyAssembly):
    """How many tokens a message has, as Anthropic's clients read it."""

    def body(self) -> bytes:
        """See `Assembly`."""
        return compact({"input_tokens": value_of(super().body())["input_tokens"]})
