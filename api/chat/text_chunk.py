"""Chunks that hold nothing but text, as llama-server writes nearly all of them. Pure.

They are read without a JSON parser.
"""

import re

from dispatcher.joined_text import HEAD, STRING

_ENDS = b'"}}],"'
TEXT = re.compile(
    b'%b(content|reasoning_content)":"(%b)%b' % (re.escape(HEAD), STRING.pattern, re.escape(_ENDS))
)
"""Matches the beginning of such an event, up to its first name after the choices.

Its groups are what the text belongs to, and the text as a JSON string without its quotes.
"""

NAMES = re.compile(
    rb'created":\d+,"id":"[\w-]+","model":"(?:%b)","system_fingerprint":"[\w.-]+",'
    rb'"object":"chat\.completion\.chunk"\}' % STRING.pattern
)
"""Matches what follows that in a chunk which only names its answer."""

_ROLE = HEAD + b'role":"assistant","content":null}}],"'


def names_role_alone(event: bytes) -> bool:
    """Whether it is the first chunk of an answer, which says only that the assistant speaks."""
    return event.startswith(_ROLE) and NAMES.fullmatch(event, len(_ROLE)) is not None
