"""A game day for each fault: real alerts, an incident, the page that mends it, and the all-clear.

`pytest -m soak tests/platform/test_game_days.py -s` prints the seconds of each.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import psutil
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
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """The training platform with a release that serves, its monitoring, and `opsbook serve`."""
    with brought_up(tmp_path_factory.mktemp("training") / "project", "training") as made:
        made.serve(drills.VERSION)
        with game_day.served(made) as server:
            monitored = Monitored(made, f"{server.address}/hooks/alertmanager", server.token)
            try:
                monitored.up()
                yield monitored
            finally:
                monitored.down()


@pytest.fixture
def watched(day: Monitored) -> Platform:
    return day.platform


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


# -- faults that no drill makes


def balancer_down(day: Monitored) -> None:
    day.platform.ctl("stop", "caddy")


def flapping(day: Monitored) -> None:
    """An instance that ends again and again; supervisord starts it each time."""
    instance = day.instance()
    # One more than the alert asks for: what was before the first measurement is no change.
    for _ in range(5):
        before = _answers_as(instance["url"])
        psutil.Process(before).kill()
        until(partial(_another_answers, instance["url"], before), "it is back")
        time.sleep(3)  # until it was measured


def _another_answers(url: str, before: int) -> bool:
    return _answers_as(url) not in (0, before)


def _answers_as(url: str) -> int:
    """The process that listens there; 0 if there is none."""
    port = int(url.rpartition(":")[2])
    with suppress(httpx.HTTPError):
        httpx.get(f"{url}/healthz", trust_env=False)
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        return next((int(each.pid or 0) for each in listening if each.laddr.port == port), 0)
    return 0


def no_backup(day: Monitored) -> None:
    day.options["backup_max_hours"] = 26
    day.up()


def certificate_ends(day: Monitored) -> None:
    day.platform.playbook("certificate", certificate_days=5, certificate_renew_days=100)


def keys_guessed(day: Monitored) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.66")
    with httpx.Client(transport=transport) as client:
        for _ in range(100):
            assert client.get(f"{day.platform.url}/leaderboard").status_code == 401
            time.sleep(0.1)


@dataclass(frozen=True)
class Fault:
    """What is done, the alert that it brings, and the page that is run for it."""

    begin: Callable[[Monitored], None]
    alert: str
    page: str
    given: tuple[str, ...] = ()


FAULTS = (
    Fault(balancer_down, "ArcadeUnavailable", "platform-up"),
    Fault(certificate_ends, "ArcadeCertificateEnds", "renew-certificate"),
    Fault(keys_guessed, "ArcadeLoginsRefused", "block-addresses", ("--answer", "addresses=127.0.0.66")),
    Fault(no_backup, "ArcadeBackupOld", "back-up-database"),
    Fault(flapping, "ArcadeInstanceFlapping", "service-health"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.begin.__name__)
def test_a_fault_of_another_kind_is_told_mended_and_over(day: Monitored, fault: Fault) -> None:
    platform, clock = day.platform, game_day.Clock()
    fault.begin(day)
    clock.lap("the fault is there")
    found = until(lambda: told(platform, {fault.alert}), fault.alert, FIVE_MINUTES_AND_MORE)
    clock.lap(f"an incident: {', '.join(each['name'] for each in found['alerts'])}")
    incident = found["incident"]
    platform.opsbook("incident", "ack", incident, check=True)
    platform.run(fault.page, *fault.given, "--incident", incident, check=True)
    clock.lap(f"{fault.page} was run")
    until(lambda: not still(platform, incident), "the all-clear", 3 * FIVE_MINUTES_AND_MORE)
    platform.opsbook("incident", "resolve", incident, f"{fault.page} mended it", check=True)
    clock.lap("no alert fires any more, and it is resolved")
    print(f"\n{fault.begin.__name__}\n{clock}")
