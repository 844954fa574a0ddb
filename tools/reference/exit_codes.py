"""Exit codes and outcomes, as Markdown."""

from collections.abc import Iterator

from opsbook.core.model.outcome import Ending, Exit, Outcome
from tools.reference.text import documented, table

_RUN = """\
## Outcomes

The outcome of a run is in its record and in `--json`; `opsbook records list --outcome OUTCOME` finds runs by it. The
exit code tells whoever started the run.
"""

_SIGNAL = """\
If Ctrl-C ends a command that runs nothing, its exit code is 130, as of any program.
"""


def body() -> str:
    return "\n".join(("## Exit codes\n", _codes(), _SIGNAL, _RUN, _outcomes()))


def _codes() -> str:
    texts = documented(Exit)
    return table(("exit code", "name", "meaning"), [(str(int(one)), one.name, texts[one.name]) for one in Exit])


def _outcomes() -> str:
    texts = documented(Outcome)
    names = ("outcome", "meaning", "exit code")
    return table(names, [(f"`{one}`", texts[one.name], " ".join(_exits(one))) for one in Outcome])


def _exits(outcome: Outcome) -> Iterator[str]:
    """The exit code of an outcome; both codes, if it depends on whether changes are left behind."""
    left, clean = (int(Ending(outcome, "", changed, 0.0).exit_code) for changed in (True, False))
    yield str(clean) if left == clean else f"{left}; {clean} where nothing was changed, or the page has nothing to undo"
