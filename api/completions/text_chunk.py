"""Chunks that hold nothing but text, as llama-server writes nearly all of them. Pure."""

import re

from dispatcher.joined_text import COMPLETION_HEAD, STRING

_NAME = b'text":"'
_ENDS = b'","index":0,"logprobs":null,"finish_reason":null}],"'
TEXT = re.compile(
    b'%b(text)":"(?!")(%b)%b'
    % (re.escape(COMPLETION_HEAD.removesuffix(_NAME)), STRING.pattern, re.escape(_ENDS))
)
"""See `api.growing_choice.GrowingChoice`."""

NAMES = re.compile(
    rb'created":\d+,"model":"(?:%b)","system_fingerprint":"[\w.-]+",'
    rb'"object":"text_completion","id":"[\w-]+"\}' % STRING.pattern
)
"""See `api.growing_choice.GrowingChoice`."""
