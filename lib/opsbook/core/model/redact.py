"""Redaction: removes known secret values from everything that is written.

Rules this module keeps:
- every form of a value that opsbook or its tools may print is replaced by ⟦secret:name⟧;
- a value split over two writes of one stream is found (`RedactedStream` holds back a possible beginning);
- longer forms win over shorter ones, so no tail of a secret survives.
"""

import base64
import html
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from typing import Any

WEAK = 6
"""Shorter values are refused: redacting them would hide ordinary words."""

_LINE = 8
_PERCENT = re.compile("%[0-9A-F]{2}")


MARK = re.compile("⟦secret:([^⟧]*)⟧")
"""A mark, with the name of its secret."""


def mark(name: str) -> str:
    """The mark that replaces a secret in a record."""
    return f"⟦secret:{name}⟧"


def forms(value: str) -> set[str]:
    """Every form in which the value may appear in output."""
    found: set[str] = set()
    for part in {value, value.strip(), *(line for line in value.splitlines() if len(line.strip()) >= _LINE)}:
        if part.strip():
            found |= set(_forms(part))
    return {form for form in found if len(form) >= min(WEAK, len(value))}


def _forms(part: str) -> Iterator[str]:
    yield part
    yield part.strip()
    for quoted in (json.dumps(part), json.dumps(part, ensure_ascii=False), repr(part), ascii(part)):
        yield quoted[1:-1]
        # JSON inside a JSON string: Ansible prints module arguments like that.
        yield json.dumps(quoted[1:-1])[1:-1]
    for escaped in (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]):
        yield escaped.replace("/", "\\/")
        yield re.sub("[<>&']", lambda match: f"\\u{ord(match[0]):04x}", escaped)
    yield repr(part.encode())[2:-1]
    yield part.encode().hex()
    yield part.encode().hex().upper()
    for safe in ("", "/"):
        for quoted in (urllib.parse.quote(part, safe=safe), urllib.parse.quote_plus(part, safe=safe)):
            yield quoted
            yield _PERCENT.sub(lambda match: match[0].lower(), quoted)
    yield html.escape(part)
    yield html.escape(part, quote=False)
    yield html.escape(part).replace("&#x27;", "&#39;")
    yield shlex.quote(part)
    yield from _base64(part.encode())


def _base64(data: bytes) -> Iterator[str]:
    """The base64 characters that depend only on the value, at its three possible offsets in longer data."""
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + data).decode()
        start = (offset * 8 + 5) // 6
        stop = (offset + len(data)) * 8 // 6
        for text in (padded[start:stop], padded[start:stop].replace("+", "-").replace("/", "_")):
            if len(text) >= WEAK:
                yield text


class Redactor:
    """Replaces known secrets. Secrets may be added during a run."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, name: str, value: str, *, weak: bool = False) -> None:
        """Redact a secret from now on. Raises ValueError if it is too short and not declared weak."""
        if len(value) < WEAK and not weak:
            raise ValueError(
                f"secret {name} has fewer than {WEAK} characters: it cannot be kept out of the record safely"
            )
        if not value:
            return
        self._values[name] = value
        for form in forms(value):
            self._names.setdefault(form, name)
        known = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known)))

    def text(self, text: str) -> str:
        """The text without any known secret."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: mark(self._names[match[0]]), text)

    def value(self, value: Any) -> Any:
        """A JSON value with every string (keys too) redacted."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def exact(self, value: Any) -> bool:
        """Whether replacing its marks restores a redacted JSON value: it has no secrets in encoded form."""
        if self._pattern is None:
            return True
        if isinstance(value, str):
            return all(self._values[self._names[found[0]]] == found[0] for found in self._pattern.finditer(value))
        if isinstance(value, dict):
            return all(self.exact(str(key)) and self.exact(item) for key, item in value.items())
        return all(map(self.exact, value)) if isinstance(value, list | tuple) else True

    @property
    def longest(self) -> int:
        """Characters of the longest form of any secret; 1 if there is none."""
        return max(map(len, self._names), default=1)

    def holds(self, text: str) -> bool:
        """Whether a secret occurs in the text."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def stream(self) -> "RedactedStream":
        """A redactor for text that arrives in pieces."""
        return RedactedStream(self)

    def settled(self, text: str) -> int:
        """The length of the text before a possible secret that continues after its end."""
        cut = min((_overlap(text, form) for form in self._names), default=len(text))
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() < cut < match.end():
                return match.start()
        return cut


def _overlap(text: str, form: str) -> int:
    """The start of the longest suffix of `text` that is a proper prefix of `form`; len(text) if there is none."""
    at = text.find(form[:3], max(0, len(text) - len(form) + 1))
    while at != -1:
        if len(text) - at < len(form) and form.startswith(text[at:]):
            return at
        at = text.find(form[:3], at + 1)
    return next((len(text) - size for size in (2, 1) if text.endswith(form[:size])), len(text))


class RedactedStream:
    """Redacts a stream piece by piece; holds back a suffix that may begin a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """The text that may be written now."""
        text = self._held + piece
        cut = self._redactor.settled(text)
        self._held = text[cut:]
        return self._redactor.text(text[:cut])

    def flush(self) -> str:
        """The text held back, at the end of the stream."""
        text, self._held = self._redactor.text(self._held), ""
        return text
