"""Describes this machine."""

import platform
from pathlib import Path

import psutil


def describe_machine() -> str:
    """Its processor, cores, memory, system and Python in one line."""
    memory_gb = psutil.virtual_memory().total / 1e9
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {memory_gb:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
