"""The playbooks one by one: a second run changes nothing, nor does a check of what is half way.

That a check changes nothing before and behind the steps of a deploy is in test_check_mode.py.
"""

import hashlib
import json
from dataclasses import dataclass

import pytest

from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

VERSION = "1.0.0"
TARGET = {"service": "arcade", "version": VERSION}
VALUES = dict.fromkeys(("release", "migrate", "switch", "cutover", "retire", "revert", "build"), TARGET) | {
    "standby": TARGET | {"canary": True},
    "share": {"percent": 10},
    "platform-up": {},
    "status": {},
}
MOVES = ("switch", "standby", "share", "cutover", "retire", "revert")
TO_A_CANARY, BACK = ("release", "migrate", "switch", "standby", "share"), ("cutover", "retire", "revert")
PAGE = """
    ## Steps

    ### Run them
    ```python timeout=900
    from opsbook import playbook
    {calls}
    ```
"""


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


def run(platform: Platform, calls: list[tuple[str, str]], *options: str) -> dict[str, bool]:
    """Run playbooks, each with a key, from one page: whether each of them changed something, by key."""
    lines = [f"playbook('{name}.yml', vars={VALUES[name]!r}, key={key!r})" for name, key in calls]
    platform.page(PAGE.replace("{calls}", "\n    ".join(lines)), "playbooks")
    platform.run("playbooks", *options, check=True)
    told = json.loads((platform.records()[-1] / "record.json").read_text(encoding="utf-8"))
    return {effect["key"].rpartition("/")[2]: effect["changed"] for effect in told["effects"]}


def second(platform: Platform, twice: tuple[str, ...], *once: str) -> dict[str, bool]:
    """Run each of `twice`, and once more; then `once`: whether the second runs changed something."""
    calls = [(name, f"{name} {time}") for name in twice for time in ("first", "second")]
    found = run(platform, [*calls, *((name, f"{name} second") for name in once)])
    return {name: found[f"{name} second"] for name in (*twice, *once)}


@dataclass(frozen=True)
class Story:
    """A canary begun and taken back. Whether second runs changed something, and the files before and behind checks."""

    second: dict[str, bool]
    before: dict[str, str]
    behind: dict[str, str]
    left: set[str]


@pytest.fixture(scope="module")
def story(platform: Platform) -> Story:
    platform.have(VERSION)
    found = second(platform, TO_A_CANARY)
    # With a canary in use there is something to change for all that move traffic.
    before = state(platform)
    run(platform, [(name, name) for name in MOVES], "--check")
    behind = state(platform)
    found |= second(platform, BACK, "platform-up", "build", "status")
    return Story(found, before, behind, platform.versions())


def test_a_second_run_changes_nothing(story: Story) -> None:
    assert story.second == dict.fromkeys((*TO_A_CANARY, *BACK, "platform-up", "build", "status"), False)
    assert story.left == {VERSION}


def test_a_check_of_what_is_half_way_changes_nothing(story: Story) -> None:
    assert story.behind == story.before
