"""The kill matrix of resume: whatever is killed when, nothing happens twice, and nothing is said that is not so."""

from pathlib import Path

import pytest
from tests.run.kill_plans import SEED, plan
from tests.run.kills import Trial
from tests.soak import target

pytestmark = pytest.mark.slow

KILLS = 30


@pytest.mark.parametrize("number", range(KILLS))
def test_kill(number: int, tmp_path: Path) -> None:
    planned = plan(number)
    print(f"{planned} (OPSBOOK_SEED={SEED})")
    with target.made(tmp_path / "project") as made:
        Trial(made, planned).carry_out()
