"""A discrete-event simulation of a fleet: llamaq's own policy against what others do.

    .venv/bin/python -m bench.simulate --help

All times are in milliseconds of simulated time, all sizes in tokens.
"""
