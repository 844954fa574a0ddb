"""Status of unfinished runs, and of ended ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AskedQuestion:
    """An open question of a run, and since when: enough to answer it with `opsbook answer`."""

    name: str
    text: str
    choices: tuple[str, ...]
    since: str


@dataclass(frozen=True)
class RunStatus:
    """An unfinished run. `doing` is its current step or activity; `asks` is its open question.

    `detached`: the terminal of the question is gone, so perhaps nobody saw it. `mode` is live, check, session, …
    """

    run: str
    title: str
    environment: str
    operator: str
    state: str
    since: str
    doing: str
    asks: AskedQuestion | None = None
    detached: bool = False
    reason: str = ""
    mode: str = ""


@dataclass(frozen=True)
class EndedRun:
    """An ended run: its outcome, when it ended (UTC, ISO 8601), and why."""

    run: str
    title: str
    environment: str
    operator: str
    outcome: str
    ended: str
    reason: str
