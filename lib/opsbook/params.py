"""The types authors write in the parameters cell.

    from typing import Annotated, Literal
    from opsbook.params import Between, Duration, Pattern, Release, Secret, Service

opsbook reads the cell without running it. At run time these names only need to exist and to hold values.
"""

from dataclasses import dataclass
from typing import Annotated

from opsbook.core.model.text import span_seconds

__all__ = ["Between", "Choice", "Duration", "Group", "Host", "Pattern", "Release", "Secret", "Service"]

MASK = "••••••"


class Secret:
    """A secret value. It prints as dots; `reveal()` gives the text; `name` is what the journal calls it."""

    __slots__ = ("_text", "name")

    def __init__(self, text: str, name: str = "secret") -> None:
        self._text = text
        self.name = name

    def reveal(self) -> str:
        """The secret's text. It is redacted wherever the record would contain it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled; call reveal() where the value is needed")


class Duration(float):
    """Seconds, made from text such as `90s` or `3m`."""

    def __new__(cls, text: str | float) -> "Duration":
        return super().__new__(cls, span_seconds(text) if isinstance(text, str) else text)


@dataclass(frozen=True)
class Between:
    """Limits of a number or a duration (in seconds), both inclusive."""

    low: float
    high: float


@dataclass(frozen=True)
class Pattern:
    """A regular expression the whole text must match."""

    regex: str


@dataclass(frozen=True)
class Choice:
    """A list of choices; the environment defines it under this name."""

    name: str


Host = Annotated[str, Choice("Host")]
"""A host of the environment's inventory."""

Group = Annotated[str, Choice("Group")]
"""A group of the environment's inventory."""

Service = Annotated[str, Choice("Service")]
"""One of the services that the environment has under `choices`."""

Release = Annotated[str, Choice("Release")]
"""One of the releases that the environment has under `choices`."""
