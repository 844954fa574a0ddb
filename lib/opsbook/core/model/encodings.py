"""The encodings of a secret, as the views of `folding.py` show them, and how they are found."""

import base64
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from opsbook.core.model import folding
from opsbook.core.model.folding import BLANK, DIGITS, PLAIN, WHOLE, View

_LINE = 8
_LOOSE = 12

PART = 16
"""Bytes of an encoding that are enough to know it. A word of `_words` lies within any 15."""

WEAK = 6
"""Shorter values are refused: redacting them would hide ordinary words."""

SERIOUS = 4
"""Bytes at the end of a line that a stream holds back as a possible beginning. Fewer begin too many ordinary words."""

_NO_DECIMALS = bytes(sorted(set(range(256)) - set(b"0123456789")))
_NO_DECIMAL_PAIR = re.compile(rb"[^0-9]{2}")


@dataclass(frozen=True)
class Track:
    """One encoding of a secret, as a view shows it.

    `least` bytes of it count; blanks may stand before the bytes `spaces`, in a `loose` one before any.
    """

    name: str
    data: bytes
    least: int
    spaces: frozenset[int] = frozenset()
    loose: bool = False


def _words(data: bytes, size: int = 8, kind: Literal["Q", "I"] = "Q") -> Sequence[int]:
    """The data as words of `size` bytes."""
    return memoryview(data)[: len(data) & -size].cast(kind) if len(data) >= size else ()


