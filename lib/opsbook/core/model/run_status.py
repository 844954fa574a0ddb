"""A run that is not done with, as it stands at this moment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AskedQuestion:
    """What a run asks, and since when: enough to answer it with `opsbook answer`."""

    name: str
    text: str
    choices: tuple[str, ...]
    since: str


@dataclass(frozen=True)
class RunStatus:
    """A run that is not done with. `doing` says at what it is; `asks` is the question that stands.

    `detached`: the terminal it was asked at is gone, so that nobody may have seen it.
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


@dataclass(frozen=True)
class EndedRun:
    """A run that is over: how it ended, when (UTC, ISO 8601), and why."""

    run: str
    title: str
    environment: str
    operator: str
    outcome: str
    ended: str
    reason: str
