"""A deploy that was killed goes on, and what a rollback undoes is as it was. `make soak` does so everywhere."""

import pytest

from tests.platform.conftest import Platform
from tests.platform.survive import VERSIONS, deploying, gone_on, other_version, round_trip, settled, stopped_at

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Platform:
    platform.have(*VERSIONS)
    platform.serve(VERSIONS[0])
    return platform


def test_a_deploy_that_was_killed_goes_on(deployed: Platform) -> None:
    before, version = settled(deployed), other_version(deployed)
    run = stopped_at(deployed, 4, *deploying(version, "rolling"))
    assert run is not None
    gone_on(deployed, run)
    assert deployed.versions() == {version}
    after = settled(deployed)
    assert {**after, "versions": 0, "serving": 0} == {**before, "versions": 0, "serving": 0}


@pytest.mark.soak
def test_what_a_deploy_does_its_rollback_undoes(deployed: Platform) -> None:
    round_trip(deployed, "rolling")
