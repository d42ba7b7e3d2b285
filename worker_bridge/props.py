"""What a llama-server says of itself, read from its `/props` and `/v1/models`. Pure."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

# Tells models of the same alias apart.
_SIZES = "size", "n_params", "n_embd", "n_vocab"
_MOST_ALIASES = 100
_MOST_CHARS = 60
_LARGEST = 10**15
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class Props:
    """What a llama-server says of itself. `context` is per slot, in tokens.

    `modalities` are what it takes besides text: `vision`, `video`, `audio`. `process` changes
    with a restart; empty where the server doesn't tell. `names` are all that it has for the model.
    `endpoints` are those that not every server has (`dispatcher.needs`). `quantisation`,
    `size_bytes` and `parameters` (their number) are of the weights, which were trained on contexts
    of `trained_context` tokens. All four are empty or 0 where it does not tell.
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
    endpoints: frozenset[str] = frozenset()
    quantisation: str = ""
    size_bytes: int = 0
    parameters: int = 0
    trained_context: int = 0

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for two servers that can continue each other's answers."""
        return self.model_id, self.fingerprint

    @property
    def model(self) -> str:
        """The alias, else the file's name without `.gguf` and without the number of its shard."""
        name = PurePosixPath(self.model_id.replace("\\", "/")).name
        return _SHARD.sub("", name.removesuffix(".gguf"))


def read_props(props: Any, models: Any) -> Props:
    """Reads both answers. Raises `KeyError` and the like for those of another server."""
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
        quantisation=_read_word(form or about.get("ftype")),
        size_bytes=_read_count(about.get("size")),
        parameters=_read_count(about.get("n_params")),
        trained_context=_read_count(about.get("n_ctx_train")),
    )


def _read_aliases(said: Any) -> Iterator[str]:
    if isinstance(said, list):  # older builds have none
        yield from (name for name in said[:_MOST_ALIASES] if isinstance(name, str))


def _read_word(said: Any) -> str:
    text = said if isinstance(said, str) else ""
    return "".join(filter(str.isprintable, text))[:_MOST_CHARS].strip()


def _read_count(said: Any) -> int:
    return said if type(said) is int and 0 <= said <= _LARGEST else 0


def _read_modalities(said: Any) -> frozenset[str]:
    if not isinstance(said, dict):  # a build that doesn't tell
        return frozenset()
    return frozenset(name for name, has in said.items() if has is True)
