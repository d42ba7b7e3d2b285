"""The only client of llama-server."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx

from worker_bridge.chat_connection import ChatConnection, post
from worker_bridge.verdict import Fault, judge

# What tells models apart that have the same alias.
_SIZES = "size", "n_params", "n_embd", "n_vocab"
_MOST_ALIASES = 100
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


class Answer(StrEnum):
    """What a look at the server came back with."""

    OK = "ok"
    LOADING = "loading"
    REFUSED = "refused"  # nobody listens: the process is dead
    UNREACHABLE = "unreachable"  # no way to its machine; the process may live
    SILENT = "silent"  # no answer in time
    UNAUTHORIZED = "unauthorized"
    STRANGE = "strange"  # something answers, but not as a llama-server does
    FAILED = "failed"  # it can't do what it was asked for


_OWN_REQUEST = {
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 1,
    "cache_prompt": False,
    "stream": False,
}
_ANSWERS = {
    **dict.fromkeys((Fault.REQUEST, Fault.CONTEXT, Fault.MODEL), Answer.OK),
    **dict.fromkeys((Fault.WORKER, Fault.UNSURE), Answer.FAILED),
}


@dataclass(frozen=True, slots=True)
class Props:
    """What a llama-server says of itself. `context` is per slot, in tokens.

    `modalities` are what it takes besides text: `vision`, `video`, `audio`. `process` is another
    after a restart; empty where the server doesn't tell. `names` are all that it has for the model.
    """

    model_id: str
    slots: int
    context: int
    build: str
    fingerprint: str
    sleeping: bool
    modalities: frozenset[str]
    process: str
    names: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The alias, else the file's name without `.gguf` and without the number of its shard."""
        name = PurePosixPath(self.model_id.replace("\\", "/")).name
        return _SHARD.sub("", name.removesuffix(".gguf"))


class LlamaServer:
    """One llama-server at `url`.

    Each request has a connection of its own: the server closes idle ones as it likes, and a request
    on a connection that is being closed can't be told from one that failed.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._chat_url = urlsplit(f"{self.url}/v1/chat/completions")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers=self._headers,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def chat(self, body: bytes) -> AsyncIterator[ChatConnection]:
        """Sends a chat request; leaving the context drops the connection, which frees the slot.

        The answer's status and headers are there. Raises `ConnectionBroken`.
        """
        connection = await post(self._chat_url, self._headers, body)
        try:
            await connection.headers()
            yield connection
        finally:
            connection.close()

    async def health(self, timeout_s: float) -> Answer:
        """Whether the process answers and its model is loaded; costs the engine nothing."""
        answer, _ = await self._look("/health", timeout_s)
        return answer

    async def props(self, timeout_s: float) -> tuple[Answer, Props | None]:
        """What the server says of itself; costs the engine nothing."""
        answer, props = await self._look("/props", timeout_s)
        if answer is not Answer.OK:
            return answer, None
        answer, models = await self._look("/v1/models", timeout_s)
        if answer is not Answer.OK:
            return answer, None
        try:
            return Answer.OK, _read_props(props, models)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return Answer.STRANGE, None

    async def look_at(self, path: str, timeout_s: float) -> tuple[int, str, Any]:
        """The status, the text and the JSON value of an answer; status 0 where there is none."""
        try:
            response = await self._client.get(path, timeout=timeout_s)
        except httpx.HTTPError:
            return 0, "", None
        return response.status_code, response.text, _parse(response.content)

    async def busy_slots(self, timeout_s: float) -> tuple[Answer, int]:
        """How many slots are at work. Asks the engine: a wedged one stays silent."""
        answer, slots = await self._look("/slots", timeout_s)
        if answer is not Answer.OK or not isinstance(slots, list):
            return answer, 0
        return answer, sum(bool(slot.get("is_processing")) for slot in slots)

    async def generate(self, timeout_s: float) -> Answer:
        """Asks it for a token, as a client would. A refusal of that request is an answer too."""
        response = await self._send("POST", "/v1/chat/completions", timeout_s, json=_OWN_REQUEST)
        if isinstance(response, Answer):
            return response
        if response.status_code == 200:
            return Answer.OK
        fault = judge(response.status_code, response.content).fault
        return _ANSWERS.get(fault, Answer.STRANGE)

    async def _look(self, path: str, timeout_s: float) -> tuple[Answer, Any]:
        response = await self._send("GET", path, timeout_s)
        if isinstance(response, Answer):
            return response, None
        if response.status_code == 200:
            return Answer.OK, _parse(response.content)
        if response.status_code == 503:
            return Answer.LOADING, None
        return (Answer.UNAUTHORIZED if response.status_code == 401 else Answer.STRANGE), None

    async def _send(
        self, method: str, path: str, timeout_s: float, **content: Any
    ) -> httpx.Response | Answer:
        try:
            return await self._client.request(method, path, timeout=timeout_s, **content)
        except httpx.ConnectError as error:
            return Answer.REFUSED if _is_refusal(error) else Answer.UNREACHABLE
        except httpx.HTTPError:
            return Answer.SILENT


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):  # a name with several addresses
        return all(_is_refusal(each) for each in error.exceptions)
    cause = error.__cause__ or error.__context__
    return isinstance(error, ConnectionRefusedError) or (cause is not None and _is_refusal(cause))


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _read_props(props: Any, models: Any) -> Props:
    build, form = str(props.get("build_info", "")), str(props.get("model_ftype", ""))
    template = str(props.get("chat_template", ""))
    model_id = str(models["data"][0]["id"])
    aliases = models["data"][0].get("aliases")
    about = models["data"][0].get("meta") or {}
    sizes = [str(about.get(name, "")) for name in _SIZES]
    kind = "\0".join((build, form, template, PurePosixPath(model_id).name, *sizes))
    return Props(
        model_id=model_id,
        slots=int(props["total_slots"]),
        context=int(props["default_generation_settings"]["n_ctx"]),
        build=build,
        fingerprint=hashlib.sha256(kind.encode()).hexdigest()[:16],
        sleeping=bool(props.get("is_sleeping")),
        modalities=_read_modalities(props.get("modalities")),
        process=str(props.get("media_marker") or ""),
        names=(model_id, *_read_aliases(aliases)),
    )


def _read_aliases(said: Any) -> Iterator[str]:
    if isinstance(said, list):  # older builds have none
        yield from (name for name in said[:_MOST_ALIASES] if isinstance(name, str))


def _read_modalities(said: Any) -> frozenset[str]:
    if not isinstance(said, dict):  # a build that doesn't tell
        return frozenset()
    return frozenset(name for name, has in said.items() if has is True)
