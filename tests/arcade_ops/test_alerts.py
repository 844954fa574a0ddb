"""The gate of a promotion that asks Alertmanager: what counts, and what no answer means."""

from typing import Any

import pytest

from arcade_ops.alerts import none_began
from opsbook import EffectFailed


def told(*fire: str) -> dict[str, Any]:
    return {"fire": [*fire], "said": ""}


UNWATCHED = {"fire": None, "said": "nobody watches"}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (told(), told(), "none fires"),
        (told("A", "B"), told(), "none fires"),
        (told("A", "B"), told("B"), "fired before, and still do: B"),
        (UNWATCHED, UNWATCHED, "nobody watches"),
    ],
)
def test_what_lets_a_release_pass(before: dict[str, Any], now: dict[str, Any], said: str) -> None:
    assert none_began(before, now) == said


@pytest.mark.parametrize(("before", "began"), [(told("A"), "B, C"), (UNWATCHED, "A, B, C")])
def test_an_alert_that_begins_stops_it(before: dict[str, Any], began: str) -> None:
    with pytest.raises(EffectFailed, match=rf"^since the promotion began, these alerts fire: {began}$"):
        none_began(before, told("A", "B", "C"))


def test_a_monitoring_that_went_away_stops_it() -> None:
    with pytest.raises(EffectFailed, match="^since the promotion began, nobody watches$"):
        none_began(told(), UNWATCHED)
