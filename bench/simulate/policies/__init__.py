"""Which worker takes which job: a small adapter per policy, and all hear the same events."""

from collections.abc import Callable, Mapping
from random import Random

from bench.simulate.machines import Machine
from bench.simulate.policies.adapter import Hands, Policy, Times
from bench.simulate.policies.least_connections import LeastConnections
from bench.simulate.policies.llamaq import Llamaq
from bench.simulate.policies.pull import FifoPull
from bench.simulate.policies.round_robin import RoundRobin
from bench.simulate.policies.rules import busy_period, eager, root, selfish

Make = Callable[[list[Machine], Hands, Times, Random], Policy]

POLICIES: Mapping[str, Make] = {
    "llamaq": lambda *args: Llamaq(*args, rule=root),
    "least-connections": LeastConnections,
    "fifo-pull": FifoPull,
    "round-robin": RoundRobin,
    # llamaq with other rules for slow workers: docs/adr/0006.
    "llamaq-eager": lambda *args: Llamaq(*args, rule=eager),
    "llamaq-selfish": lambda *args: Llamaq(*args, rule=selfish),
    "llamaq-busy-period": lambda *args: Llamaq(*args, rule=busy_period),
}
USUAL = tuple(POLICIES)[:4]
