"""Raw bytes: the tricks that are known, two of them behind each other, cut and changed."""

from hypothesis import strategies as st

from testing.raw_requests import TRICKS
from tests.fuzz.values import cut_up

_SHORT = sorted({trick.sent for trick in TRICKS.values() if len(trick.sent) < 3000})


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """What a client sends, as it may arrive."""
    tricks = draw(st.lists(st.sampled_from(_SHORT), min_size=1, max_size=3))
    sent = draw(cut_up(b"".join(tricks)))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=3)))
    return [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True) if a < b]
