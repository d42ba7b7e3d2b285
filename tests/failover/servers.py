"""One primary, its replicas and three Sentinels: real ones, which can be killed.

With `tls` they speak TLS to each other and to all clients. That names their program, since the
embedded one is built without. Where they are `spread`, each has an address of its own, so that the
network between them can be parted.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from llamaq.embedded_redis import find_server
from testing.certificates import write_certificate
from testing.processes import free_port
from testing.waiting import wait_until
from tests.chaos.fleet import Part
from tests.failover.partition import parted

NAME = "main"
SENTINELS = 3
_DOWN_AFTER_MS = 500
_ORDER_AGAIN_S = 3.0
_CONFIG = """
bind {host}
dir {folder}
loglevel notice
sentinel myid {id}
sentinel monitor {name} {primary_host} {primary} 2
sentinel down-after-milliseconds {name} {down_after}
sentinel failover-timeout {name} 3000
sentinel auth-pass {name} {password}
requirepass {own_password}
sentinel sentinel-pass {own_password}
"""
OURS = "127.0.0.1"
"""The address of llamaq's processes, and of servers that are not spread."""
PASSWORD, OWN_PASSWORD = "of-redis", "of-sentinels"


class Servers:
    """The servers, by their ports; `parts` are their processes, to be started in this order."""

    def __init__(
        self, folder: Path, replicas: int = 2, tls: Path | None = None, *, spread: bool = False
    ) -> None:
        self.folder = folder
        self._program = tls or find_server()
        self._certificate = write_certificate(folder, "redis") if tls else None
        self.ports = [free_port() for _ in range(1 + replicas)]
        self.sentinels = [free_port() for _ in range(SENTINELS)]
        places = enumerate([*self.ports, *self.sentinels], start=1)
        self.hosts = {port: f"127.0.1.{n}" if spread else OURS for n, port in places}
        self._is_spread = spread
        self.parts = {f"redis{port}": self._server(port) for port in self.ports}
        self.parts |= {f"sentinel{port}": self._sentinel(port) for port in self.sentinels}

    @property
    def url(self) -> str:
        """The address for llamaq."""
        hosts = ",".join(f"{self.hosts[port]}:{port}" for port in self.sentinels)
        about = f":{PASSWORD}@{hosts}/{NAME}/0?sentinel_password={OWN_PASSWORD}"
        if self._certificate is None:
            return f"redis+sentinel://{about}"
        return f"rediss+sentinel://{about}&ssl_ca_certs={self._certificate[0]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["Servers"]:
        """Starts all, and ends them."""
        try:
            for part in self.parts.values():
                part.start()
            self.until_they_know_each_other()
            yield self
        finally:
            for part in self.parts.values():
                part.kill()

    def ask(self, port: int, *command: str) -> object:
        """What a server or a Sentinel answers."""
        with self._client(port) as client:
            return client.execute_command(*command)

    def primary(self) -> int:
        """Its port, as most Sentinels tell."""
        told = [self._told_by(port) for port in self.sentinels]
        return max(told, key=told.count)

    def is_primary(self, port: int) -> bool:
        """Whether a server calls itself the primary."""
        return self._about(port).get("role") == "master"

    def kill(self, port: int) -> None:
        """SIGKILL."""
        self.parts[f"redis{port}"].kill()

    def start(self, port: int) -> None:
        """Starts a server that was killed: the Sentinels make a replica of it."""
        self.parts[f"redis{port}"].start()

    def fail_over(self) -> None:
        """Has the Sentinels make another server the primary, while the old one lives."""
        wait_until(self._begin, 30, 0.2)

    def until_other_primary(self, old: int, *, by_order: bool = False) -> int:
        """The port of the new primary, when all Sentinels know it and it serves.

        An order to change it is given again where the Sentinels have given it up.
        """
        ordered = time.monotonic()

        def is_new() -> bool:
            nonlocal ordered
            told = {self._told_by(port) for port in self.sentinels}
            if by_order and told == {old} and time.monotonic() - ordered > _ORDER_AGAIN_S:
                ordered = time.monotonic()
                self._begin()
            return len(told) == 1 and old not in told and self.is_primary(*told)

        wait_until(is_new, 60, 0.05)
        return self.primary()

    def until_they_know_each_other(self) -> None:
        """Returns when a failover is possible: each replica is in step."""
        primary = self.primary

        def is_whole() -> bool:
            about = self._about(primary())
            living = sum(self.parts[f"redis{port}"].pid is not None for port in self.ports) - 1
            told = [about.get(f"slave{number}", {}) for number in range(living)]
            in_step = sum(each.get("state") == "online" for each in told)
            return in_step == living and all(self._knows(port) for port in self.sentinels)

        wait_until(is_whole, 40, 0.05)

    @contextlib.contextmanager
    def parted(self, old: int) -> Iterator[Callable[[], bool]]:
        """The primary, a Sentinel and llamaq reach none of the others, which choose another one.

        Yields what says whether they have done so.
        """
        sentinel, *others = self.sentinels
        others += [port for port in self.ports if port != old]
        logs = [self.folder / f"sentinel{port}.txt" for port in self.sentinels[1:]]
        switched = [log.read_text().count("+switch-master") for log in logs]

        def have_switched() -> bool:
            counts = [log.read_text().count("+switch-master") for log in logs]
            return all(now > before for now, before in zip(counts, switched, strict=True))

        ours = [OURS, self.hosts[old], self.hosts[sentinel]]
        with parted(ours, [self.hosts[port] for port in others]):
            yield have_switched

    @contextlib.contextmanager
    def replicas_behind(self) -> Iterator[None]:
        """What is written meanwhile reaches no replica: none can log in to the primary."""
        replicas = [port for port in self._living() if port != self.primary()]
        for port in replicas:
            self.ask(port, "CONFIG", "SET", "masterauth", "wrong")
        self.ask(self.primary(), "CLIENT", "KILL", "TYPE", "replica")
        yield
        for port in replicas:
            self.ask(port, "CONFIG", "SET", "masterauth", PASSWORD)

    def _client(self, port: int) -> redis.Redis:
        password = OWN_PASSWORD if port in self.sentinels else PASSWORD
        about = {"host": self.hosts[port], "port": port, "password": password, "socket_timeout": 2}
        if self._certificate is None:
            return redis.Redis(**about)
        return redis.Redis(**about, ssl=True, ssl_ca_certs=str(self._certificate[0]))

    def _living(self) -> Sequence[int]:
        return [port for port in self.ports if self.parts[f"redis{port}"].pid is not None]

    def _told_by(self, sentinel: int) -> int:
        try:
            place = self.ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        except (RedisError, OSError):
            return 0
        return int(place[1]) if isinstance(place, tuple | list) else 0

    def _about(self, port: int) -> dict[str, Any]:
        try:
            with self._client(port) as client:
                return dict(client.info("replication"))
        except (RedisError, OSError):
            return {}

    def _knows(self, sentinel: int) -> bool:
        try:
            with self._client(sentinel) as client:
                state = client.sentinel_masters()[NAME]
        except (RedisError, OSError, KeyError):
            return False
        others, replicas = state["num-other-sentinels"], state["num-slaves"]
        return bool(others == SENTINELS - 1 and replicas >= len(self._living()) - 1)

    def _begin(self) -> bool:
        try:
            self.ask(self.sentinels[0], "SENTINEL", "FAILOVER", NAME)
        except RedisError:  # no replica is good enough yet, or another failover has not ended
            return False
        return True

    def _server(self, port: int) -> Part:
        folder = self.folder / f"redis{port}"
        folder.mkdir()
        command = [
            *(str(self._program), *self._listening(port, "--"), "--bind", self.hosts[port]),
            *("--dir", str(folder), "--save", "", "--loglevel", "notice"),
            *("--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"),
            *("--requirepass", PASSWORD, "--masterauth", PASSWORD),
        ]
        if port != self.ports[0]:
            command += ["--replicaof", f"{self.hosts[self.ports[0]]} {self.ports[0]}"]
        if self._is_spread:
            command += ["--bind-source-addr", self.hosts[port]]
            command += ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "3"]
        return Part(f"redis{port}", command, self.folder / f"redis{port}.txt", {})

    def _listening(self, port: int, dashes: str) -> list[str]:
        """Names of options, each with its value behind it."""
        options = {"port": str(port)}
        if self._certificate:
            certificate, key = map(str, self._certificate)
            options = {
                **{"port": "0", "tls-port": str(port), "tls-replication": "yes"},
                **{"tls-cert-file": certificate, "tls-key-file": key},
                **{"tls-ca-cert-file": certificate, "tls-auth-clients": "no"},
            }
        return [word for name, value in options.items() for word in (dashes + name, value)]

    def _sentinel(self, port: int) -> Part:
        """It knows the others from the beginning: else they would need some seconds to meet."""
        folder = self.folder / f"sentinel{port}"
        folder.mkdir()
        about = {"folder": folder, "name": NAME, "primary": self.ports[0]}
        about |= {"host": self.hosts[port], "primary_host": self.hosts[self.ports[0]]}
        about |= {"password": PASSWORD, "own_password": OWN_PASSWORD}
        text = _CONFIG.format(**about, id=_id(port), down_after=_DOWN_AFTER_MS)
        for replica in self.ports[1:]:
            text += f"sentinel known-replica {NAME} {self.hosts[replica]} {replica}\n"
        for other in self.sentinels:
            if other != port:
                text += f"sentinel known-sentinel {NAME} {self.hosts[other]} {other} {_id(other)}\n"
        if self._is_spread:
            text += f"bind-source-addr {self.hosts[port]}\n"
        words = iter(self._listening(port, ""))
        text += "".join(f"{name} {value}\n" for name, value in zip(words, words, strict=True))
        config = folder / "sentinel.conf"
        config.write_text(text)
        command = [str(self._program), str(config), "--sentinel"]
        return Part(f"sentinel{port}", command, self.folder / f"sentinel{port}.txt", {})


def _id(port: int) -> str:
    return f"{port:040x}"
