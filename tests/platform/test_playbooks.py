"""The playbooks by themselves, without opsbook: a second run changes nothing, nor does a check of what is half way.

That a check changes nothing before and behind the steps of a deploy is in test_check_mode.py.
"""

import hashlib
from dataclasses import dataclass

import pytest

from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

VERSION = "1.0.0"
VALUES = {"service": "arcade", "version": VERSION, "canary": True}
MOVES = ("switch", "standby", "share", "cutover", "retire", "revert")
TO_A_CANARY, BACK = ("release", "migrate", "switch", "standby", "share"), ("cutover", "retire", "revert")


def state(platform: Platform) -> dict[str, str]:
    """Every file of the environment that a playbook could change, by its digest."""
    found = {}
    for folder in (platform.root / ".opsbook/env/dev", platform.root / ".opsbook/releases"):
        for path in sorted(folder.rglob("*")):
            inner = str(path.relative_to(platform.root))
            if path.is_symlink():
                found[inner] = str(path.readlink())
            elif path.is_file() and "/logs/" not in inner and "/db/" not in inner:
                found[inner] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def run(platform: Platform, name: str, *more: str) -> str:
    values = VALUES | {"percent": 10} if name == "share" else VALUES
    return platform.playbook(name, *more, **values)


def changed_nothing(recap: str) -> bool:
    return recap.count("changed=0") == recap.count("changed=")


def twice(platform: Platform, names: tuple[str, ...]) -> dict[str, str]:
    """Run each of them, and once more: what the second run did."""
    recaps = {}
    for name in names:
        run(platform, name)
        recaps[name] = run(platform, name)
    return recaps


@dataclass(frozen=True)
class Story:
    """A canary begun and taken back. What the second runs did, and the files before and behind a check of each move."""

    second: dict[str, str]
    before: dict[str, str]
    behind: dict[str, dict[str, str]]
    left: set[str]


@pytest.fixture(scope="module")
def story(platform: Platform) -> Story:
    platform.have(VERSION)
    second = twice(platform, TO_A_CANARY)
    # With a canary in use there is something to change for all that move traffic.
    before, behind = state(platform), {}
    for name in MOVES:
        run(platform, name, "--check", "--diff")
        behind[name] = state(platform)
    second |= twice(platform, BACK)
    second |= {name: run(platform, name) for name in ("platform-up", "build", "status")}
    return Story(second, before, behind, platform.versions())


def test_a_second_run_changes_nothing(story: Story) -> None:
    assert set(story.second) == {"release", "migrate", *MOVES, "platform-up", "build", "status"}
    for name, recap in story.second.items():
        assert changed_nothing(recap), f"{name}: {recap}"
    assert story.left == {VERSION}


@pytest.mark.parametrize("name", MOVES)
def test_a_check_of_what_is_half_way_changes_nothing(story: Story, name: str) -> None:
    assert story.behind[name] == story.before
