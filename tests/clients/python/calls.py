"""What each client's program needs: where llamaq is, and how to say what became of a call."""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

URL = os.environ["LLAMAQ_URL"]
TOKEN = os.environ["LLAMAQ_TOKEN"]
CITIES = ("Paris", "Lima")
ASK = "Tell me something."


@contextmanager
def call(package: str, name: str) -> Iterator[None]:
    """One ordinary call of a client: reports it as failed where something is raised."""
    why = ""
    try:
        yield
    except Exception as error:  # whatever a client raises is its verdict
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}"
    client = f"{package} {version(package)}"
    sys.stdout.write(json.dumps({"client": client, "call": name, "why": why}) + "\n")
    sys.stdout.flush()
