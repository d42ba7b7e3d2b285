"""A discrete-event simulation of a fleet: llamaq's own policy against what others do.

    .venv/bin/python -m bench.simulate --help

All times are in milliseconds of simulated time, all sizes in tokens.

It agrees with a real run, `python -m bench.mixed_fleet --only half`, when it is told the same fleet
and what the two systems add to a request there (8.8 and 2.2 ms, at four times the speed):

    python -m bench.simulate --workers fast=2x4:1000:100 --workers slow=1x4:250:25 --prompt 75 \\
        --arrivals load:0.5 --jobs 200 --warm-up 40 --seeds 10 --claim-ms 35 --push-ms 8.8 \\
        --policy llamaq --policy least-connections

Latency p50 / p99 in seconds: llamaq 1.15 / 1.98 here and 1.18 / 2.11 there, HAProxy 1.22 / 7.11 and
1.21 / 7.12.
"""
