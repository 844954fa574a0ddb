"""Parameters of a runbook, and the conversion of typed text to their values."""

import datetime
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opsbook.core.model.text import checked_span, one_line, span_seconds

Base = Literal["str", "int", "float", "bool", "date", "duration", "secret"]
Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_KIND = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date such as 2026-11-20",
    "duration": "a duration such as 90s or 3m",
    "secret": "a secret",
}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHOWN = 80
"""Characters of a wrong value that are shown."""

_SCHEMA_TYPE = {"int": "integer", "float": "number", "bool": "boolean"}


@dataclass(frozen=True)
class Parameter:
    """One typed input.

    `choices` are the literal values of a `Literal`; `choice_of` names a choice list of the environment
    (Host, Group, Service, Release). `low`, `high` and `pattern` come from Between and Pattern.
    """

    name: str
    base: Base
    line: int
    many: bool = False
    optional: bool = False
    required: bool = True
    default: Value = None
    description: str = ""
    choices: tuple[Scalar, ...] = ()
    choice_of: str | None = None
    low: float | None = None
    high: float | None = None
    pattern: str | None = None

    @property
    def secret(self) -> bool:
        return self.base == "secret"

    @property
    def kind(self) -> str:
        """The kind of value, in words for the user."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        text = f"a {self.choice_of.lower()}" if self.choice_of else _KIND[self.base]
        if self.low is not None:
            text += f" from {self.low:g} to {self.high:g}"
        return f"a list ({text} each)" if self.many else text

    def convert(self, typed: str | Sequence[str]) -> Value:
        """The JSON value of typed text. Raises ValueError, which says what is wrong.

        A list takes several values, or one text with commas. Text stays exactly as typed.
        """
        if self.many:
            parts = filter(None, map(str.strip, typed.split(","))) if isinstance(typed, str) else typed
            return [self.one(item) for item in parts]
        values = [typed] if isinstance(typed, str) else list(typed)
        if len(values) != 1:
            raise ValueError(f"takes one value, not {len(values)}")
        return None if self.optional and values[0] == "" else self.one(values[0])

    def one(self, text: str) -> Scalar:
        """The JSON value of one text; for a list, that of one item. Raises ValueError."""
        check_text(text)
        value = self._typed(text)
        if self.choices and value not in self.choices:
            raise ValueError(f"{quoted(text)} is not {self.kind}")
        return self._checked(value, text)

    def _typed(self, text: str) -> Scalar:
        if self.choices:
            return next((choice for choice in self.choices if str(choice) == text), text)
        try:
            return _CONVERT[self.base](text)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{quoted(text)} is not {_KIND[self.base]}") from error

    def _checked(self, value: Scalar, text: str) -> Scalar:
        low, high, number = self.low, self.high, span_seconds(text) if self.base == "duration" else value
        if low is not None and high is not None and isinstance(number, int | float) and not low <= number <= high:
            raise ValueError(f"{one_line(text, _SHOWN)} is not between {low:g} and {high:g}")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise ValueError(f"{quoted(text)} does not match {self.pattern}")
        return value

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        one: dict[str, Any] = {"type": _SCHEMA_TYPE.get(self.base, "string")}
        if self.choices:
            one = {"enum": list(self.choices)}
        if self.base == "date":
            one["format"] = "date"
        if self.low is not None and self.base in ("int", "float"):
            one |= {"minimum": self.low, "maximum": self.high}
        if self.pattern:
            one["pattern"] = self.pattern
        if self.choice_of:
            one["x-choice"] = self.choice_of
        if self.secret:
            one["writeOnly"] = True
        return {"type": "array", "items": one} if self.many else one


def check_text(text: str) -> None:
    """Raise ValueError for characters that files and programs cannot take: NUL and surrogates."""
    wrong = _NO_TEXT.search(text)
    if wrong:
        raise ValueError(f"it contains U+{ord(wrong[0]):04X}, which is not allowed in text")


def quoted(text: str) -> str:
    """Typed text, quoted and shortened for an error message."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_CONVERT: dict[str, Callable[[str], Scalar]] = {
    "str": str,
    "int": _integer,
    "float": _number,
    "bool": lambda text: _WORDS[text.lower()],
    "date": lambda text: datetime.date.fromisoformat(text).isoformat(),
    "duration": checked_span,
    "secret": str,
}


_MAKERS = {
    "date": "__import__('datetime').date.fromisoformat",
    "duration": "__import__('opsbook.params').params.Duration",
}
"""What makes the values of these kinds of their texts."""


def literal(parameter: Parameter, value: Value) -> str:
    """Python source of the value, for the parameters cell. User text appears only inside literals."""
    if parameter.secret:
        return f"__import__('opsbook').secret({parameter.name!r})"
    if value is not None and (maker := _MAKERS.get(parameter.base)):
        if isinstance(value, list):
            return "[" + ", ".join(f"{maker}({item!r})" for item in value) + "]"
        return f"{maker}({value!r})"
    return repr(value)
