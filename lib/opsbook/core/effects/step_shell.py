"""What a shell fence leaves to the next one of its step: the folder it went to, and the variables it exported (ADR 25).

A value goes into the record only if the record shows it anyway: it is part of the script, or a parameter's. Any other
stays in this process, so that a step that a new kernel resumes has to say what it lacks.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opsbook.core.effects.process import Program
from opsbook.core.model.shell import leaves_something
from opsbook.errors import EffectFailed

_NEVER = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})
"""Variables that every shell sets itself."""

_LARGEST = 4 * 1024 * 1024
"""Bytes of an environment; what a larger one holds is not kept."""

_AT_EXIT = "trap 'opsbook_rc=$?; { pwd; env -0; } >/dev/fd/%d 2>/dev/null || :; exit $opsbook_rc' EXIT; "
"""Runs when the shell ends, unless the script sets a trap of its own there."""


@dataclass(frozen=True)
class Left:
    """What a fence left. A variable is None if it was unset; `shown` are those whose value is in the record.

    `lost` are variables that an earlier process had; `unknown`: nobody knows what the fence left.
    """

    cwd: str | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    lost: tuple[str, ...] = ()
    unknown: bool = False

    def lacks(self) -> str:
        """What the next fence would have to do without."""
        if self.unknown:
            return "folder and variables that an earlier part of this step left are not known: it did not run here"
        return (
            f"an earlier part of this step exported {', '.join(self.lost)}, and the record does not hold the value; "
            "begin the step again: opsbook resume RUN --from STEP"
        )

    def to_json(self) -> dict[str, Any]:
        """For the record; a folder of the project is relative to it."""
        known = {name: value for name, value in self.variables.items() if name in self.shown}
        lost = sorted({*self.lost, *(self.variables.keys() - self.shown)})
        inside = self.cwd is not None and Path(self.cwd).is_relative_to(Path.cwd())
        return {"cwd": os.path.relpath(self.cwd or "") if inside else self.cwd, "variables": known, "unrecorded": lost}


_left: dict[str, dict[int, Left]] = {}
"""By step, and the number of the cell in it."""


class StepShell:
    """The shell of one fence: begins with what those before it left, and keeps what it leaves."""

    def __init__(self, cell: str, texts: Iterable[str]) -> None:
        """`cell` is its id; `texts` are in the record already."""
        step, _, number = cell.rpartition("/")
        self._number, self._texts = int(number), tuple(texts)
        if step not in _left:
            _left.clear()
        self._kept = _left.setdefault(step, {})

    @property
    def _before(self) -> Left:
        earlier = [number for number in self._kept if number < self._number]
        return self._kept[max(earlier)] if earlier else Left()

    @contextmanager
    def going_on(self, program: Program) -> Iterator[Program]:
        """The program with what its shell begins with; what it leaves is kept if it ends by itself.

        Raises EffectFailed if a value is lost, or if a fence before it was only simulated, or marked as done.
        """
        before = self._before
        if before.lost or before.unknown:
            raise EffectFailed(before.lacks(), untouched=True)
        told = _file()
        *words, script = program.words
        env = {**(program.env or {}), **before.variables}
        made = replace(program, words=[*words, _AT_EXIT % told + script], cwd=before.cwd, env=env, pass_fds=(told,))
        try:
            yield made
            self._take(os.pread(told, _LARGEST + 1, 0), made.environment)
        finally:
            os.close(told)

    def _take(self, data: bytes, env: Mapping[str, str]) -> None:
        """Keep what the shell told: its folder on a line, then its environment. It began with `env`."""
        place, _, rest = data.partition(b"\n")
        if not rest or len(data) > _LARGEST:
            return
        pairs = (os.fsdecode(each).partition("=") for each in rest.split(b"\0") if each)
        after: dict[str, str | None] = {name: value for name, _, value in pairs if name not in _NEVER}
        gone = dict.fromkeys(name for name in env if name not in after and name not in _NEVER)
        changed = {name: value for name, value in {**after, **gone}.items() if env.get(name) != value}
        shown = {name for name, value in changed.items() if value is None or any(value in text for text in self._texts)}
        before = self._before
        self._kept[self._number] = Left(
            os.fsdecode(place),
            {**before.variables, **changed},
            frozenset(shown | (before.shown - changed.keys())),
        )

    def result(self) -> dict[str, Any]:
        """What the fence left, for its recorded result."""
        left = self._kept.get(self._number)
        return {"left": left.to_json()} if left else {}

    def unknown(self, script: str) -> None:
        """The fence has no result: it was only simulated, or a person marked it as done."""
        if leaves_something(script):
            self._kept[self._number] = replace(self._before, unknown=True)

    def recorded(self, result: Mapping[str, Any]) -> None:
        """Take over what a recorded result says, unless this process knows it itself."""
        told = result.get("left")
        if isinstance(told, dict) and self._number not in self._kept:
            known = dict(told["variables"])
            self._kept[self._number] = Left(told["cwd"], known, frozenset(known), tuple(told["unrecorded"]))


def _file() -> int:
    """A file without a name, in memory where the system can: it holds the values of variables."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("opsbook-left")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
