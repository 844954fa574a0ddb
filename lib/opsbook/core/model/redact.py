"""Redaction: removes known secret values from everything that is written.

Rules this module keeps:
- a value is replaced by ⟦secret:name⟧ in every reading of a text (`folding.py`): quoted, escaped, wrapped, coloured, as
  base64, base32, hex, octal or decimal bytes, dumped, and each inside the other;
- of a long value in base64 or in digits, any part of `encodings.PART` bytes is replaced;
- a value split over two writes of one stream is found (`RedactedStream` holds back a possible beginning);
- longer matches win over shorter ones, so no tail of a secret survives.

What it takes for a secret beyond the value itself: the value without its quotes, backslashes and blanks, or with others
between its characters, such as `cant_do` for `can't_do`. Blanks count only where the value has one, where a line ends,
and in base64; the end of a line inside a value without blanks only from `_WRAPPED` bytes on. Digits count as bytes only
where no letter is between them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from opsbook.core.model import folding
from opsbook.core.model.encodings import SERIOUS, WEAK, Known, Track, tracks_of
from opsbook.core.model.folding import DROPPED, Traced, View

_WRAPPED = 8

_VARIED = 6
"""Different bytes in a part; with fewer, such as in encoded zeros, it may be anybody's."""


_BEGUN = 2
"""Bytes of an escape at the end that a stream holds back."""

_WINDOW = 4
"""Times the longest secret: the piece of a long text that is traced at once."""

_BEFORE = 128
"""Characters already written that a stream still looks at."""

_GROWTH, _ROOM = 12, 1024

MARK = re.compile("⟦secret:([^⟧]*)⟧")
"""A mark, with the name of its secret."""


def mark(name: str) -> str:
    """The mark that replaces a secret in a record."""
    return f"⟦secret:{name}⟧"


@dataclass(frozen=True, order=True)
class Span:
    """Where a secret is in a text. `open`: its encoding may go on after the end of the text."""

    start: int
    stop: int
    name: str
    open: bool = False


def _joined(view: View, track: Track, low: int, gaps: Iterable[bytes]) -> bool:
    """Whether what stands between the bytes of a track, from `low` on, is what a tool may put there."""
    return all(
        track.loose
        or at in track.spaces
        or (view.gap.fullmatch(gap) and (len(track.data) >= _WRAPPED or b"\n" not in gap))
        for at, gap in enumerate(gaps, low + 1)
        if gap
    )


def _gaps(reading: bytes, place: Traced, start: int, stop: int) -> Iterator[bytes]:
    """What a view left out of a reading between these bytes of the view."""
    for ended, begun in pairwise(range(start, stop)):
        yield reading[place.ends[ended] : place.starts[begun]]


