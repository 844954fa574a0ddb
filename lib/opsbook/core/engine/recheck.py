"""The recheck before a run resumes: compare what its prerequisites find now with what they found before."""

from collections.abc import Collection, Iterator

from opsbook.core.engine.runner_effects import KINDS
from opsbook.core.model import differ
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.differ import changes_of, normal, shown
from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.past import Past
from opsbook.core.model.redact import Redactor

REMEMBERED = KINDS | {"value", "attach"}
"""Kinds that a recheck takes from the journal: it only checks external systems."""

_LONGEST = 60
"""Characters of a value that are shown."""

_MOST = 20
"""Differences of one effect that are shown."""

_PASSING = frozenset({"headers", "polls", "seconds"})
"""First parts of value names that are not compared: they describe the call, not the answer."""


class Recheck:
    """Collects the differences."""

    def __init__(self, past: Past, redactor: Redactor) -> None:
        self.differences: list[str] = []
        self._past = past
        self._redactor = redactor

    def saw(self, effect: Effect, status: Status, result: object, why: str) -> None:
        """Compare an effect of the recheck with the journal, now that it has ended."""
        known = self._past.effects.get(effect.key.removeprefix(LOOK))
        if known is None or known.marked:
            return
        if status is not Status.SUCCEEDED:
            self._note(f"{effect.summary}: {why}")
        # Redact before shortening: part of a secret would not be recognized.
        then, now = self._redactor.value(known.result), self._redactor.value(result)
        lines = list(_differ(then, now, effect.ignore))
        for line in lines[:_MOST]:
            self._note(f"{effect.summary}: {line}")
        if len(lines) > _MOST:
            self._note(f"{effect.summary}: {len(lines) - _MOST} more differences")

    def failed(self, step: str, why: str) -> None:
        """Note that a cell of the recheck did not succeed."""
        if not self.differences:
            self._note(f"{step}: {why}")

    def _note(self, line: str) -> None:
        self.differences.append(self._redactor.text(line))


def _differ(before: object, after: object, names: Collection[str]) -> Iterator[str]:
    """Where two answers differ: by path in JSON, by line in other text."""
    then, now = (differ.without(differ.opened(each), names) for each in (before, after))
    for change in changes_of(then, now, "", normal):
        if change.what.partition(".")[0] not in _PASSING:
            where, *values = shown(change, normal, _LONGEST)
            yield f"{', '.join(filter(None, (change.what, where)))}: {' -> '.join(values)}"
