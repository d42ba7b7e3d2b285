"""Settings of one bridge, read from `LLAMAQ_*` environment variables."""

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from dispatcher.listen_address import read_listen
from dispatcher.settings import FROM_ENVIRONMENT, Seconds
from worker_bridge.hours import Hours, parse_hours
from worker_bridge.names import MAX_NAME_CHARS, PLAIN_NAME
from worker_bridge.rpc_peer import Peer, read_peers

_V1 = re.compile(r"(?<=[^/])/v1/?$")


class BridgeSettings(BaseSettings):
    """One llama-server and how long to be patient with it. All times in seconds."""

    model_config = FROM_ENVIRONMENT

    server: str = Field(
        "http://127.0.0.1:8080",
        description="address of the llama-server; a /v1 at its end is left out",
    )
    server_key: SecretStr | None = Field(None, description="its --api-key, if it has one")
    model: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME_CHARS,
        pattern=PLAIN_NAME,
        description="the only name to serve the model under; else its aliases, or its file's name",
    )
    worker_name: str | None = Field(
        None,
        pattern=r"^[\w.-]{1,64}$",
        description="how this worker is called in Redis and in logs; else the host's name",
    )
    rpc_peers: str = Field(
        "",
        max_length=4096,
        description="its RPC peers, HOST:PORT with commas between, where another program has "
        "started it with --rpc; it gets no work while one of them is gone",
    )
    metrics_listen: str = Field(
        "",
        max_length=64,
        description="address and port where Prometheus finds /metrics, such as 127.0.0.1:9465",
    )
    models: Path | None = Field(
        None,
        description="models to load when they are asked for: a folder of GGUF files, or a file of "
        "presets (llama-server's --models-preset)",
    )
    swap_after_s: Seconds = Field(
        5, description="requests wait so long before their model takes the place of another one"
    )
    unload_after_s: float = Field(
        600, ge=0, le=7 * 24 * 3600, description="a model without requests is unloaded; 0: never"
    )
    load_timeout_s: Seconds = Field(600, description="longest time for a model to be loaded")
    work_hours: str = Field(
        "",
        max_length=256,
        description="hours of each day in which the bridge works, by the clock of its machine: "
        "22-07, or 9:30-12,13-17; else always",
    )
    data_dir: Path = Field(
        Path("~/.local/share/llamaq"),
        description="folder in which `llamaq pause` tells the bridges of this user what to do",
    )
    drain_s: Seconds = Field(120, description="time for running jobs to end after SIGTERM")
    stall_prompt_s: Seconds = Field(120, description="longest time without progress on a prompt")
    stall_first_token_s: Seconds = Field(
        60, description="longest time from the end of the prompt to the first token"
    )
    stall_token_s: Seconds = Field(60, description="longest time between two tokens")

    @field_validator("server")
    @classmethod
    def _without_v1(cls, url: str) -> str:
        """Clients of OpenAI's API are told of the same server with /v1."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                "the address of a llama-server (--server) begins with http:// or https://, such as "
                "http://127.0.0.1:8080"
            )
        return _V1.sub("", url)

    @field_validator("rpc_peers")
    @classmethod
    def _are_peers(cls, peers: str) -> str:
        read_peers(peers)
        return peers

    @field_validator("work_hours")
    @classmethod
    def _are_hours(cls, hours: str) -> str:
        if hours:
            parse_hours(hours)
        return hours

    @field_validator("metrics_listen")
    @classmethod
    def _is_address(cls, listen: str) -> str:
        if listen:
            read_listen(listen)
        return listen

    @property
    def work(self) -> Hours | None:
        """The hours in which it works; None: always."""
        return parse_hours(self.work_hours) if self.work_hours else None

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The ggml-rpc-servers that the server uses."""
        return read_peers(self.rpc_peers)
