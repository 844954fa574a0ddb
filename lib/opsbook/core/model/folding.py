"""Folding: what tools do to a text when they print it, undone, with the way back to the original.

A text has several readings: as it is; with one level of escapes removed, then two, and so on (`%2522`, `&amp;#39;`,
JSON in JSON); hex dumps, mail's soft line breaks and lists of lines resolved. Of each reading there are views, which
leave out what printing adds. Texts are UTF-8 bytes throughout, so that `%C3%A4`, `\\303\\244` and `\\u00e4` are the
same two bytes.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

Match = re.Match[bytes]

_LONGEST_LINE, _LONGEST_ESCAPE = 512, 80
DEPTH = 6
"""Levels of escapes that are removed at most."""

BLANK = b" \t\n\r\x0b\x0c\0"
DROPPED = BLANK + b"'\"`\\"
"""What quoting and wrapping put into a text; left out of the plain view."""

_NAMED = dict(zip(b"abefnrtvE", b"\a\b\x1b\f\n\r\t\v\x1b", strict=True))
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|[ux]\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}"
    rb"|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3]?[0-7]{1,2}|[abefnrtvE\\])"
    rb"|%[0-9a-fA-F]{2}|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    rb"|\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][0-9]{1,4};|[()][0-9A-Za-z]|[=>\\78cDEHMNOZ])"
)
_MARKS = b"\\%&\x1b$="
_HINTS = (*(bytes([sign]) for sign in _MARKS), b"0000", b",\n", b"+\n")
_SHORT = 1024
_MAIL = re.compile(rb"=(?:([0-9A-F]{2})|\r?\n)")
_JOINT = re.compile(rb"(?<=['\"`]) ?[+,]\r?(?=\n[ \t]*['\"`])")
_DUMP = re.compile(rb"(?m)\b([0-9a-fA-F]{6,16})(:?)( [^\n]*)$")
_BEGUN = re.compile(rb"\b[0-9a-fA-F]{6,16}:? ")
_CELL = re.compile(rb" {3}(.)| {2}\\(.)| ([0-7]{3})")
_OPEN = re.compile(
    rb"(?:\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?|u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?"
    rb"|[ux]\{[0-9a-fA-F]{0,6}|U[0-9a-fA-F]{0,7}|[0-7]{0,2})?|%[0-9a-fA-F]?|&#?[0-9A-Za-z]{0,31}"
    rb"|\x1b(?:[()]|[\[\]][0-?]{0,64}[ -/]{0,8})?|=[0-9A-F]?|\$)\Z"
)


@dataclass(frozen=True)
class Traced:
    """Bytes made from others. Byte i of `data` comes from starts[i] up to ends[i] of the original."""

    data: bytes
    starts: Sequence[int]
    ends: Sequence[int]

    def sub(self, pattern: re.Pattern[bytes], into: Callable[[Match], bytes]) -> "Traced":
        """What pattern.sub makes of it."""
        made, starts, ends, last = bytearray(), list[int](), list[int](), 0
        for match in pattern.finditer(self.data):
            new, (start, stop) = into(match), match.span()
            made += self.data[last:start] + new
            starts += [*self.starts[last:start], *[self.starts[start]] * len(new)]
            ends += [*self.ends[last:start], *[self.ends[stop - 1]] * len(new)]
            last = stop
        return Traced(bytes(made) + self.data[last:], [*starts, *self.starts[last:]], [*ends, *self.ends[last:]])


def encoded(text: str, encoding: str = "utf-8") -> bytes:
    """The text as this module reads it."""
    return text.encode(encoding, "surrogatepass")


@dataclass(frozen=True)
class Step:
    """A step from one reading to the next: matches of `pattern` are replaced."""

    pattern: re.Pattern[bytes]
    into: Callable[[Match], bytes]
    hints: tuple[bytes, ...] = (b"",)

    def __call__(self, data: bytes) -> bytes:
        return self.pattern.sub(self.into, data) if self.may(data) else data

    def may(self, data: bytes) -> bool:
        """Whether there may be a match. Much faster than the pattern."""
        return any(data.find(hint) >= 0 for hint in self.hints)


@dataclass(frozen=True)
class View:
    """A reading without what printing adds. `gap` matches what may stand between two bytes of a secret."""

    drops: re.Pattern[bytes]
    table: bytes | None
    deleted: bytes
    gap: re.Pattern[bytes]
    prefix: bytes = b""

    def of(self, data: bytes) -> bytes:
        """The view of a reading."""
        if self.prefix and data.find(self.prefix) >= 0:
            data = data.replace(self.prefix, b"")
        return data.translate(self.table, self.deleted)

    def closed(self, data: bytes) -> bytes:
        """A reading without the beginning of a prefix at its end."""
        return data.removesuffix(self.prefix).removesuffix(self.prefix[:1])

    def traced(self, data: bytes) -> Traced:
        """The same, with its places in the reading."""
        found = Traced(data, range(len(data)), range(1, len(data) + 1)).sub(self.drops, lambda _: b"")
        return Traced(found.data.translate(self.table), found.starts, found.ends)


_OTHERS = bytes(sorted(set(range(256)) - set(b"0123456789abcdefABCDEF")))
# Blanks alone separate words; with the end of a line among them, they may be where a tool wrapped.
PLAIN = View(re.compile(b"[" + re.escape(DROPPED) + b"]+"), None, DROPPED, re.compile(rb"(?s)[^ \t\n\r]*|.*[\n\r].*"))
DIGITS = View(
    re.compile(b"0x|[" + re.escape(_OTHERS) + b"]+"),
    bytes.maketrans(b"ABCDEF", b"abcdef"),
    _OTHERS,
    re.compile(rb"(?:0x|\\x|[^0-9A-Za-z])*"),
    b"0x",
)
WHOLE = View(re.compile(rb"(?!)"), None, b"", re.compile(b""))


def readings(data: bytes, *, going: bool = False) -> Iterator[tuple[bytes, tuple[Step, ...]]]:
    """Each reading of the data, with the steps that lead to it; with `going`, of data that goes on after its end."""
    steps: tuple[Step, ...] = ()
    for _ in range(DEPTH):
        if going:
            data = closed(data)
        yield data, steps
        if simple(data):
            return
        for step in _ASIDE:
            if (other := step(data)) != data:
                yield other, (*steps, step)
        if (after := _UNESCAPED(data)) == data:
            return
        data = after
        steps += (_UNESCAPED,)


def traced(text: str, steps: Sequence[Step] = ()) -> Traced:
    """The reading of a text to which the steps lead, with the characters that its bytes come from."""
    places: Sequence[int] = range(len(text))
    if not text.isascii():
        places = [place for place, sign in enumerate(text) for _ in encoded(sign)]
    found = Traced(encoded(text), places, [place + 1 for place in places])
    for step in steps:
        found = found.sub(step.pattern, step.into)
    return found


def simple(data: bytes) -> bool:
    """Whether there is one reading only. Faster than the patterns: translate and find scan at memory speed."""
    if len(data) >= _SHORT:
        return all(data.find(hint) < 0 for hint in _HINTS)
    # Of a short text, which most are, one call that looks for several signs is a third faster.
    plain = len(data.translate(None, _MARKS)) == len(data)
    return plain and data.find(b"0000") < 0 and data.find(b",\n") < 0 and data.find(b"+\n") < 0


def settled(data: bytes) -> set[bytes]:
    """The readings in which no escape is left: with and without what is a shell's dollar in front of a quote."""
    for _ in range(DEPTH):
        data = _UNESCAPED(data)
    return {data, _DOLLAR(data)}


