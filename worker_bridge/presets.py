"""llama-server's own form of presets (`--models-preset`): a section per model. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping

FOR_ALL = "*"
"""The section whose options all models have."""

Options = Mapping[str, str]


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECTION = re.compile(r"\[\s*([^\]]*?)\s*\]")
_OPTION = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)")
_COMMENT = re.compile(r"[ \t]*[;#].*")
_VARIABLE = "LLAMA_ARG_"
MODEL_OPTIONS = frozenset({"model", "m", "LLAMA_ARG_MODEL"})
_FROM_AFAR = _listed("""
hf-repo hf hfr LLAMA_ARG_HF_REPO model-url mu LLAMA_ARG_MODEL_URL docker-repo dr
LLAMA_ARG_DOCKER_REPO
""")
# The bridge decides these itself, or they are for llama-server's router alone.
_NOT_PASSED = _listed("""
version load-on-startup stop-timeout dedup-cache-models host port alias a api-key LLAMA_ARG_HOST
LLAMA_ARG_PORT LLAMA_ARG_ALIAS LLAMA_API_KEY
""")
# Options with one dash that have more than one letter.
_SHORT = _listed("""
bs cb cd cl cmoe cmoed cram ctk ctkd ctv ctvd ctxcp dev devd dio dr dt fa fitc fitt hf hff hfd hfr
hfrd hft hfv hfvr jf kvu lcd lcs lm lv md mg mli mm mmu mtl mu mv ncmoe ncmoed ndio ngl ngld nkvo
nocb nkvu np nr ot otd rea sm sp sps ta tb tbd td to ts ub
""")
# Options without a value that have no form with `no-`.
_PLAIN = _listed("""
check-tensors cmoe cpu-moe embedding embeddings metrics mlock offline props rerank reranking
swa-full verbose
""")


class BadPresets(ValueError):
    """The text is not in this form; the message says where."""


def read_presets(text: str) -> dict[str, Options]:
    """The options of each section, those of `FOR_ALL` included. Raises `BadPresets`.

    >>> read_presets("version = 1\\n[*]\\nc = 8192 ; tokens\\n[qwen]\\nmodel = q.gguf")
    {'*': {'c': '8192'}, 'qwen': {'model': 'q.gguf'}}
    """
    sections: dict[str, Options] = {}
    options: dict[str, str] = {}  # before the first section: no model's
    for number, line in enumerate(text.splitlines(), start=1):
        said = _COMMENT.sub("", line).strip()
        if section := _SECTION.fullmatch(said):
            if section[1] in sections:
                raise BadPresets(f"line {number}: the section [{section[1]}] stands there twice")
            sections[section[1]] = options = {}
        elif option := _OPTION.fullmatch(said):
            options[option[1]] = option[2]
        elif said:
            raise BadPresets(f"line {number} is no [section] and no `option = value`")
    return sections


def names_model(options: Iterable[str]) -> bool:
    """Whether these options name a model."""
    return any(name in MODEL_OPTIONS or name in _FROM_AFAR for name in options)


def model_file(options: Options) -> str | None:
    """The file that these options name, if they name one."""
    return next((options[name] for name in MODEL_OPTIONS if name in options), None)


def words_of(options: Options) -> tuple[str, ...]:
    """The options as llama-server's command line has them, variables left out.

    >>> words_of({"c": "4096", "jinja": "true", "mmap": "false", "flash-attn": "on"})
    ('-c', '4096', '--jinja', '--no-mmap', '--flash-attn', 'on')
    """
    return tuple(word for name, value in options.items() for word in _words(name, value))


def variables_of(options: Options) -> dict[str, str]:
    """The options that are environment variables of llama-server."""
    return {name: value for name, value in options.items() if _is_variable(name)}


def _words(name: str, value: str) -> Iterator[str]:
    if name in _NOT_PASSED or _is_variable(name):
        return
    if value.lower() not in ("true", "false"):
        yield from (_dashed(name), value)
    elif value.lower() == "true":
        yield _dashed(name)
    elif name.startswith("no-"):
        yield f"--{name.removeprefix('no-')}"
    elif name not in _PLAIN:
        yield f"--no-{name}"


def _dashed(name: str) -> str:
    return f"-{name}" if len(name) == 1 or name in _SHORT else f"--{name}"


def _is_variable(name: str) -> bool:
    return name.startswith(_VARIABLE) and name not in _NOT_PASSED
