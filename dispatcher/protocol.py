"""What bridges and APIs of different builds can say to each other: docs/adr/0013."""

PROTOCOL = 4
"""The version of the keys, scripts and frames. It grows with each change that older builds would
not understand. Builds from before the first version count as 0."""


def api_is_strange(api: str, version: int) -> str:
    """What a bridge says of an API that speaks another version.

    >>> api_is_strange("api-1", 0)[:78]
    'This bridge speaks protocol 4, the API api-1 speaks protocol 0 (an old build).'
    """
    return (
        f"This bridge speaks protocol {PROTOCOL}, the API {api} speaks {_named(version)}. The "
        "bridge takes no jobs of that API: update the older of the two."
    )


def worker_is_strange(model: str, worker: str, version: int) -> str:
    """What an API says where all workers of a model speak another version, such as this one."""
    return (
        f"No worker of the model '{model}' can be used: this API speaks protocol {PROTOCOL}, the "
        f"worker {worker} speaks {_named(version)}. Update the older of the two."
    )


def _named(version: int) -> str:
    return f"protocol {version}" + ("" if version else " (an old build)")