def closed(reading: bytes) -> bytes:
    """A reading without an escape, or a line of a dump, that may go on after its end."""
    tail = reading[-_LONGEST_LINE:]
    found = _OPEN.search(tail, len(tail) - _LONGEST_ESCAPE)
    if _DUMPED.may(reading):
        line = tail.rfind(b"\n") + 1
        found = _BEGUN.search(tail, line) or found
    return reading[: len(reading) - len(tail) + found.start()] if found else reading


@lru_cache(4096)
def _meaning(said: bytes) -> bytes:
    """What an escape stands for."""
    if said[:1] == b"%":
        return bytes.fromhex(said[1:].decode())
    if said[:1] == b"&":
        return encoded(html.unescape(said.decode()).replace("\xa0", " "))
    return _backslashed(said[1:]) if said[:1] == b"\\" else b""


def _backslashed(said: bytes) -> bytes:
    """What stands behind a backslash, as the bytes that it means."""
    kind, digits = said[:1], said[1:].strip(b"{}").decode()
    if kind in b"01234567":
        return bytes([int(said, 8)])
    if not digits:
        return bytes([_NAMED.get(said[0], said[0])])
    if kind == b"x" and len(digits) == 2:
        return bytes.fromhex(digits)
    codes = [int(code, 16) for code in digits.split("\\u")]
    if len(codes) == 2:
        codes = [0x10000 + ((codes[0] & 0x3FF) << 10) + (codes[1] & 0x3FF)]
    return encoded(chr(codes[0])) if codes[0] <= 0x10FFFF else b"\\" + said


def _dumped(match: Match) -> bytes:
    """A line of xxd, hexdump or od as the hex digits of its bytes; itself if it is none."""
    rest = match[3].partition(b"  ")[0] if match[2] else re.sub(rb" +[|>].*", b"", match[3])
    groups = rest.decode("latin-1").split()
    try:
        return "".join(map(_pairs if match[2] else _word, groups)).encode()
    except (ValueError, OverflowError):
        return _characters(match[3]).hex().encode() or match[0]


def _pairs(group: str) -> str:
    """The hex digits of a group of xxd. Raises ValueError if it is none."""
    return bytes.fromhex(group).hex()


def _word(group: str) -> str:
    """The hex digits of a group of hexdump or od. Raises ValueError or OverflowError if it is none."""
    size, base = {2: (1, 16), 3: (1, 8), 4: (2, 16), 6: (2, 8), 8: (4, 16)}.get(len(group), (0, 16))
    return int(group, base).to_bytes(size, "little").hex()


def _characters(line: bytes) -> bytes:
    """The bytes of a line of `od -c`; none if it is no such line."""
    cells = _CELL.findall(line)
    if len(cells) * 4 < len(line.rstrip(b" ")):
        return b""
    return b"".join(
        bytes([int(octal, 8) & 0xFF]) if octal else bytes([_NAMED.get(name[0], 0)]) if name else sign
        for sign, name, octal in cells
    )


_UNESCAPED = Step(_ESCAPE, lambda match: _meaning(match[0]))
_DUMPED = Step(_DUMP, _dumped, (b"0000",))
# A shell's $'…' and $"…". Aside: the last sign of a secret in quotes may be a dollar.
_DOLLAR = Step(re.compile(rb"\$(?=['\"])"), lambda _: b"", (b"$'", b'$"'))
_ASIDE = (
    _DUMPED,
    Step(_MAIL, lambda match: bytes.fromhex((match[1] or b"").decode()), (b"=",)),
    _DOLLAR,
    # A text in several literals, as JavaScript and notebooks have it.
    Step(_JOINT, lambda _: b"", (b",\n", b"+\n")),
)
