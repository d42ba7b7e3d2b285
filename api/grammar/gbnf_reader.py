"""Reads GBNF, llama.cpp's language of grammars. Pure."""

from api.grammar.gbnf import ANY, NOT_ASCII, Alternative, BadGrammar, Item, Rules

MOST_REPEATS = 2000  # llama.cpp takes no more
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}
_DIGITS = "0123456789"


class Reader:
    """Reads one text."""

    def __init__(self, text: str, rules: Rules) -> None:
        self._text = text.partition("\0")[0] + "\0"  # llama.cpp reads no further either
        self._at = 0
        self._rules = rules

    def read(self) -> None:
        """All rules of the text; raises `BadGrammar`."""
        self._skip(True)
        while self._next() != "\0":
            name = self._name()
            self._skip(False)
            self._take("::=")
            self._skip(True)
            self._rules.add(name, self._alternatives(0))
            if self._next() not in "\r\n\0":
                raise self._bad("the end of the rule")
            self._skip(True)

    def _alternatives(self, depth: int) -> list[Alternative]:
        if depth > self._rules.most_depth:
            raise BadGrammar(f"its brackets nest deeper than {self._rules.most_depth}")
        found = [self._sequence(depth)]
        while self._next() == "|":
            self._at += 1
            self._skip(True)
            found.append(self._sequence(depth))
        return found

    def _sequence(self, depth: int) -> Alternative:
        items: list[Item] = []
        last: Alternative = ()
        while True:
            char = self._next()
            if char in "*+?{":
                if not last:
                    raise self._bad("something to repeat")
                del items[len(items) - len(last) :]
                last = self._repeated(last, *self._bounds())
            elif (symbol := self._symbol(char, depth)) is None:
                return tuple(items)
            else:
                last = symbol
            items += last
            self._rules.count(len(last))
            self._skip(depth > 0)

    def _symbol(self, char: str, depth: int) -> Alternative | None:
        if char == '"':
            return tuple(Item(chars) for chars in self._literal())
        if char == "[":
            chars = self._set()
            return (Item(chars),) if chars else ()
        if char == "(":
            return self._group(depth)
        if char in "<!":
            self._at = self._text.find(">", self._at) + 1 or len(self._text) - 1
            return (Item(ANY),)
        if char == ".":
            self._at += 1
            return (Item(ANY),)
        return (Item(ref=self._name()),) if _is_word(char) else None

    def _group(self, depth: int) -> Alternative:
        self._at += 1
        self._skip(True)
        name = self._rules.inner(self._alternatives(depth + 1))
        self._take(")")
        return (Item(ref=name),)

    def _bounds(self) -> tuple[int, int | None]:
        char = self._next()
        self._at += 1
        if char != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at : end].partition(",")
        if end < 0 or not _is_count(least.strip()) or not (most.strip() == "" or _is_count(most)):
            raise self._bad("one or two whole numbers in {}")
        self._at = end + 1
        low = int(least)
        high = int(most) if most.strip() else None if comma else low
        if low > MOST_REPEATS:
            raise BadGrammar(f"it repeats something more than {MOST_REPEATS} times")
        if high is not None and high < low:
            raise BadGrammar(f"it has {{{low},{high}}}: the second number is less than the first")
        return low, None if high is not None and high > MOST_REPEATS else high

    def _repeated(self, last: Alternative, low: int, high: int | None) -> Alternative:
        optional = 1 if high is None else high - low
        self._rules.count(len(last) * low + (len(last) + 2) * optional)
        one = last[0] if len(last) == 1 else Item(ref=self._rules.inner([last]))
        items = (one._replace(times=one.times * low),) if low else ()
        if not optional:
            return items or (Item(ref=self._rules.inner([()])),)
        name = f"({len(self._rules.rules)}"
        more = () if optional == 1 and high is not None else (Item(ref=name),)
        self._rules.add(name, [(one, *more), ()])
        self._rules.chains.add(name)
        return (*items, Item(ref=name, times=optional))

    def _literal(self) -> list[int]:
        self._at += 1
        found = []
        while self._next() != '"':
            found.append(1 << min(self._char(), 128))
        self._at += 1
        return found

    def _set(self) -> int:
        self._at += 1
        inverse = self._next() == "^"
        self._at += inverse
        found = 0
        while self._next() != "]":
            low = high = self._char()
            if self._next() == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                high = self._char()
            found |= _range(low, high)
        self._at += 1
        return (ANY & ~found) | NOT_ASCII if inverse and found else found

    def _char(self) -> int:
        char = self._next()
        if char == "\0":
            raise self._bad("the end of a text or a set")
        self._at += 1
        if char != "\\":
            return ord(char)
        kind = self._next()
        self._at += 1
        if kind in _ESCAPES:
            return ord(_ESCAPES[kind])
        digits = self._text[self._at : self._at + _HEX.get(kind, 0)]
        self._at += len(digits)
        try:
            return int(digits, 16)
        except ValueError:
            raise self._bad("an escape that llama.cpp knows") from None

    def _name(self) -> str:
        begin = self._at
        while _is_word(self._next()):
            self._at += 1
        if begin == self._at:
            raise self._bad("the name of a rule")
        return self._text[begin : self._at]

    def _take(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise self._bad(f"'{text}'")
        self._at += len(text)

    def _skip(self, lines: bool) -> None:
        blanks = " \t\r\n" if lines else " \t"
        while (char := self._next()) in blanks or char == "#":
            if char == "#":
                self._at = min(i for i in self._ends() if i >= 0)
            else:
                self._at += 1

    def _ends(self) -> list[int]:
        return [self._text.find(end, self._at) for end in "\r\n"] + [len(self._text) - 1]

    def _next(self) -> str:
        return self._text[self._at]

    def _bad(self, wanted: str) -> BadGrammar:
        return BadGrammar(f"character {self._at} should be {wanted}")


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "-")


def _is_count(text: str) -> bool:
    text = text.strip()
    return 0 < len(text) <= 9 and all(char in _DIGITS for char in text)


def _range(low: int, high: int) -> int:
    found = NOT_ASCII if high > 127 else 0
    if low <= min(high, 127):
        found |= (1 << (min(high, 127) + 1)) - (1 << low)
    return found
