"""Starts HAProxy for llama-servers, set up as well as it can be: for benchmarks only.

It checks the same JWT as llamaq. It gives each server no more requests than the slots it was told
of (`maxconn`), and keeps the others in one queue.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testing.builders import SECRET
from testing.processes import LlamaServer, answers, free_port, program
from testing.waiting import wait_until

CONFIG = """\
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout queue 300s
  option abortonclose
  option http-no-delay
frontend fe
  bind 127.0.0.1:{port}
  monitor-uri /alive
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str HS256 }}
  acl signed var(txn.bearer),jwt_verify(txn.alg,'"{secret}"') -m int 1
  http-request deny deny_status 401 unless signed
  default_backend be
backend be
  balance leastconn
  option httpchk GET /health
{servers}
"""


def find_haproxy() -> str:
    """The program; says how to get it where it isn't there."""
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
    if found is None:
        raise SystemExit("HAProxy is missing: apt-get install haproxy")
    return found


def haproxy_version() -> str:
    """The version that the program tells."""
    told = subprocess.run([find_haproxy(), "-v"], check=True, capture_output=True, text=True)
    return told.stdout.split(" - ")[0]


@contextmanager
def haproxy(servers: Sequence[LlamaServer], folder: Path) -> Iterator[int]:
    """A running HAProxy with `balance leastconn` and `maxconn` = slots; yields its port."""
    port, config = free_port(), folder / "haproxy.cfg"
    lines = [
        f"  server w{number} 127.0.0.1:{server.port} check inter 1s maxconn {server.slots}"
        for number, server in enumerate(servers)
    ]
    config.write_text(CONFIG.format(port=port, secret=SECRET, servers="\n".join(lines)))
    with program([find_haproxy(), "-db", "-f", str(config)], folder / "haproxy.log"):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/alive"))
        yield port
