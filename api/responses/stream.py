"""Turns the chunks of a chat into the events of the Responses API. Pure."""

from dataclasses import replace
from typing import Any

from api.chat.text_chunk import TEXT
from api.endpoint import Piece
from api.errors import ApiError
from api.failure import ended_early, restarted, unreadable
from api.json_text import compact, read
from api.responses.answer import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    Frame,
    status_of,
    tool_named,
    usage_of,
)
from api.responses.events import CallItem, Numbered, TextItem
from api.responses.request import ResponsesRequest
from api.sse import data_of, split

Json = dict[str, Any]


class ResponsesShape:
    """A stream of events (`api.endpoint.Shape`): the items of the answer one after the other.

    It begins with the first news of its prompt. While a long one is read it says now and then that
    it is in progress: Codex waits for five minutes at most.
    """

    def __init__(self, asked: ResponsesRequest, request_id: str) -> None:
        self._id = request_id
        self._is_timed = asked.chat.timings_per_token
        self._tells_progress = asked.tells_progress
        self._prefill = asked.chat.prefill
        self._tools = asked.tools
        self._numbered = Numbered()
        self._frame = Frame(f"resp_{request_id}", 0, asked.model, asked.repeated)
        self._items: list[TextItem | CallItem] = []
        self._text: TextItem | None = None
        self._call: CallItem | None = None
        self._open: bytes | int = b""  # what chunks call the open item, or the number of its call
        self._last: Json = {}
        self._finish_reason = ""
        self._usage: Json | None = None

    def take(self, piece: Piece) -> bytes:
        """See `Shape`."""
        if piece.restart:
            return restarted(bool(self._last))
        shown = []
        for one in split(piece.events):
            text, item = TEXT.match(one), self._text
            if text and item and text[1] == self._open and not self._is_timed:
                shown.append(item.raw_delta(text[2]))
            else:
                shown += self._read(data_of(one))
        return b"".join(shown)

    def end(self) -> bytes:
        """See `Shape`."""
        if not self._finish_reason:
            raise ended_early()
        status = status_of(self._finish_reason)
        closed = self._close(status)
        response = self._frame.response(
            status,
            completed_at=self._last.get("created", 0) if status == COMPLETED else None,
            output=[item.shown for item in self._items],
            usage=usage_of(self._usage),
        )
        return closed + self._about(f"response.{status}", response, _told(self._last))

    def fail(self, error: ApiError) -> bytes:
        """See `Shape`.

        The event `error` has the fields that OpenAI documents, and the object that its servers
        send. Clients read one or the other.
        """
        said = error.body()["error"]
        shown = self._numbered.event("error", {"error": said, **said, "type": "error"})
        if not self._last:
            return shown
        response = self._frame.response(
            FAILED,
            error={"code": said["code"], "message": said["message"]},
            output=[item.shown for item in self._items if item.shown],
            usage=usage_of(self._usage),
        )
        return shown + self._about("response.failed", response, {})

    def _read(self, data: bytes) -> list[bytes]:
        if not data.startswith(b"{"):
            return []
        try:
            return self._read_chunk(read(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable() from error

    def _read_chunk(self, chunk: Json) -> list[bytes]:
        is_first, self._last, told = not self._last, chunk, _told(chunk)
        shown = self._begin(chunk) if is_first else []
        self._usage = chunk.get("usage", self._usage)
        if "prompt_progress" in chunk and not self._items:
            is_news = self._tells_progress or not (is_first or _is_done(chunk["prompt_progress"]))
            shown += [self._in_progress(told if self._tells_progress else {})] if is_news else []
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            shown += self._read_delta(choice, told)
        return shown

    def _begin(self, chunk: Json) -> list[bytes]:
        self._frame = replace(
            self._frame,
            created=chunk.get("created", 0),
            model=chunk.get("model", self._frame.model),
        )
        created = self._about("response.created", self._frame.response(IN_PROGRESS), {})
        return [created, self._in_progress({})]

    def _in_progress(self, told: Json) -> bytes:
        return self._about("response.in_progress", self._frame.response(IN_PROGRESS), told)

    def _read_delta(self, choice: Json, told: Json) -> list[bytes]:
        delta, shown = choice["delta"], []
        for name, is_thought in (("reasoning_content", True), ("content", False)):
            if text := delta.get(name):
                logprobs = (choice.get("logprobs") or {}).get("content", [])
                opened, item = self._text_item(name.encode(), is_thought=is_thought)
                shown += [opened, item.delta(text, logprobs, told)]
        for part in delta.get("tool_calls", ()):
            opened, call = self._call_item(part)
            shown += [opened, call.delta(part.get("function", {}).get("arguments") or "")]
        return shown

    def _text_item(self, name: bytes, *, is_thought: bool) -> tuple[bytes, TextItem]:
        """The item that a text belongs to, and the events that open it if it is a new one."""
        if self._text is not None and self._open == name:
            return b"", self._text
        closed, index = self._close(COMPLETED), len(self._items)
        id_ = f"{'rs' if is_thought else 'msg'}_{self._id}_{index}"
        prefill = "" if is_thought else self._prefill
        item = TextItem(self._numbered, index, id_, is_thought=is_thought, prefill=prefill)
        self._text, self._open = item, name
        self._prefill = self._prefill if is_thought else ""
        self._items.append(item)
        return closed + item.open(), item

    def _call_item(self, part: Json) -> tuple[bytes, CallItem]:
        """The item that a part of a call belongs to, and the events that open it if it is new."""
        if self._call is not None and self._open == part["index"]:
            return b"", self._call
        closed, index = self._close(COMPLETED), len(self._items)
        tool = tool_named(part["function"]["name"], self._tools)
        call_id = part.get("id") or f"call_{self._id}_{index}"
        id_ = f"fc_{self._id}_{index}"
        self._call = item = CallItem(self._numbered, index, id_, call_id, tool)
        self._open = part["index"]
        self._items.append(item)
        return closed + item.open(), item

    def _close(self, status: str) -> bytes:
        """The events that end the open item."""
        is_open = self._text is not None or self._call is not None
        self._text = self._call = None
        return self._items[-1].close(status) if is_open else b""

    def _about(self, name: str, response: bytes, told: Json) -> bytes:
        more = b",%b" % compact(told)[1:-1] if told else b""
        return self._numbered.raw_event(name, b'"response":%b%b' % (response, more))


def _is_done(progress: Json) -> bool:
    return bool(progress["processed"] == progress["total"])


def _told(chunk: Json) -> Json:
    """What llama-server tells beside the answer."""
    return {name: chunk[name] for name in ("timings", "prompt_progress") if name in chunk}
