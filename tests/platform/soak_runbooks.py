"""Each runbook here, stopped behind each of its effects and gone on with: what it leaves is the same each time.

Part of `make soak`: it takes a quarter of an hour.
"""

from collections.abc import Iterator

import pytest

from tests.platform.conftest import Platform
from tests.platform.fleet import Fleet, brought_up
from tests.platform.survive import (
    VERSIONS,
    deploying,
    everywhere,
    exactly,
    gone_on,
    other_version,
    round_trip,
    settled,
    stopped_at,
)


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Platform:
    platform.have(*VERSIONS)
    platform.serve(VERSIONS[0])
    return platform


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
def test_deploy_service(deployed: Platform, strategy: str) -> None:
    wanted: list[str] = []

    def arguments() -> tuple[str, ...]:
        wanted.append(other_version(deployed))
        return deploying(wanted[-1], strategy)

    deployed.opsbook(*arguments(), check=True)
    expected = {**settled(deployed), "versions": 0}
    for number in everywhere(deployed, arguments):
        found = settled(deployed)
        assert found["versions"] == {wanted[-1]}, number
        same = {**found, "versions": 0, "serving": str(found["serving"]).replace(wanted[-1], wanted[0])}
        assert same == {**expected, "serving": str(expected["serving"])}, number


def test_rollback_service(deployed: Platform) -> None:
    wanted: list[str] = []

    def arguments() -> tuple[str, ...]:
        wanted.append(other_version(deployed))
        return ("run", "rollback-service", "-e", "dev", "-p", f"version={wanted[-1]}")

    for number in everywhere(deployed, arguments):
        assert deployed.versions() == {wanted[-1]}, number


@pytest.mark.parametrize("runbook", ["platform-up", "service-health"])
def test_what_changes_nothing_on_a_platform_that_runs(deployed: Platform, runbook: str) -> None:
    before = exactly(deployed)
    for number in everywhere(deployed, lambda: ("run", runbook, "-e", "dev")):
        assert exactly(deployed) == before, number


def test_build_release(deployed: Platform) -> None:
    built: list[str] = []

    def arguments() -> tuple[str, ...]:
        built.append(f"7.9.{len(built)}")
        return ("run", "build-release", "-e", "dev", "-p", f"version={built[-1]}")

    for _ in everywhere(deployed, arguments):
        assert [path for path in (deployed.root / ".opsbook").rglob(f"*{built[-1]}*") if path.is_file()]


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
def test_what_a_deploy_does_its_rollback_undoes(deployed: Platform, strategy: str) -> None:
    round_trip(deployed, strategy)


def test_down_and_up(deployed: Platform) -> None:
    before = exactly(deployed)
    for number in everywhere(deployed, lambda: ("run", "platform-down", "-e", "dev")):
        run = stopped_at(deployed, 1, "run", "platform-up", "-e", "dev")
        assert run is not None
        gone_on(deployed, run)
        assert exactly(deployed) == before, number
    deployed.run("platform-up", check=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with brought_up(tmp_path_factory.mktemp("fleet") / "project") as made:
        yield made


def test_publish_notice(fleet: Fleet) -> None:
    texts: list[str] = []

    def arguments() -> tuple[str, ...]:
        texts.append(f"notice {len(texts)}")
        return ("run", "publish-notice", "-e", "fleet", "-p", f"text={texts[-1]}")

    for number in everywhere(fleet, arguments):
        assert all(texts[-1] in text for text in fleet.published()), number


def test_what_a_notice_does_its_rollback_undoes(fleet: Fleet) -> None:
    fleet.opsbook("run", "publish-notice", "-e", "fleet", "-p", "text=before", check=True)
    before = fleet.published()
    fleet.opsbook("run", "publish-notice", "-e", "fleet", "-p", "text=after", check=True)
    assert fleet.published() != before
    done = fleet.opsbook("rollback", "last")
    assert done.code == 0, done.out + done.err
    assert fleet.published() == before


def test_fleet_up_and_down(fleet: Fleet) -> None:
    for number in everywhere(fleet, lambda: ("run", "fleet-down", "-e", "fleet")):
        assert fleet.servers() == [], number
        run = stopped_at(fleet, 1, "run", "fleet-up", "-e", "fleet")
        assert run is not None
        gone_on(fleet, run)
        assert fleet.servers()
    fleet.repair()
