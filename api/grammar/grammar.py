"""How large and how deep a client's own `grammar` may be, and how much it may leave open. Pure.

Measured on llama.cpp b11549, on a model of 464 words; a real one has 300 times as many:

what                                           hurts at                         bound
size of the text                               1 MB                             16 KiB
brackets in brackets                           50,000: SIGSEGV                  64
elements, where `{m,n}` writes them out        5 million: 0.9 GB                65,536
`x{5,2}`                                       all memory                       400
a rule that begins with itself, after what
may be empty                                   all memory                       400
ways to begin, ways to read what was said      16,000: 1 s for each token       4,096 and 1,024
recursion that doubles the ways each round     14 rounds: 2 s, 18 for ever      400
"""

from dataclasses import dataclass
from typing import Any

from api.errors import bad_request
from api.grammar.ambiguity import Ambiguity
from api.grammar.gbnf import BadGrammar, Rules
from api.grammar.gbnf_reader import Reader

MOST_CHARS = 16_384
MOST_DEPTH = 64
MOST_ELEMENTS = 65_536


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar in llama.cpp's GBNF, bounded; the empty one is none."""

    def checked(self, value: Any, name: str) -> str:
        """The text, or an `ApiError` 400 that names the field."""
        if not isinstance(value, str):
            raise bad_request(f"`{name}` must be a string.", param=name)
        if len(value) > MOST_CHARS:
            raise bad_request(f"`{name}` must have {MOST_CHARS} characters at most.", param=name)
        try:
            if value:
                check_grammar(value)
        except BadGrammar as error:
            raise bad_request(f"`{name}` can't be used: {error}.", param=name) from error
        return value


def check_grammar(text: str) -> int:
    """In how many ways at once llama.cpp may read a text of this grammar, at most.

    Raises `BadGrammar` for a grammar that llama.cpp can't read, or that takes too much of it.
    """
    if text.startswith("%llguidance"):
        raise BadGrammar("it must be GBNF, not llguidance")
    rules = Rules(MOST_ELEMENTS, MOST_DEPTH)
    Reader(text, rules).read()
    if "root" not in rules.rules:
        raise BadGrammar("it has no rule 'root'")
    return Ambiguity(rules).check()
