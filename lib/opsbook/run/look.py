"""The look before a run goes on: what its prerequisites find now, beside what they found then."""

from collections.abc import Iterator

from opsbook.model.differ import changes_of
from opsbook.model.effect import Effect, Status
from opsbook.model.normal import normal
from opsbook.model.past import LOOK, Past
from opsbook.model.redact import Redactor
from opsbook.model.text import one_line
from opsbook.run.desk import KINDS

REMEMBERED = KINDS | {"value", "attach"}
"""Kinds that a look takes from the journal: it looks at what is outside."""

_LONGEST = 60
"""Characters of a value that is shown."""

_PASSING = frozenset({"headers", "polls", "seconds"})
"""First parts of the names of values that say how an answer came, not what it was."""


class Look:
    """Collects what is different now."""

    def __init__(self, past: Past, redactor: Redactor) -> None:
        self.differences: list[str] = []
        self._past = past
        self._redactor = redactor

    def saw(self, effect: Effect, status: Status, result: object, why: str) -> None:
        """An effect of the look has ended."""
        known = self._past.effects.get(effect.key.removeprefix(LOOK))
        if known is None or known.marked:
            return
        if status is not Status.SUCCEEDED:
            self._note(f"{effect.summary}: {why}")
        # Redacted whole, and then shortened: a secret that is cut in two is not known as one any more.
        for line in _differ(*map(self._redactor.value, (known.result, result))):
            self._note(f"{effect.summary}: {line}")

    def failed(self, step: str, why: str) -> None:
        """A cell of the look did not succeed."""
        if not self.differences:
            self._note(f"{step}: {why}")

    def _note(self, line: str) -> None:
        self.differences.append(self._redactor.text(line))


def _differ(before: object, after: object) -> Iterator[str]:
    for change in changes_of(before, after, "", normal):
        if change.what.partition(".")[0] not in _PASSING:
            yield f"{change.what}: {_short(change.before)} -> {_short(change.after)}"


def _short(value: object) -> str:
    return one_line(str(value), _LONGEST)
