"""Long stories of people, releases and environments on the real platform; each can be run by itself, too."""

from pathlib import Path

import pytest

from tests.stories import promotion

pytestmark = pytest.mark.slow


def test_a_release_is_promoted_and_a_bad_one_is_not(tmp_path: Path, keys: Path) -> None:
    promotion.tell(tmp_path, keys)
