"""What is killed when in each trial of the kill matrix, chosen by a seed."""

import os
import random
from dataclasses import dataclass

from tests.soak.killer import LINES
from tests.soak.target import NAMES, PLAYED

SEED = int(os.environ.get("OPSBOOK_SEED") or 1)
"""Of all choices; OPSBOOK_SEED sets it."""

_EVENTS = 130
"""About as many events has a run until its last effect."""

_INSIDE = ("before-intent", "after-intent", "before-result", "after-result")
_AROUND = (*_INSIDE, "under-way", "happened", "random")
COMBINATIONS = (
    *(("runner", boundary) for boundary in (*_AROUND, "random", *(b for b in LINES if b not in _INSIDE))),
    *(("kernel", boundary) for boundary in _AROUND),
    *(("keeper", boundary) for boundary in _AROUND),
    *(("ansible-playbook", boundary) for boundary in ("under-way", "happened", "half", "random")),
)
"""What is killed, and when. `half`: on one host of two it has happened."""


@dataclass(frozen=True)
class Kill:
    """What is killed at which boundary of which effect; `event` and `jitter` say when a random moment is."""

    victim: str
    boundary: str
    name: str
    event: int = 0
    jitter: float = 0.0

    def __str__(self) -> str:
        where = f"event {self.event}" if self.boundary == "random" else self.name
        return f"{self.victim} {self.boundary} {where}"


@dataclass(frozen=True)
class Plan:
    """One trial: the kill, and the habits of its operator.

    `asks`: goes on without an answer first, to be told what is unknown. `hasty`: does not accept changes at first.
    `repeats`: lets what repeats safely run again without looking. `again` is a kill of the first resume.
    """

    number: int
    kill: Kill
    asks: bool
    hasty: bool
    repeats: bool
    again: Kill | None

    def __str__(self) -> str:
        return f"kill {self.number}: {self.kill}" + (f", then {self.again}" if self.again else "")


def plan(number: int, seed: int = SEED) -> Plan:
    """The plan of a number: every combination comes in its turn, the rest is chosen by the seed."""
    chance = random.Random(f"{seed}/{number}")
    victim, boundary = COMBINATIONS[number % len(COMBINATIONS)]
    names = PLAYED if victim == "ansible-playbook" else NAMES
    jitter = chance.uniform(0, 0.8 if names is PLAYED else 0.1)
    first = Kill(victim, boundary, chance.choice(names), chance.randrange(2, _EVENTS), jitter)
    second = Kill(chance.choice(("runner", "kernel", "keeper")), chance.choice(_INSIDE), chance.choice(NAMES))
    asks, hasty, repeats = (chance.random() < share for share in (0.7, 0.2, 0.5))
    return Plan(number, first, asks, hasty, repeats, again=second if chance.random() < 0.2 else None)
