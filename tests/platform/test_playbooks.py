"""The playbooks by themselves: a check changes nothing, a second run changes nothing."""

import hashlib

import pytest
from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

VERSION = "4.0.0"
VALUES = {"service": "arcade", "version": VERSION, "canary": True}
MOVES = ("switch", "standby", "share", "cutover", "retire", "revert")
PLAYBOOKS = ("platform-up", "build", "release", "migrate", "switch", "revert", "status", "platform-down")


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


@pytest.fixture(scope="module")
def ready(platform: Platform) -> Platform:
    platform.build(VERSION)
    return platform


def run(platform: Platform, name: str, *more: str) -> str:
    values = VALUES | {"percent": 10} if name == "share" else VALUES
    return platform.playbook(name, *more, **values)


def changed_nothing(recap: str) -> bool:
    return recap.count("changed=0") == recap.count("changed=")


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_check_changes_nothing(ready: Platform, name: str) -> None:
    before = state(ready)
    run(ready, name, "--check", "--diff")
    assert state(ready) == before


def test_a_second_run_changes_nothing(ready: Platform) -> None:
    for name in ("release", "migrate", *MOVES):
        run(ready, name)
        recap = run(ready, name)
        assert changed_nothing(recap), f"{name}: {recap}"
    for name in ("platform-up", "build", "status"):
        recap = run(ready, name)
        assert changed_nothing(recap), f"{name}: {recap}"
    assert ready.versions() == {VERSION}


def test_a_check_of_what_is_half_way_changes_nothing(ready: Platform) -> None:
    """With a canary in use there is something to change for all that move traffic."""
    for name in ("release", "migrate", "switch", "standby", "share"):
        run(ready, name)
    before = state(ready)
    for name in MOVES:
        run(ready, name, "--check", "--diff")
        assert state(ready) == before, name
    run(ready, "retire")
