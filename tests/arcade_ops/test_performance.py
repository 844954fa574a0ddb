"""Where the time goes, as the page says it and the tree understands it."""

import re
from math import inf, nan

import pytest

from arcade_ops.performance import where

FAST = {"arcade-1": 0.1, "arcade-2": 0.1, "arcade-4": nan}
SLOW = {"arcade-1": 0.9, "arcade-2": 0.8, "arcade-4": nan}
IDLE = {"arcade-1": 0.1, "arcade-2": 0.2, "caddy": 0.0}
BUSY = {"arcade-1": 0.99, "arcade-2": 0.85, "arcade-4": 0.0, "caddy": 0.1}


@pytest.mark.parametrize(
    ("kinds", "instances", "busy", "said"),
    [
        ({"Ping": 0.9, "Play": 0.9}, {**FAST, "arcade-2": 0.9}, IDLE, "arcade-2 is slower than the others"),
        ({"Ping": 0.1, "Guess": 0.812, "Info": nan}, SLOW, BUSY, "only some kinds are slow: Guess 812 ms"),
        ({"Ping": 0.1, "Guess": inf}, SLOW, BUSY, "only some kinds are slow: Guess inf ms"),
        ({"Ping": 0.6, "Play": 0.9}, SLOW, BUSY, "every instance is busy, .*: arcade-1 0.99, arcade-2 0.85$"),
        ({"Ping": 0.6, "Play": 0.9}, SLOW, IDLE, "the instances wait; .*: arcade-1 0.10, arcade-2 0.20$"),
        ({"Ping": 0.6}, {"arcade-1": 0.6}, {}, "the instances wait; .*: unknown$"),
    ],
)
def test_where_the_time_goes(
    kinds: dict[str, float], instances: dict[str, float], busy: dict[str, float], said: str
) -> None:
    assert re.search(said, where(kinds, instances, busy, 0.5))
