"""Requests about the prompt of a chat: how many tokens it has, or its text. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from api.endpoint import Asked, Work
from api.settings import ApiSettings
from api.unknown_fields import Unknown
from dispatcher.needs import Needs

A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, slots=True)
class AboutChat:
    """A checked request (`api.endpoint.Asked`) about the `chat` that its fields would make.

    `model` is empty where it names none.
    """

    model: str
    chat: Asked = field(repr=False)
    stream: bool = False
    choices: int = 1

    @property
    def needs(self) -> Needs:
        """See `api.endpoint.Asked`."""
        return replace(self.chat.needs, side=True)

    @property
    def fields(self) -> Mapping[str, Any]:
        """See `api.endpoint.Asked`."""
        return self.chat.fields

    @property
    def unknown(self) -> Unknown:
        """See `api.endpoint.Asked`."""
        return self.chat.unknown

    def of_model(self, model: str, context: int) -> "AboutChat":
        """See `api.endpoint.Asked`. No chat is too long for it."""
        return replace(self, model=model, chat=self.chat.of_model(model, 0))

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`. llama-server takes the body that it would get of the chat."""
        body = self.chat.work(subject, mean_completion, user).bodies[0]
        return Work(self.model, [body], frozenset(), self.needs)


def about(parse: Callable[[bytes, ApiSettings], A]) -> Callable[[bytes, ApiSettings], AboutChat]:
    """A reader of what `parse` reads."""

    def read(body: bytes, settings: ApiSettings) -> AboutChat:
        chat = parse(body, settings)
        return AboutChat(chat.model, chat)

    return read
