"""Settings that belong together; what the command line says beside a preset goes before it."""

from collections.abc import Mapping

MIXED = ("fast=2x4:4000:100", "slow=1x4:1000:25")

PRESETS: Mapping[str, Mapping[str, object]] = {
    # 24 clients that ask again at once; two fast servers, one at a quarter of their speed.
    "backlog": {"workers": MIXED, "arrivals": "closed:24", "jobs": 240, "seeds": 10},
    "half-load": {"workers": MIXED, "arrivals": "load:0.5", "jobs": 300, "seeds": 10},
    # Chats of about 6 turns on 20 servers whose prompt caches hold about 12 of them.
    "chats": {
        "workers": ("gpu=16x4:2000:50", "cpu=4x4:300:12"),
        "tenants": ("chat=200:1:default:1",),
        "arrivals": "load:0.3",
        "jobs": 6000,
        "prompt": "lognormal:400:1",
        "completion": "lognormal:250:0.7",
        "turns": "exponential:6",
        "think": "exponential:20",
        "cache": 32_000,
        "skew": 0.5,
    },
    # 1,000 workers, 10,000 tenants of three tiers.
    "large": {
        "workers": ("big=200x4:8000:90", "usual=600x4:3000:45", "small=200x4:600:15"),
        "tenants": ("pro=500:3:priority:4", "team=6000:5:default:1", "batch=3500:4:flex:1"),
        "arrivals": "load:0.97",
        "jobs": 120_000,
        "prompt": "lognormal:600:1",
        "completion": "lognormal:200:0.8",
        "turns": "exponential:2",
        "think": "exponential:5",
        "cache": 64_000,
        "misjudged_sizes": 2.0,
        "misjudged_speeds": 0.1,
        "skew": 0.8,
        "fail_every": 3600.0,
        "repair": 60.0,
    },
}
