"""Every error opsbook raises, in one tree.

    OpsbookError                 a sentence, what to do next, an exit code
    ├── InputError          2    wrong use or input; holds every problem found, nothing ran
    ├── Refused             4    a lock, approval or policy says no
    │   └── NotYet               it may say yes later; the caller can wait
    ├── NoRoom              5    no room for the record; the run stops and can be resumed
    └── Fault              70    a fault in opsbook itself, or a machine it cannot work on
    EffectFailed (Exception)     an effect did not succeed; a cell may handle it
    RunStopped (BaseException)   the run is over; no cell may continue
    ├── EffectRefused            the gate refused an effect
    ├── RunCancelled             a person or a time limit ended the run
    └── Unpredictable            a cell used an unknown result

The stop family derives from BaseException so that `except Exception` in a cell cannot swallow it.
"""

import linecache
import traceback
from collections.abc import Sequence
from pathlib import Path


class OpsbookError(Exception):
    """A message (what went wrong), a hint (what to do about it), one sentence each, and an exit code."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def whole(self) -> str:
        """Message and hint on one line."""
        return f"{self.message} {self.hint}".strip()


class InputError(OpsbookError):
    """Invalid input. `problems` holds one sentence for each problem; all are reported at once."""

    exit_code = 2

    def __init__(self, message: str | Sequence[str], hint: str = "") -> None:
        problems = (message,) if isinstance(message, str) else tuple(message)
        super().__init__("\n".join(problems), hint)
        self.problems = problems


class Refused(OpsbookError):
    """A lock, an approval or a policy does not allow this."""

    exit_code = 4


class NotYet(Refused):
    """Refused for now: a lock may be released, or an approval given."""


class NoRoom(OpsbookError):
    """The record has no room left. Nothing starts that could not be journaled."""

    exit_code = 5


class Fault(OpsbookError):
    """opsbook itself failed, or the machine lacks something it needs."""


FENCE = "__import__('opsbook').fence("
"""The beginning of the code that runs a shell cell."""


class _ShortTraceback(BaseException):
    """A notebook shows the failing lines of the cell and the message, without opsbook's own frames."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows for this exception."""
        own = str(Path(__file__).parent)
        places = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(self.__traceback__)]
        theirs = [place for place in places if not place[0].startswith(own) and "site-packages" not in place[0]]
        read = [(number, linecache.getline(filename, number).strip()) for filename, number in theirs[-3:]]
        # What opsbook writes for a shell cell is nothing that its author knows.
        lines = [f"line {number}: {source}" for number, source in read if not source.startswith(FENCE)]
        return [*lines, f"{type(self).__name__}: {self}"]


class EffectFailed(Exception, _ShortTraceback):
    """An effect failed. `result` is the effect's result, if there is one.

    `untouched`: it did not begin, so nothing can have changed.
    """

    def __init__(self, message: str, result: object = None, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.result = result
        self.untouched = untouched


class RunStopped(_ShortTraceback):
    """The run is over. Cells must not catch it; the runner ends the run even if one does."""


class EffectRefused(RunStopped):
    """The gate refused an effect."""


class RunCancelled(RunStopped):
    """A person or a time limit ended the run."""


class Unpredictable(RunStopped):
    """A cell used an unknown result: of an effect that was only simulated, or marked as done."""
