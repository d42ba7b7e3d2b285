"""The real llama.cpp server in a Python process, with the options of `llama-server`."""

import ctypes
import importlib.util
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

# llama.cpp's levels: 1 says only what went wrong.
LOG_ERRORS = 1
# The default, 8 GiB of conversations, is for real models.
PROMPT_CACHE_MIB = 64
CACHE_TYPES = click.Choice(["F32", "F16"], case_sensitive=False)
POOLING = click.Choice(["none", "mean", "cls", "last", "rank"])
FLASH = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the demo server understands of llama-server's options, under the same names."""

    model: Path
    host: str
    port: int
    parallel: int
    ctx_size: int
    batch_size: int
    threads: int
    alias: str | None
    api_key: str | None
    metrics: bool
    cache_type_k: str
    cache_type_v: str
    flash_attn: str
    sleep_idle_seconds: int
    embeddings: bool
    reranking: bool
    pooling: str | None
    mmproj: Path | None


def missing_demo_parts() -> list[str]:
    """What this machine lacks to run the demo, a sentence each; empty when it can run.

    Imports none of it: xllamacpp's import fails on a machine that has no libgomp.so.1.
    """
    packages = [
        name for name in ("gguf", "numpy", "xllamacpp") if not importlib.util.find_spec(name)
    ]
    missing = []
    if packages:
        missing.append(
            f"Python package{'s' * (len(packages) > 1)} {', '.join(packages)} missing: "
            "install '.[embedded,demo]' as README.md says (not available for Alpine Linux)"
        )
    if sys.platform == "linux" and not _loads("libgomp.so.1"):
        missing.append(
            "The library libgomp.so.1 is missing: install the system package libgomp1 "
            "(Debian, Ubuntu) or libgomp (Fedora)"
        )
    return missing


def serve(options: ServerOptions) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then end at once: a demo server has nothing to save.

    Raises RuntimeError when the model cannot be loaded or the port is taken.
    """
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    server = start(options)
    click.echo(f"llama.cpp serves {options.model.name} on {server.listening_address}")
    while True:
        signal.pause()


def start(options: ServerOptions) -> Any:
    """A server that answers, in threads of its own. Raises RuntimeError as `serve` does."""
    import xllamacpp

    return xllamacpp.Server(_parameters(options))


def _parameters(options: ServerOptions) -> Any:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(options.model)
    parameters.model_alias = set(options.alias.split(",")) if options.alias else set()
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.n_parallel = options.parallel
    parameters.n_ctx = options.ctx_size
    parameters.n_batch = options.batch_size
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.cache_type_k = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_k}")
    parameters.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_v}")
    parameters.flash_attn_type = getattr(
        xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{FLASH[options.flash_attn]}"
    )
    parameters.cache_ram_mib = PROMPT_CACHE_MIB
    parameters.api_keys = [options.api_key] if options.api_key else []
    parameters.endpoint_metrics = options.metrics
    parameters.sleep_idle_seconds = options.sleep_idle_seconds
    parameters.embedding = options.embeddings or options.reranking
    if pooling := "rank" if options.reranking else options.pooling:
        name = f"LLAMA_POOLING_TYPE_{pooling.upper()}"
        parameters.pooling_type = getattr(xllamacpp.llama_pooling_type, name)
    if options.mmproj:
        parameters.mmproj.path = str(options.mmproj)
    parameters.ui = False
    parameters.verbosity = LOG_ERRORS
    return parameters


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _exit(signum: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)


@click.command(context_settings={"show_default": True})
@click.option(
    "-m", "--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True
)
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=click.IntRange(0, 65535), default=8080)
@click.option("-np", "--parallel", type=click.IntRange(1), default=1, help="Number of slots.")
@click.option(
    "-c",
    "--ctx-size",
    type=click.IntRange(0),
    default=0,
    help="Tokens, shared by the slots; 0: the model's.",
)
@click.option("-b", "--batch-size", type=click.IntRange(1), default=2048)
@click.option("-t", "--threads", type=click.IntRange(1), default=1)
@click.option("-a", "--alias", help="The model's names, with commas between.")
@click.option("--api-key", envvar="LLAMA_API_KEY", help="Demand this bearer token.")
@click.option("--metrics", is_flag=True, help="Offer /metrics.")
@click.option("-fa", "--flash-attn", type=click.Choice(list(FLASH)), default="auto")
@click.option("-ctk", "--cache-type-k", type=CACHE_TYPES, default="F16")
@click.option("-ctv", "--cache-type-v", type=CACHE_TYPES, default="F16")
@click.option(
    "--sleep-idle-seconds",
    type=click.IntRange(-1),
    default=-1,
    help="Unload the model after this many idle seconds; -1: never.",
)
@click.option("--embeddings", "--embedding", is_flag=True, help="Offer /v1/embeddings.")
@click.option("--reranking", "--rerank", is_flag=True, help="Offer /v1/rerank.")
@click.option("--pooling", type=POOLING, help="How vectors become one; else the model's way.")
@click.option(
    "-mm",
    "--mmproj",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What lets the model see or hear.",
)
def main(**options: Any) -> None:
    """Serve a GGUF model with the llama.cpp server of the Python package xllamacpp."""
    if missing := missing_demo_parts():
        raise click.ClickException("\n".join(missing))
    asked = ServerOptions(**options)
    try:
        serve(asked)
    except RuntimeError as error:
        # llama.cpp's own log says which of the two, but its last lines can be lost at the exit.
        raise click.ClickException(
            f"Cannot load {asked.model} or cannot listen on {asked.host}:{asked.port}. ({error})"
        ) from None


if __name__ == "__main__":
    main()
