"""The playbooks by themselves: a check changes nothing, a second run changes nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

VERSION = "4.0.0"
VALUES = {"service": "arcade", "version": VERSION}
PLAYBOOKS = ("platform-up", "build", "release", "migrate", "switch", "status", "platform-down")


def ansible(platform: Platform, name: str, *more: str) -> str:
    """Run a playbook without opsbook; its recap."""
    values = [argument for key, value in VALUES.items() for argument in ("-e", f"{key}={value}")]
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", "playbooks/inventories/dev/hosts.yml", f"playbooks/{name}.yml", *values, *more],
        cwd=platform.root,
        env={**platform.environment(), "ANSIBLE_CONFIG": "ansible.cfg", "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition("PLAY RECAP")[2]


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


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_check_changes_nothing(ready: Platform, name: str) -> None:
    before = state(ready)
    ansible(ready, name, "--check", "--diff")
    assert state(ready) == before


def test_a_second_run_changes_nothing(ready: Platform) -> None:
    for name in ("release", "migrate", "switch"):
        ansible(ready, name)
    for name in ("platform-up", "build", "release", "migrate", "switch", "status"):
        recap = ansible(ready, name)
        assert recap.count("changed=0") == recap.count("changed="), recap
    assert ready.versions() == {VERSION}