class Redactor:
    """Replaces known secrets. Secrets may be added during a run."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._known: dict[View, Known] = {}
        self._shortest = 0

    def add(self, name: str, value: str, *, weak: bool = False) -> None:
        """Redact a secret from now on. Raises ValueError if it is too short and not declared weak."""
        if len(value) < WEAK and not weak:
            raise ValueError(
                f"secret {name} has fewer than {WEAK} characters: it cannot be kept out of the record safely"
            )
        if not value or self._values.get(name) == value:
            return
        self._values[name] = value
        for view, track in tracks_of(name, value):
            self._known.setdefault(view, Known(view)).add(track)
        tracks = (data for known in self._known.values() for data in known.tracks)
        # In characters of UTF-8.
        self._shortest = min(sum(byte & 0xC0 != 0x80 for byte in data) for data in tracks)

    @property
    def longest(self) -> int:
        """Characters that any secret takes at most; 1 if there is none. In a wilder spelling, a stream may miss it."""
        return max((_GROWTH * len(value) + _ROOM for value in self._values.values()), default=1)

    def spans(self, text: str) -> list[Span]:
        """Where secrets are in a text, in order and apart."""
        if not self._values:
            return []
        hits = [*self._hits(text)]
        if not hits or len(text) <= _WINDOW * self.longest:
            return _apart(span for reading, steps, known in hits for span in self._within(text, reading, steps, known))
        # Only windows with a hit are traced byte by byte, so that long output costs little more for a secret in it.
        found, size = list[Span](), _WINDOW * self.longest
        for at in range(0, len(text), size - self.longest):
            last = at + size >= len(text)
            inside = self.spans(text[at : at + size])
            found += (Span(at + one.start, at + one.stop, one.name, one.open and last) for one in inside)
        return _apart(found)

    def _hits(self, text: str) -> Iterator[tuple[bytes, Sequence[folding.Step], Known]]:
        """Each reading with the tracks that may be in it."""
        data = folding.encoded(text)
        for reading, steps in ((data, ()),) if folding.simple(data) else folding.readings(data):
            for known in self._known.values():
                if known.hit(reading):
                    yield reading, steps, known

    def _within(self, text: str, reading: bytes, steps: Sequence[folding.Step], known: Known) -> Iterator[Span]:
        """The secrets of one view of a reading."""
        place, origin = known.view.traced(reading), folding.traced(text, steps)
        until = len(known.view.of(folding.closed(reading)))
        for track, at, low, high in known.found(place.data):
            stop = at + high - low
            enough = high - low == len(track.data) or (
                high - low >= track.least and len({*track.data[low:high]}) >= _VARIED
            )
            if enough and _joined(known.view, track, low, _gaps(reading, place, at, stop)):
                start, end = origin.starts[place.starts[at]], origin.ends[place.ends[stop - 1] - 1]
                going = stop >= until and high < len(track.data)
                yield Span(*self._widened(text, start, end, track.name), track.name, going)

    def _widened(self, text: str, start: int, stop: int, name: str) -> tuple[int, int]:
        """A span with the quotes and blanks at the ends of the value itself, where they are there."""
        value, edges = self._values[name], DROPPED.decode()
        first = start - (len(value) - len(value.lstrip(edges)))
        if first >= 0 and text.startswith(value, first) and first + len(value) >= stop:
            return first, first + len(value)
        return start, stop

    def text(self, text: str) -> str:
        """The text without any known secret."""
        if len(text) < self._shortest:
            return text
        found = self.spans(text)
        return rendered(text, found, 0, len(text)) if found else text

    def value(self, value: Any) -> Any:
        """A JSON value with every string (keys too) redacted; also what goes on in the next string of a list."""
        if not self._values:
            return value
        if isinstance(value, str):
            return value if len(value) < self._shortest else self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return self._lines(value) if _are_lines(value) else [self.value(item) for item in value]
        return value

    def _lines(self, lines: Sequence[str]) -> list[str]:
        """Strings of which each may go on in the next."""
        text = "\n".join(lines)
        if not (found := self.spans(text)):
            return list(lines)
        made, start = [], 0
        for line in lines:
            made.append(rendered(text, found, start, start + len(line)))
            start += len(line) + 1
        return made

    def exact(self, value: Any) -> bool:
        """Whether replacing its marks restores a redacted JSON value: it has no secrets in encoded form."""
        if not self._values:
            return True
        if isinstance(value, str):
            return all(self._values[span.name] == value[span.start : span.stop] for span in self.spans(value))
        if isinstance(value, dict):
            return all(self.exact(str(key)) and self.exact(item) for key, item in value.items())
        if not isinstance(value, list | tuple):
            return True
        alone = not _are_lines(value) or self._lines(value) == [self.text(line) for line in value]
        return alone and all(map(self.exact, value))

    def holds(self, text: str) -> bool:
        """Whether a secret occurs in the text."""
        return bool(self.spans(text))

    def stream(self) -> "RedactedStream":
        """A redactor for text that arrives in pieces."""
        return RedactedStream(self)

    def settled(self, text: str) -> int:
        """The length of the text before a possible secret that continues after its end."""
        if not self._values:
            return len(text)
        start = max(0, len(text) - self.longest)
        return start + min(self._begun(text[start:]), default=len(text) - start)

    def _begun(self, text: str) -> Iterator[int]:
        """Where secrets, and escapes that may belong to one, begin in a text that goes on after its end."""
        data, ended = folding.encoded(text), text.endswith("\n")
        if (ending := len(data) - len(folding.closed(data))) >= _BEGUN:
            yield len(text) - ending
        for reading, steps in folding.readings(data, going=True):
            for known in self._known.values():
                closed = known.view.closed(reading)
                if begun := [*known.beginning(known.view.of(closed), ended=ended and closed.endswith(b"\n"))]:
                    place, origin = known.view.traced(closed), folding.traced(text, steps)
                    starts = (_start(known.view, closed, place, track, size, ended=ended) for track, size in begun)
                    yield from (origin.starts[place.starts[at]] for at in starts if at is not None)


def _start(view: View, reading: bytes, place: Traced, track: Track, size: int, *, ended: bool) -> int | None:
    """Where the first `size` bytes of a track begin at the end of a view; None if they cannot be a beginning.

    Few bytes are none if the text `ended` with a line; the end of a line in an escape ends nothing.
    """
    at, last = len(place.data) - size, reading[place.ends[-1] :]
    few = ended and size < SERIOUS and b"\n" in last
    gaps = [*_gaps(reading, place, at, len(place.data)), last]
    return None if few or not _joined(view, track, 0, gaps) else at


def _are_lines(value: Sequence[Any]) -> bool:
    return len(value) > 1 and all(isinstance(item, str) for item in value)


def _apart(found: Iterable[Span]) -> list[Span]:
    """The spans in order; of those that overlap, one in their place, named as the longest."""
    apart: list[Span] = []
    for span in sorted(found, key=lambda span: (span.start, -span.stop)):
        if apart and span.start < apart[-1].stop:
            last = apart.pop()
            longest = max(last, span, key=lambda one: one.stop - one.start)
            apart.append(Span(last.start, max(last.stop, span.stop), longest.name, last.open or span.open))
        else:
            apart.append(span)
    return apart


def rendered(text: str, spans: Iterable[Span], start: int, stop: int) -> str:
    """The text from start up to stop, with a mark for each span that lies in it, even in part."""
    made, last = list[str](), start
    for span in spans:
        if max(span.start, start) < min(span.stop, stop):
            made += text[last : span.start], mark(span.name)
            last = min(span.stop, stop)
    return "".join([*made, text[last:stop]])


class RedactedStream:
    """Redacts a stream piece by piece; holds back an end that may begin a secret, up to a limit."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._text = ""
        self._written = 0

    def feed(self, piece: str) -> str:
        """The text that may be written now."""
        text = self._text + piece
        return self._until(text, self._redactor.settled(text))

    def flush(self) -> str:
        """The text held back, at the end of the stream."""
        return self._until(self._text, len(self._text), ended=True)

    def _until(self, text: str, cut: int, *, ended: bool = False) -> str:
        """What is written of a text up to `cut`, or up to a secret that goes on there; keeps the rest."""
        spans = self._redactor.spans(text)
        for span in spans:
            going = span.open and not ended and len(text) - span.start <= self._redactor.longest
            if going or span.start < cut < span.stop:
                cut = min(cut, span.start)
        cut = max(cut, self._written)
        written = rendered(text, spans, self._written, cut)
        keep = max(0, cut - _BEFORE)
        self._text, self._written = text[keep:], cut - keep
        return written
