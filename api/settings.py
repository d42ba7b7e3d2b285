"""What the API can be told, read from `LLAMAQ_*` environment variables."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from api.forwarded_fields import read_forwarded
from api.origins import read_origins
from api.proxies import Proxies, read_proxies
from api.token_settings import Name, TokenSettings
from api.wake import read_command
from dispatcher.aliases import BadAlias, parse_aliases
from dispatcher.listen_address import read_listen
from dispatcher.settings import Seconds


class ApiSettings(TokenSettings):
    """How the API listens, whom it believes and how long it waits. All times in seconds.

    A `ValidationError` names every bad value at once and holds none of them.
    """

    host: Name = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8484, ge=1, le=65535, description="port to listen on")
    api_workers: int = Field(
        1, ge=1, le=64, description="processes of the API that share its address and its work"
    )
    queue_wait_s: Seconds = Field(300, description="how long a request may wait for a worker")
    request_timeout_s: Seconds = Field(600, description="how long a request may take in all")
    stream_timeout_s: Seconds = Field(3600, description="the same for a streamed answer")
    model_grace_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        30, description="how long to wait for a worker of a known model that has none"
    )
    wake_command: str = Field(
        "",
        max_length=4096,
        description="command that wakes machines, run without a shell when requests for a model "
        "wait and none of its workers is up; LLAMAQ_WAKE_MODEL names the model to it "
        "(docs/operating.md)",
    )
    wake_grace_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        240, description="with it, how long to wait for a worker of a known model that has none"
    )
    queue_position_after_s: Seconds = Field(
        10, description="a streaming client that waits for longer is told its place in the queue"
    )
    drain_s: Seconds = Field(120, description="time for running answers to end after SIGTERM")
    usage_days: int = Field(
        400, ge=62, le=3660, description="days for which the usage of tenants is kept"
    )
    max_body_bytes: int = Field(
        32 * 2**20, ge=1024, le=100 * 10**6, description="largest request body"
    )
    max_held_bytes: int = Field(
        512 * 2**20,
        ge=2**20,
        description="bytes of request bodies that all processes of the API may hold together, and "
        "again as many of large answers in one piece",
    )
    isolate_cache: bool = Field(
        False,
        description="hide from clients what tells of caches that tenants share (docs/caches.md)",
    )
    max_json_depth: int = Field(64, ge=8, le=200, description="deepest nesting of a request body")
    max_choices: int = Field(8, ge=1, le=128, description="largest `n`: answers per request")
    client_buffer_bytes: int = Field(
        8 * 2**20, ge=2**16, description="unsent bytes at which a slow client is given up"
    )

    tls_cert: Path | None = Field(
        None, description="certificate (PEM, with its chain) with which the API speaks HTTPS"
    )
    tls_key: Path | None = Field(
        None, description="its private key (PEM), where the certificate's file has none"
    )
    tls_key_password: SecretStr | None = Field(None, description="password of an encrypted key")
    trusted_proxies: str = Field(
        "",
        max_length=4096,
        description="proxies whose X-Forwarded-For counts: addresses or networks, such as "
        "127.0.0.1,10.0.0.0/8",
    )
    max_address_connections: int = Field(
        2048,
        ge=0,
        description="connections of one address to a process of the API, or requests that a "
        "trusted proxy has from one; of an IPv6 address its /64 counts, of loopback none; "
        "0: no bound",
    )
    max_tenant_requests: int = Field(
        4096, ge=0, description="requests that a tenant may have open in the API; 0: no bound"
    )
    idempotency_s: Annotated[float, Field(ge=0, le=30 * 86_400)] = Field(
        86_400,
        description="how long answers to requests with an Idempotency-Key are kept in Redis; 0: "
        "the header has no effect",
    )
    idempotency_bytes: int = Field(
        128 * 2**20, ge=2**20, description="bytes of kept answers in Redis, of all tenants together"
    )
    idempotency_tenant_bytes: int = Field(
        16 * 2**20, ge=2**20, description="the same for each tenant; its oldest ones make room"
    )

    metrics_listen: str = Field(
        "",
        max_length=64,
        description="address and port where /metrics needs no token, such as 127.0.0.1:9464",
    )
    metrics_tenants: int = Field(
        0,
        ge=0,
        le=1000,
        description="how many tenants metrics name; the others count as `other`; 0: none",
    )

    cors_origins: str = Field(
        "",
        max_length=4096,
        description="origins of the web pages that may use the API, with commas between, or *",
    )

    aliases: str = Field(
        "",
        max_length=65536,
        description="more names of models: NAME=MODEL, with commas between; * stands for every "
        "name that nobody has, and for none; `llamaq alias set` overrides it",
    )
    forward_fields: str = Field(
        "",
        max_length=4096,
        description="further fields of requests that llama-servers get as they are, with commas "
        "between; some reach into a server's slots, cache or files (id_slot, lora): name only what "
        "every client may do",
    )
    whole_answer_blanks_after_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        0,
        description="an answer in one piece that takes longer begins with status 200, and gets a "
        "blank each time this has passed, so that proxies wait; an error is its body then; 0: "
        "never",
    )

    @field_validator("wake_command")
    @classmethod
    def _can_be_run(cls, command: str) -> str:
        read_command(command)
        return command

    @property
    def grace_s(self) -> float:
        """How long requests wait for a worker of a model that has none."""
        return max(self.model_grace_s, self.wake_grace_s if self.wake_command else 0)

    @property
    def forwarded(self) -> frozenset[str]:
        """The fields that llama-servers get as they are."""
        return read_forwarded(self.forward_fields)

    @property
    def held_bytes_of_a_process(self) -> int:
        """The part of each process in `max_held_bytes`; there is room for one body at least."""
        return max(self.max_body_bytes, self.max_held_bytes // self.api_workers)

    @property
    def open_requests_of_a_tenant(self) -> int:
        """The part of each process in `max_tenant_requests`, rounded up."""
        return -(-self.max_tenant_requests // self.api_workers)

    @property
    def proxies(self) -> Proxies:
        """Those whose word counts for where a request comes from."""
        return Proxies(read_proxies(self.trusted_proxies))

    @field_validator("trusted_proxies")
    @classmethod
    def _are_proxies(cls, proxies: str) -> str:
        read_proxies(proxies)
        return proxies

    @field_validator("metrics_listen")
    @classmethod
    def _is_address(cls, listen: str) -> str:
        if listen:
            read_listen(listen)
        return listen

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: str) -> str:
        read_origins(origins)
        return origins

    @field_validator("forward_fields")
    @classmethod
    def _may_be_passed_on(cls, names: str) -> str:
        read_forwarded(names)
        return names

    @field_validator("aliases")
    @classmethod
    def _are_aliases(cls, aliases: str) -> str:
        try:
            parse_aliases(aliases)
        except BadAlias as error:
            raise ValueError(str(error)) from error
        return aliases
