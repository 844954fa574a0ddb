"""Every error opsbook raises, in one tree.

    OpsbookError                 a sentence, what to do next, an exit code
    ├── InputError          2    wrong use or input; holds every problem found, nothing ran
    ├── Refused             4    a lock, approval or policy says no
    │   └── NotYet               it may say yes later: whoever wants to, waits
    ├── NoRoom              5    the record has no room; the run stops and can be resumed
    └── Fault              70    a fault in opsbook itself, or a machine it cannot work on
    EffectFailed (Exception)     an effect did not succeed; a cell may handle it
    RunStopped (BaseException)   the run is over; no cell may go on
    ├── EffectRefused            the gate said no
    ├── RunCancelled             a person or a time limit ended the run
    └── Unpredictable            a cell used a result that nobody knows

The stop family derives from BaseException so that `except Exception` in a cell cannot swallow it.
"""

import linecache
import traceback
from collections.abc import Sequence
from pathlib import Path


class OpsbookError(Exception):
    """What went wrong (one sentence), what to do about it (one sentence), and the exit code."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def whole(self) -> str:
        """What went wrong, and what to do about it, on one line."""
        return f"{self.message} {self.hint}".strip()


class InputError(OpsbookError):
    """Input that cannot be used. `problems` holds one sentence each; all are reported at once."""

    exit_code = 2

    def __init__(self, message: str | Sequence[str], hint: str = "") -> None:
        problems = (message,) if isinstance(message, str) else tuple(message)
        super().__init__("\n".join(problems), hint)
        self.problems = problems


class Refused(OpsbookError):
    """A lock, an approval or a policy does not allow this."""

    exit_code = 4


class NotYet(Refused):
    """Not now; somebody may give back a lock, or approve."""


class NoRoom(OpsbookError):
    """The record cannot grow. Nothing begins that could not be written down."""

    exit_code = 5


class Fault(OpsbookError):
    """opsbook itself failed, or the machine lacks something it needs."""

    exit_code = 70


class _ToldInCell(BaseException):
    """Shown in a notebook by the line of the cell and one sentence, without opsbook's own frames."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows for this exception."""
        own = str(Path(__file__).parent)
        places = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(self.__traceback__)]
        theirs = [place for place in places if not place[0].startswith(own) and "site-packages" not in place[0]]
        lines = [f"line {number}: {_source(filename, number)}" for filename, number in theirs[-3:]]
        return [*lines, f"{type(self).__name__}: {self}"]


def _source(filename: str, number: int) -> str:
    return linecache.getline(filename, number).strip()


class EffectFailed(Exception, _ToldInCell):
    """An effect ended without success. `result` is the effect's result where there is one.

    `untouched` says that it did not even begin: nothing can have changed.
    """

    def __init__(self, message: str, result: object = None, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.result = result
        self.untouched = untouched


class RunStopped(_ToldInCell):
    """The run is over. Cells must not catch it; the runner ends the run even if one does."""


class EffectRefused(RunStopped):
    """The gate refused an effect."""


class RunCancelled(RunStopped):
    """A person or a time limit ended the run."""


class Unpredictable(RunStopped):
    """A cell used what nobody knows: the result of an effect that was only simulated, or marked as done."""
