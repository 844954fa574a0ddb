"""A game day for each fault that a drill makes: real alerts, an incident, the page that mends it, and the all-clear.

`pytest -m soak tests/platform/test_game_days.py -s` prints the seconds of each.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.platform import drills
from tests.platform.conftest import Platform, brought_up
from tests.platform.monitored import Monitored
from tests.stories import game_day
from tests.support.project import until

pytestmark = [pytest.mark.slow, pytest.mark.soak]

FIRES = {
    "instance-down": {"ArcadeInstanceDown"},
    "bad-release": {"ArcadeErrors"},
    "database-down": {"ArcadeDatabaseUnavailable"},
    "slow-handler": {"ArcadeSlow"},
    "full-disk": {"ArcadeUnavailable"},
    "wrong-weight": {"ArcadeErrors"},
    "wrong-configuration": {"ArcadeNotReady", "ArcadeUnavailable"},
    "leaked-credential": {"SecretInLog"},
}
"""The alert that each fault brings, alone or with others."""

PLAYERS = 20
"""Requests a second."""

FIVE_MINUTES_AND_MORE = 420
"""Seconds. Most alerts look at five minutes."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The training platform with a release that serves, its monitoring, and `opsbook serve`."""
    with brought_up(tmp_path_factory.mktemp("training") / "project", "training") as made:
        made.serve(drills.VERSION)
        with game_day.served(made) as server:
            monitored = Monitored(made, f"{server.address}/hooks/alertmanager", server.token)
            try:
                monitored.up()
                yield made
            finally:
                monitored.down()


@pytest.fixture
def _nothing_goes_on(watched: Platform) -> Iterator[None]:
    """A drill whose test has failed would be in the way of the next one."""
    yield
    watched.opsbook("drill", "stop")


@pytest.mark.usefixtures("_nothing_goes_on")
@pytest.mark.parametrize("drill", FIRES)
def test_a_fault_is_told_mended_and_over(watched: Platform, drill: str) -> None:
    case, (runbook,) = drills.CASES[drill], drills.front(drill)["drill"]["solved_by"]
    run = drills.begin(watched, drill, par="20m")
    clock = game_day.Clock()
    with watched.load(PLAYERS):
        found = until(lambda: told(watched, FIRES[drill]), f"one of {FIRES[drill]}", FIVE_MINUTES_AND_MORE)
    clock.lap(f"an incident: {', '.join(each['name'] for each in found['alerts'])}")
    incident = found["incident"]
    watched.opsbook("incident", "ack", incident, check=True)
    watched.run(runbook, *case.given, "--incident", incident, check=True)
    clock.lap(f"{runbook} was run")
    assert watched.opsbook("attach", run).code == 0
    assert watched.opsbook("drill", "stop", run).code == 0
    with watched.load(PLAYERS):
        until(lambda: not still(watched, incident), "the all-clear", FIVE_MINUTES_AND_MORE)
    watched.opsbook("incident", "resolve", incident, f"{runbook} mended it", check=True)
    clock.lap("no alert fires any more, and it is resolved")
    shown = json.loads(watched.opsbook("incident", "show", incident, "--json", check=True).out)
    assert runbook in [each["runbook"] for each in shown["runs"]]
    assert watched.opsbook("incident", "verify").code == 0
    print(f"\n{drill}\n{clock}")


def told(platform: Platform, alerts: set[str]) -> dict[str, Any] | None:
    """The open incident of one of these alerts."""
    listed = json.loads(platform.opsbook("incident", "list", "--json", check=True).out)
    return next((each for each in listed if alerts & {one["name"] for one in each["alerts"] if not one["ended"]}), None)


def still(platform: Platform, incident: str) -> list[str]:
    shown = json.loads(platform.opsbook("incident", "show", incident, "--json", check=True).out)
    return [each["name"] for each in shown["alerts"] if not each["ended"]]
