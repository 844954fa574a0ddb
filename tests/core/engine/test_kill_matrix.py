"""The kill matrix of resume: whatever is killed when, nothing happens twice, and nothing is said that is not so."""

from pathlib import Path

import pytest

from tests.soak import target
from tests.support.kill_plans import COMBINATIONS, SEED, plan
from tests.support.kills import Trial

pytestmark = pytest.mark.slow

EACH = (1, 9, 10, 16, 24, 28)
"""Each victim, each state that a resume finds: an unknown effect, a torn line, no end, half the hosts, killed twice."""

OTHERS = [pytest.param(number, marks=pytest.mark.soak) for number in range(len(COMBINATIONS)) if number not in EACH]


@pytest.mark.parametrize("number", [*EACH, *OTHERS])
def test_kill(number: int, tmp_path: Path) -> None:
    planned = plan(number)
    print(f"{planned} (OPSBOOK_SEED={SEED})")
    with target.made(tmp_path / "project") as made:
        Trial(made, planned).carry_out()
