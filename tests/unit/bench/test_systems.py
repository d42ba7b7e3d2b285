"""How the systems are started that `scripts/bench` compares."""

import sys

from bench.environments import TREE, Installed
from bench.systems import _by_bridge
from testing.processes import LlamaServer


def test_all_workers_of_this_tree_are_in_one_bridge() -> None:
    some = [LlamaServer(TREE, port, "standin", 1) for port in (1, 2, 3)]
    assert _by_bridge(Installed(TREE, sys.executable, ""), some) == [some]