@dataclass
class Known:
    """The tracks of one view. Long ones are found by one word in a set, short ones by a pattern."""

    view: View
    tracks: dict[bytes, Track] = field(default_factory=dict)
    short: list[Track] = field(default_factory=list)
    words: set[int] = field(default_factory=set)
    heads: set[bytes] = field(default_factory=set)
    fours: set[int] = field(default_factory=set)
    pattern: re.Pattern[bytes] | None = None
    decimals: int = PART

    def add(self, track: Track) -> None:
        if self.tracks.setdefault(track.data, track) is not track:
            return
        # In hex, every second digit of ASCII text is a decimal one.
        self.decimals = min(self.decimals, 0 if _NO_DECIMAL_PAIR.search(track.data) else track.least // 2)
        if track.least < PART:
            self.short.append(track)
            self.pattern = re.compile(b"|".join(re.escape(known.data) for known in self.short))
        for shift in range(8 if track.least >= PART else 0):
            self.words.update(_words(track.data[shift:]))
        for shift in range(4):
            self.fours.update(_words(track.data[shift:], 4, "I"))
        self.heads.update(track.data[:size] for size in range(1, SERIOUS))

    def hit(self, reading: bytes) -> bool:
        """Whether there may be a secret in the view of a reading."""
        if self.decimals and len(reading.translate(None, _NO_DECIMALS)) < self.decimals:
            return False
        data = self.view.of(reading)
        if self.words and not self.words.isdisjoint(_words(data)):
            return True
        return self.pattern is not None and self.pattern.search(data) is not None

    def found(self, data: bytes) -> Iterator[tuple[Track, int, int, int]]:
        """Each track in a view's data: with its place in it, and the part of the track that is there."""
        for track in self.short:
            for place in _places(data, track.data):
                yield track, place, 0, len(track.data)
        seen: dict[tuple[int, int], int] = {}
        known = 0
        for number, word in enumerate(_words(data)):
            if word in self.words and number * 8 >= known:
                for track, place, low, high in self._around(data, number * 8, seen):
                    known = max(known, place + high - low if high - low >= track.least else 0)
                    yield track, place, low, high

    def _around(self, data: bytes, at: int, seen: dict[tuple[int, int], int]) -> Iterator[tuple[Track, int, int, int]]:
        """Each long track of which the word at `at` is a part. `seen` is up to where one was found, by its place."""
        for number, track in enumerate(self.tracks.values()):
            for place in _places(track.data, data[at : at + 8]):
                if seen.get((number, at - place), 0) <= at:
                    low = place - _shared(data[max(0, at - place) : at][::-1], track.data[:place][::-1])
                    high = place + _shared(data[at : at + len(track.data)], track.data[place:])
                    seen[number, at - place] = at - place + high
                    yield track, at - place + low, low, high

    def beginning(self, data: bytes, *, ended: bool) -> Iterator[tuple[Track, int]]:
        """Each track that may begin at the end of the data, with the number of its bytes there.

        With `ended`, a line ended there.
        """
        few = not ended and any(data[-size:] in self.heads for size in range(1, SERIOUS))
        if not few and self.fours.isdisjoint(_words(data[-SERIOUS:], 4, "I")):
            return
        for track in self.tracks.values():
            if size := _overlap(data, track.data):
                yield track, size


def _places(data: bytes, part: bytes) -> Iterator[int]:
    at = data.find(part)
    while at != -1:
        yield at
        at = data.find(part, at + 1)


def _shared(one: bytes, other: bytes) -> int:
    """The number of bytes with which both begin."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(at for at in range(size) if one[at] != other[at])


def _overlap(data: bytes, track: bytes) -> int:
    """The length of the longest end of `data` that is a proper beginning of `track`."""
    at = data.find(track[:3], max(0, len(data) - len(track) + 1))
    while at != -1:
        if track.startswith(data[at:]):
            return len(data) - at
        at = data.find(track[:3], at + 1)
    return next((size for size in (2, 1) if size < len(track) and data.endswith(track[:size])), 0)


def tracks_of(name: str, value: str) -> Iterator[tuple[View, Track]]:
    """Every encoding of a secret, with the view that shows it."""
    stripped = value.strip()
    for part in {stripped, *(line for line in map(str.strip, value.splitlines()) if len(line) >= _LINE)} - {""}:
        yield from _raw(name, part)
    data, wide = folding.encoded(stripped), folding.encoded(stripped, "utf-16-le")
    for text in {*_based(data, 6), *_based(wide, 6), *_based(data, 5)}:
        yield PLAIN, Track(name, text, min(len(text), PART), loose=len(text) >= _LOOSE)
    for digits in {data.hex(), *(_digits(stripped, data) if len(data) >= WEAK else ())} - {""}:
        yield DIGITS, Track(name, digits.encode(), min(len(digits), PART))


def _raw(name: str, part: str) -> Iterator[tuple[View, Track]]:
    """A value as it is; as it is when no escape in it is left; with Latin-1 escapes; with a plus for each blank."""
    data, least = folding.encoded(part), min(WEAK, len(part))
    mixed = b"".join(sign.encode("latin-1") if sign < "\u0100" else folding.encoded(sign) for sign in part)
    readings = {data, mixed, *folding.settled(data), *folding.settled(mixed), data.replace(b" ", b"+")}
    for reading in readings:
        plain = PLAIN.of(reading)
        if len(plain) >= least:
            yield PLAIN, Track(name, plain, len(plain), _spaces(reading))
    if len(PLAIN.of(data)) < least:
        for whole in {part, shlex.quote(part), json.dumps(part)[1:-1], repr(part)[1:-1]}:
            yield WHOLE, Track(name, folding.encoded(whole), 1)


def _spaces(data: bytes) -> frozenset[int]:
    """The bytes of the plain view before which the data has a blank."""
    gaps = PLAIN.drops.finditer(data)
    return frozenset(len(PLAIN.of(data[: gap.start()])) for gap in gaps if {*gap[0]} & {*BLANK})


def _based(data: bytes, bits: int) -> Iterator[bytes]:
    """The characters of base64 (of 6 bits) or base32 (of 5) that depend only on the value, at each of its possible
    offsets in longer data.
    """
    encode, offsets = (base64.b64encode, 3) if bits == 6 else (base64.b32encode, 5)
    for offset in range(offsets):
        text = encode(b"\0" * offset + data)[-(-offset * 8 // bits) : (offset + len(data)) * 8 // bits]
        if len(text) >= WEAK:
            yield from (text, text.translate(bytes.maketrans(b"+/", b"-_")))


def _digits(text: str, data: bytes) -> Iterator[str]:
    """A text as lists of characters and bytes, decimal and octal, and as hex words of two bytes, the second first."""
    yield "".join(str(ord(sign)) for sign in text)
    yield "".join(map(str, data))
    yield "".join(f"{byte:03o}" for byte in data)
    for offset in range(2):
        words = zip(data[offset::2], data[offset + 1 :: 2], strict=False)
        yield "".join(f"{high:02x}{low:02x}" for low, high in words)
