"""What a job needs of its worker. Jobs of equal needs wait together, so that none blocks others."""

from dataclasses import dataclass, replace
from functools import lru_cache

ANY, SIDE = "any", "side"

# What a llama-server serves depends on how it was started, and on its model. These are the words.
COMPLETION = "completion"
"""It makes text: a server of an embedding model does not."""
EMBEDDINGS = "embeddings"
NATIVE_EMBEDDINGS = "native-embeddings"
"""It serves embeddings in llama.cpp's own form: a server without pooling has no other."""
RERANK = "rerank"
INFILL = "infill"
TRANSCRIPTION = "transcription"
"""It writes down what it hears."""
_ABOVE = "context>"
_FINGERPRINT = "build="  # as Redis, and with it other builds, have it


@dataclass(frozen=True, slots=True)
class Needs:
    """A class of jobs. The default is any worker of the model.

    `abilities` are llama-server's words for media (`vision`, `audio`, `video`), and the endpoints
    that not every server has. A context of `above_context` tokens per slot is known to be too
    small. The worker's `fingerprint` must be equal. A `side` job needs no slot: the server's
    HTTP thread does it.
    """

    abilities: frozenset[str] = frozenset()
    above_context: int = 0
    fingerprint: str = ""
    side: bool = False

    def larger(self, too_small: int) -> "Needs":
        """The same, but with more context than this, which was too small."""
        return replace(self, above_context=max(self.above_context, too_small))

    def able(self, ability: str) -> "Needs":
        """The same, but only workers that have this ability too."""
        return replace(self, abilities=self.abilities | {ability})

    def met_by(self, context: int, abilities: frozenset[str], fingerprint: str) -> bool:
        """Whether a worker may take the jobs of this class (lua/parts/can_take.lua)."""
        return (
            self.abilities <= abilities
            and (not self.above_context or context > self.above_context)
            and self.fingerprint in ("", fingerprint)
        )

    def __str__(self) -> str:
        words = [SIDE] if self.side else []
        words += sorted(self.abilities)
        words += [f"{_ABOVE}{self.above_context}"] if self.above_context else []
        words += [f"{_FINGERPRINT}{self.fingerprint}"] if self.fingerprint else []
        return ",".join(words) or ANY


ANYBODY = Needs()


@lru_cache(256)
def read_needs(text: str) -> Needs:
    """The reverse of `str`.

    >>> str(read_needs("vision,context>8192")), read_needs("any") == Needs()
    ('vision,context>8192', True)
    """
    words = [word for word in text.split(",") if word not in (ANY, SIDE)]
    above = [int(word.removeprefix(_ABOVE)) for word in words if word.startswith(_ABOVE)]
    fingerprints = [w.removeprefix(_FINGERPRINT) for w in words if w.startswith(_FINGERPRINT)]
    plain = [word for word in words if not word.startswith((_ABOVE, _FINGERPRINT))]
    is_side = text.split(",")[0] == SIDE
    return Needs(frozenset(plain), max(above, default=0), "".join(fingerprints), is_side)
