"""Mistakes with the Redis of the queue, on real servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis

from dispatcher.invited_user import user_of
from dispatcher.redis_facts import RedisFacts
from dispatcher.redis_login import with_login
from llamaq.embedded_redis import find_server
from testing.impostors import listens, plain_web_server
from testing.processes import free_port, program, valkey
from testing.waiting import wait_until
from tests.mistakes.making import Outcome, Place, mistake


@mistake("nobody listens at the address of Redis")
def _(place: Place) -> Outcome:
    return place.run("status", LLAMAQ_REDIS_URL="redis://127.0.0.1:1")


@mistake("Redis is away when a bridge starts")
def _(place: Place) -> Outcome:
    return place.serve("http://127.0.0.1:1", redis_url="redis://127.0.0.1:1")


@mistake("a wrong password of Redis")
def _(place: Place) -> Outcome:
    return place.run("bridge", LLAMAQ_REDIS_URL=place.redis_url.replace("//", "//ann:wrong@"))


@mistake("what listens there is no Redis")
def _(place: Place) -> Outcome:
    with plain_web_server() as port:
        return place.run("bridge", LLAMAQ_REDIS_URL=f"redis://127.0.0.1:{port}")


@mistake("`rediss://` for a Redis without TLS")
def _(place: Place) -> Outcome:
    with plain_web_server() as port:
        return place.run("status", LLAMAQ_REDIS_URL=f"rediss://127.0.0.1:{port}")


@mistake("a Redis Cluster")
def _(place: Place) -> Outcome:
    with valkey(place.folder, "--cluster-enabled", "yes") as url:
        return place.run("api", **{**place.api, "LLAMAQ_REDIS_URL": url})


@mistake("a Sentinel's address after `redis://`")
def _(place: Place) -> Outcome:
    port = free_port()
    configuration = place.folder / "sentinel.conf"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\n")
    command = [str(find_server()), str(configuration), "--sentinel"]
    with program(command, place.folder / "sentinel.log"):
        wait_until(lambda: listens(port))
        return place.run("api", **{**place.api, "LLAMAQ_REDIS_URL": f"redis://127.0.0.1:{port}"})


@mistake("a Redis that is too old")
def _(place: Place) -> Outcome:
    """There is none here: this one is told to be."""

    async def read_old_facts(redis: object) -> RedisFacts:
        return RedisFacts(version="6.0.16")

    place.monkeypatch.setattr("dispatcher.redis_check.read_redis_facts", read_old_facts)
    return place.run("api", **place.api)


@mistake("a Redis that keeps nothing on disk")
def _(place: Place) -> Outcome:
    return place.serve("http://127.0.0.1:1")


@mistake("a Redis without a bound of its memory")
def _(place: Place) -> Outcome:
    return place.serve("http://127.0.0.1:1")


@contextmanager
def _admin(place: Place) -> Iterator[Any]:
    with Redis.from_url(place.redis_url) as admin:
        yield admin


@mistake("a Redis that evicts keys")
def _(place: Place) -> Outcome:
    with _admin(place) as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            return place.run("api", **place.api)
        finally:
            admin.config_set("maxmemory-policy", "noeviction")


@mistake("a user of Redis that may do too little")
def _(place: Place) -> Outcome:
    with _admin(place) as admin:
        admin.execute_command("ACL", "SETUSER", "ann", "on", ">pw", "~x:*", "+@all")
        try:
            url = place.redis_url.replace("//", "//ann:pw@")
            return place.run("api", **{**place.api, "LLAMAQ_REDIS_URL": url})
        finally:
            admin.execute_command("ACL", "DELUSER", "ann")


@mistake("a line of an invitation that has ended")
def _(place: Place) -> Outcome:
    url = with_login(place.redis_url, user_of("bob"), "secret")
    return place.run("bridge", "--model", "qwen", "--name", "bob", LLAMAQ_REDIS_URL=url)


def _invite(place: Place, model: str) -> Outcome:
    """On a server that says of itself that others reach it by TCP."""
    place.monkeypatch.setattr("llamaq.invite_command.url_for_others", lambda *_: "redis://:p@box")
    return place.run("invite", "bob", "box", "--model", model, **place.bridge)


@mistake("a second invitation of the same name")
def _(place: Place) -> Outcome:
    try:
        assert _invite(place, "qwen").end == "0"
        return _invite(place, "qwen")
    finally:
        place.run("uninvite", "bob", **place.bridge)


@mistake("the end of an invitation that there is not")
def _(place: Place) -> Outcome:
    return place.run("uninvite", "carol", **place.bridge)
