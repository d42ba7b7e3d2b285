"""The names besides its own under which a worker's model is served."""

import logging
import re
from collections.abc import Iterable

log = logging.getLogger("llamaq.bridge")

PLAIN_NAME = r"^[^\s{}|]+$"  # Redis' keys and `llamaq status` give the other characters a meaning
MAX_NAME_CHARS = 200
MOST_ALIASES = 16
_PLAIN = re.compile(PLAIN_NAME)


class Aliases:
    """The aliases of a model called `own`; none where it must have `only` that name."""

    def __init__(self, own: str, *, only: bool) -> None:
        self._own = own
        self._only = only
        self._said: tuple[str, ...] = ()
        self._taken = ""

    def of(self, said: tuple[str, ...]) -> str:
        """The names that its server has `said`, in order, separated by blanks.

        A name that is not allowed here is left out, and logged once.
        """
        if said != self._said and not self._only:
            self._said = said
            names = sorted(set(said) - {self._own, ""})
            fit = [name for name in names if _fits(name)]
            self._taken = " ".join(fit[:MOST_ALIASES])
            _tell([*(name for name in names if not _fits(name)), *fit[MOST_ALIASES:]])
        return self._taken


def _fits(name: str) -> bool:
    return len(name) <= MAX_NAME_CHARS and name.isprintable() and bool(_PLAIN.fullmatch(name))


def _tell(left_out: Iterable[str]) -> None:
    if shown := ", ".join(repr(name[:80]) for name in left_out):
        log.warning(
            "names of the server that are not served: %s. A name may have up to %s characters, no "
            "blanks and none of {}|. A model may have up to %s besides its own. Choose others with "
            "llama-server's --alias, or one with LLAMAQ_MODEL.",
            shown[:1000],
            MAX_NAME_CHARS,
            MOST_ALIASES,
        )
