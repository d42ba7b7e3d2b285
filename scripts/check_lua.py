"""Compiles each Lua script as Redis would get it; prints what is wrong, and exits with 1.

A script may use no global but Redis' own, and have fewer than 150 locals (Lua takes 200). A line of
lua/ is at most 100 characters long.
"""

import struct
import sys
from pathlib import Path

from lupa import lua51

sys.path.insert(0, str(Path(__file__).parents[1]))

from dispatcher.script_text import SCRIPTS, script_text

MOST_LOCALS = 149
MOST_CHARS = 100
KNOWN = {
    *("ARGV", "KEYS", "redis", "error", "ipairs", "math", "pairs", "pcall", "string", "table"),
    *("tonumber", "tostring", "type", "unpack"),
}
COMPILE = b"""function(text)
    local compiled, fault = loadstring(text)
    return compiled and string.dump(compiled) or '', fault
end"""
GET_GLOBAL, SET_GLOBAL = 5, 7


class Chunk:
    """A compiled function of Lua 5.1, read from its dump."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 12  # behind the header
        self.globals: set[str] = set()
        self.locals = self._function()

    def _take(self, form: str) -> int:
        value = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return int(value[0]) if value else 0

    def _text(self) -> str:
        size = self._take("Q")
        self._at += size
        return self._data[self._at - size : self._at - 1].decode("latin-1") if size else ""

    def _constant(self) -> str:
        kind = self._take("B")
        if kind == 4:
            return self._text()
        self._at += {0: 0, 1: 1, 3: 8}[kind]
        return ""

    def _function(self) -> int:
        """Returns how many locals live until its end."""
        self._text()
        self._at += 12  # lines and sizes
        code = [self._take("I") for _ in range(self._take("I"))]
        constants = [self._constant() for _ in range(self._take("I"))]
        used = (word >> 14 for word in code if word & 0x3F in (GET_GLOBAL, SET_GLOBAL))
        self.globals.update(constants[index] for index in used)
        for _ in range(self._take("I")):
            self._function()
        lines = self._take("I")
        self._at += 4 * lines
        ends = [(self._text(), self._take("I"), self._take("I"))[2] for _ in range(self._take("I"))]
        for _ in range(self._take("I")):
            self._text()
        return sum(end == len(code) for end in ends)


def faults_of(name: str) -> list[str]:
    """What is wrong with a script, in words."""
    lua = lua51.LuaRuntime(encoding=None)
    dumped, fault = lua.eval(COMPILE)(script_text(name, 0, 1).encode())
    if fault:
        return [f"{name}.lua: {fault.decode()}"]
    chunk = Chunk(dumped)
    found = [f"{name}.lua: nothing is called {word}" for word in sorted(chunk.globals - KNOWN)]
    if chunk.locals > MOST_LOCALS:
        found.append(f"{name}.lua has {chunk.locals} locals, {MOST_LOCALS} are allowed")
    return found


def main() -> int:
    """Checks all scripts and lines."""
    found = [fault for name in SCRIPTS for fault in faults_of(name)]
    for path in sorted(Path("dispatcher/lua").rglob("*.lua")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > MOST_CHARS:
                found.append(f"{path}:{number} has {len(line)} characters")
    sys.stderr.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
