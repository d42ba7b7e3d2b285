"""Joins neighbouring chunks of text, as llama-server writes them. Pure."""

import re
from collections.abc import Sequence

HEAD = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"'
"""How a chunk of a chat begins, up to the name of what it adds, unless it ends the answer."""
COMPLETION_HEAD = b'data: {"choices":[{"text":"'
"""How any chunk of a text completion begins, up to its text."""

_HEADS = (HEAD + b'content":"', HEAD + b'reasoning_content":"')
# Not within a string: there every quote has a backslash before it.
_END = b'"}}],"created":'
_COMPLETION_END = b'","index":0,"logprobs":null,"finish_reason":null}],"created":'
_FEW_LINES = 16
# No half of a surrogate pair, which may find its other half in the next chunk.
STRING = re.compile(
    rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
)
"""Matches what stands between the quotes of a JSON string."""


def joined(events: bytes) -> bytes:
    """The same whole events, with neighbouring texts made one; the very first stays apart.

    What it can't be sure of stays as it is.
    """
    if events.count(b"\n") < _FEW_LINES:
        return events
    is_chat = not events.startswith(COMPLETION_HEAD)
    end, heads = (_END, _HEADS) if is_chat else (_COMPLETION_END, (COMPLETION_HEAD,))
    first, *parts = events.split(end)
    kept, texts, seam = [first], [], b""
    for part in parts[:-1]:
        if not seam or not part.startswith(seam):
            seam = _seam_of(part, heads)
            kept += (end, part[: len(seam)])
        text = part[len(seam) :]
        kept.append(text)
        if seam:
            texts.append(text)
    return b"".join((*kept, end, parts[-1])) if texts and _are_strings(texts) else events


def _seam_of(part: bytes, heads: Sequence[bytes]) -> bytes:
    """What lies between the ends of two texts, if the second event says nothing else."""
    event = part.find(b"\n\n") + 2
    head = next((head for head in heads if part.startswith(head, event)), b"")
    return part[: event + len(head)] if head else b""


def _are_strings(texts: list[bytes]) -> bool:
    """Whether each of them is the inside of a JSON string, and none ends within an escape."""
    text = b"".join(texts)
    if b"\\" in text and any([each.endswith(b"\\") for each in texts]):
        return False
    return STRING.fullmatch(text) is not None
