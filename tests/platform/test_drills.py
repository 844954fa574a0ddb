"""Drills on the real platform: each fault shows, is mended by its runbook, and can be taken back whatever happened."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from arcade_ops import health
from tests.platform.conftest import Platform, brought_up
from tests.platform.drills import CASES, PAGES, VERSION, begin, front, waiting
from tests.support.project import until

pytestmark = pytest.mark.slow

MARKS = {"slow-handler": pytest.mark.soak}
"""bad-release serves a variant by the same playbook, and is mended by the same runbook."""


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The training platform with a release that serves."""
    with brought_up(tmp_path_factory.mktemp("training") / "project", "training") as made:
        made.serve(VERSION)
        yield made


def problems(platform: Platform) -> list[str]:
    """What is wrong with the service, asked without opsbook."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return list(health.look(client, platform.url, f"http://127.0.0.1:{platform.base + 3}", platform.mark))


def stop(platform: Platform, run: str, code: int) -> dict[str, object]:
    """End a drill: what it was worth."""
    stopped = platform.opsbook("drill", "stop", run, "--json")
    assert stopped.code == code, stopped.out + stopped.err
    return dict(json.loads(stopped.out))


@pytest.fixture
def _nothing_goes_on(training: Platform) -> Iterator[None]:
    """A drill waits for three times its par, also where its test has failed."""
    yield
    training.opsbook("drill", "stop")


@pytest.mark.usefixtures("_nothing_goes_on")
@pytest.mark.parametrize("drill", [pytest.param(name, marks=MARKS.get(name, ())) for name in CASES])
def test_a_drill_is_mended(training: Platform, drill: str) -> None:
    case, (runbook,) = CASES[drill], front(drill)["drill"]["solved_by"]
    run = begin(training, drill, par="20m")
    waiting(training, run, case.shows)
    told = training.diagnosed()
    assert told["runbooks"][:1] == [runbook], told
    assert case.named in told["steps"][-1]["seen"], told
    assert all(each in told["commands"][0] for each in case.given if each.startswith("host=")), told
    assert not case.tree or training.diagnosed(case.tree)["runbooks"][:1] == [runbook]
    assert (training.summary()["runbook"], training.summary()["outcome"]) == ("service-health", "failed")
    assert f"running   {front(drill)['title']}" in training.opsbook("status").out
    training.opsbook("drill", "diagnose", runbook, check=True)
    training.run(runbook, *case.given, check=True)
    attached = training.opsbook("attach", run)
    assert attached.code == 0, attached.out
    worth = stop(training, run, 0)
    assert (worth["passed"], worth["wrong"], worth["drill"]) == (True, [], drill)
    assert int(str(worth["points"])) >= 60
    assert "passed" in training.opsbook("training", "certificate", run, check=True).out
    assert training.opsbook("locks").out == "Nothing is locked.\n"
    until(lambda: not problems(training), "it is well")
    assert training.versions() == {VERSION}


def test_what_is_no_drill_leads_to_its_page(training: Platform) -> None:
    """First all that serve are stopped, then the load balancer too; the page that both lead to mends both."""
    serving = [each["name"] for each in training.traffic()["instances"] if each["pool"]]
    try:
        training.ctl("stop", *serving)
        assert "no instance answers" in red(training)
        assert training.diagnosed()["runbooks"][0] == "platform-up"
        assert training.diagnosed("caddy")["runbooks"] == ["platform-up"]
        training.ctl("stop", "caddy")
        assert "the load balancer does not say who serves" in red(training)
        assert training.diagnosed()["runbooks"] == training.diagnosed("caddy")["runbooks"] == ["platform-up"]
    finally:
        training.run("platform-up", check=True)
    until(lambda: not problems(training), "it is well")


def test_a_canary_that_nobody_needs_leads_to_its_page(training: Platform) -> None:
    share = training.root / ".opsbook/env/training/caddy/traffic/share"
    share.write_text("10")
    try:
        assert training.diagnosed()["runbooks"] == ["set-traffic"]
    finally:
        share.write_text("0")


def red(platform: Platform) -> str:
    """Why service-health fails."""
    assert platform.run("service-health").code == 1
    return str(platform.summary()["reason"])


def nothing(_: Platform) -> None:
    """What a trainee does who has no idea."""


def everything_off(platform: Platform) -> None:
    platform.playbook("platform-down")


def all_to_the_canary(platform: Platform) -> None:
    (platform.root / ".opsbook/env/training/caddy/traffic/serving").write_text("green")


@pytest.mark.parametrize(
    ("drill", "attempt"),
    [
        ("instance-down", nothing),
        pytest.param("leaked-credential", everything_off, marks=pytest.mark.soak),
        pytest.param("wrong-weight", all_to_the_canary, marks=pytest.mark.soak),
    ],
)
def test_a_drill_that_nobody_mends(training: Platform, drill: str, attempt: Callable[[Platform], None]) -> None:
    """It is over after three times its par, and stopping it puts everything right, also what the trainee did."""
    run = begin(training, drill, par="1s")
    attached = training.opsbook("attach", run)
    assert attached.code == 3, attached.out
    assert "the service is mended did not come true within 3 s" in attached.out
    attempt(training)
    assert stop(training, run, 1)["points"] == 0
    until(lambda: not problems(training), "it is well")
    assert training.versions() == {VERSION}
    left = [training.root / ".opsbook/env/training" / name for name in ("drill", "secrets/leaked")]
    assert not any(path.exists() for path in left)


def test_every_drill_is_tried() -> None:
    assert sorted(CASES) == sorted(path.stem for path in PAGES.glob("*.md"))
