"""Workers of one name that don't have the same model: by their fingerprints. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dispatcher.worker_state import WorkerState

_GB = 1e9
_SHOWN_CHARS = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """Workers that can go on with each other's answers: they have the same fingerprint.

    `quantisation` and `build` are llama-server's words, `size_bytes` and `parameters` those of its
    weights. Each is empty or 0 where no worker tells.
    """

    fingerprint: str
    workers: tuple[WorkerState, ...]
    quantisation: str
    size_bytes: int
    parameters: int
    build: str

    @property
    def slots(self) -> int:
        """All that its workers offer."""
        return sum(worker.slots for worker in self.workers)

    @property
    def title(self) -> str:
        """How people tell it from others.

        >>> Variant("0123456789abcdef", (), "Q8_0", 4_700_000_000, 7, "b1").title
        '01234567 (Q8_0, 4.7 GB, b1)'
        """
        size = f"{self.size_bytes / _GB:.3g} GB" if self.size_bytes else ""
        about = ", ".join(filter(None, (self.quantisation, size, self.build)))
        return f"{self.fingerprint[:_SHOWN_CHARS]} ({about or 'it tells no more'})"


def variants_of(workers: Iterable[WorkerState]) -> list[Variant]:
    """The variants of the known workers, the one with most slots first."""
    alike: dict[str, list[WorkerState]] = {}
    for worker in workers:
        if not worker.is_unknown:
            alike.setdefault(worker.fingerprint, []).append(worker)
    found = [_variant(fingerprint, those) for fingerprint, those in alike.items()]
    return sorted(found, key=lambda variant: (-variant.slots, variant.fingerprint))


def _variant(fingerprint: str, workers: Sequence[WorkerState]) -> Variant:
    return Variant(
        fingerprint,
        tuple(workers),
        quantisation=max(worker.quantisation for worker in workers),
        size_bytes=max(worker.size_bytes for worker in workers),
        parameters=max(worker.parameters for worker in workers),
        build=max(worker.build for worker in workers),
    )


def what_differs(variants: Sequence[Variant]) -> str:
    """In which of their facts they differ, as far as they tell them."""
    weights = ("quantisation", "size_bytes", "parameters")
    found = ["weights"] if any(_differ(variants, name) for name in weights) else []
    found += ["llama.cpp build"] if _differ(variants, "build") else []
    return " and ".join(found) or "file name or chat template"


def _differ(variants: Sequence[Variant], name: str) -> bool:
    told = {getattr(variant, name) for variant in variants}
    return len(told - {"", 0}) > 1
