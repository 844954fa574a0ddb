"""Environments as they are written down: resized under load, rebuilt from a backup, and taken away with one."""

import hashlib
import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.platform.conftest import Platform, brought_up, free, free_base, give_back

pytestmark = pytest.mark.slow

GOOD = "1.0.0"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own: hosts come and go. Two instances of each colour, and a place for another one."""
    with brought_up(tmp_path_factory.mktemp("infrastructure") / "project") as made:
        made.have(GOOD)
        made.serve(GOOD)
        yield made


def move(platform: Platform, *names: str) -> None:
    """Move hosts between the spare ones and their colour, as somebody would in the inventory."""
    path = platform.root / f"playbooks/inventories/{platform.place}/hosts.yml"
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    groups = said["all"]["children"]
    for colour in ("blue", "green"):
        here, there = groups["app"]["children"][colour], groups["spare"]["children"][f"spare_{colour}"]
        here["hosts"], there["hosts"] = here["hosts"] or {}, there["hosts"] or {}
        for name in names:
            for one, other in ((here, there), (there, here)):
                if name in one["hosts"]:
                    other["hosts"][name] = one["hosts"].pop(name)
                    break
    path.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")


def resize(platform: Platform, *more: str) -> Any:
    return platform.run("resize-environment", "-p", "watch_for=5s", "--yes", *more)


def pool(platform: Platform) -> set[str]:
    return {each["name"] for each in platform.traffic()["instances"] if each["pool"]}


def outcome(platform: Platform) -> str:
    return str(json.loads((platform.records()[-1] / "record.json").read_text(encoding="utf-8"))["outcome"])


def test_an_environment_grows_and_shrinks_under_load(serving: Platform) -> None:
    platform = serving
    assert pool(platform) == {"arcade-1", "arcade-2"}
    before = platform.caddy()
    move(platform, "arcade-7", "arcade-8")
    with platform.load(rate=30) as seen:
        grown = resize(platform)
        assert grown.code == 0, grown.out + grown.err
        assert "2 of each colour -> 3" in grown.out
        assert pool(platform) == {"arcade-1", "arcade-2", "arcade-7"}
        # Both at once: one takes the place of two others.
        move(platform, "arcade-7", "arcade-1", "arcade-4", "arcade-8")
        shrunk = resize(platform)
        assert shrunk.code == 0, shrunk.out + shrunk.err
        assert "arcade-1: Take the instance out of the pool" in shrunk.out
        assert pool(platform) == {"arcade-2"}
    assert (seen["failed"], seen["requests"] > 300) == (0, True), seen
    assert platform.caddy() == before, "a change of it closes connections"
    assert not re.search("changed=[1-9]", platform.playbook("resize")), "there is nothing left to do"


def test_an_instance_that_does_not_become_ready_is_taken_away_again(serving: Platform) -> None:
    platform = serving
    before = pool(platform)
    move(platform, "arcade-7", "arcade-8")
    with platform.load(rate=30) as seen, socket.create_server(("127.0.0.1", platform.base + 17)):
        failed = resize(platform)
    assert failed.code == 1, failed.out + failed.err
    assert outcome(platform) == "rolled-back"
    assert "arcade-7 does not become ready" in failed.out
    assert seen["failed"] == 0, seen
    assert pool(platform) == before
    assert not (platform.root / f".opsbook/env/{platform.place}/app/arcade-7/current").is_symlink()
    move(platform, "arcade-7", "arcade-8")


def test_the_limits_hold_before_anything_is_touched(serving: Platform) -> None:
    platform = serving
    before = pool(platform)
    hosts = platform.root / f"playbooks/inventories/{platform.place}/hosts.yml"
    kept = hosts.read_text(encoding="utf-8")
    for moved, sentence in (
        (("arcade-2", "arcade-5"), "0 of each colour, but dev has from 1 to 4"),
        (("arcade-7",), "the colours have different numbers of instances"),
    ):
        move(platform, *moved)
        refused = resize(platform)
        if sentence.startswith("the colours"):
            # The playbook holds it, too, for whoever runs it by hand.
            assert "Nothing was changed. Both colours need as many" in by_hand(platform, "resize")
        hosts.write_text(kept, encoding="utf-8")
        assert refused.code == 1, refused.out + refused.err
        assert sentence in " ".join((refused.out + refused.err).split())
    assert pool(platform) == before


def by_hand(platform: Platform, name: str) -> str:
    with pytest.raises(AssertionError) as failed:
        platform.playbook(name)
    return str(failed.value)


def test_a_rebuilt_environment_is_what_it_was(serving: Platform) -> None:
    platform = serving
    for player in ("ann", "bob"):
        for message in ({"Action": "Register", "Data": player}, {"Action": "Score", "Data": "70"}):
            httpx.post(f"{platform.url}/messages", json={**message, "From": player}, timeout=10).raise_for_status()
    platform.playbook("flag", flag="close-hint", percent=30)
    board, flags = leaderboard(platform), (place(platform) / "flags/arcade.json").read_text(encoding="utf-8")
    (place(platform) / "stray.txt").write_text("by hand\n", encoding="utf-8")
    done = platform.run("rebuild-environment", "--answer", "remove=yes", "--yes")
    assert done.code == 0, done.out + done.err
    assert "stray.txt" in done.out, "it says what is removed"
    assert "no difference" in done.out
    assert not (place(platform) / "stray.txt").exists()
    assert platform.versions() == {GOOD}
    assert leaderboard(platform) == board
    assert json.loads((place(platform) / "flags/arcade.json").read_text(encoding="utf-8")) == json.loads(flags)


def test_an_environment_goes_only_with_a_backup_and_comes_back_from_it(serving: Platform) -> None:
    platform = serving
    board = leaderboard(platform)
    refused = platform.run("decommission-environment", "--answer", "remove=no", "--yes")
    assert refused.code == 1, refused.out + refused.err
    assert outcome(platform) == "rolled-back"
    assert platform.versions() == {GOOD}, "it serves again"
    gone = platform.run("decommission-environment", "--answer", "remove=yes", "--yes")
    assert gone.code == 0, gone.out + gone.err
    assert not place(platform).exists()
    backup = platform.records()[-1].name
    dump = platform.root / f".opsbook/backups/{platform.place}/{backup}.dump"
    digest = hashlib.sha256(dump.read_bytes()).hexdigest()
    assert digest in gone.out
    assert dump.stat().st_mode & 0o077 == 0
    # Somebody changed a byte of the backup.
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    damaged = platform.run("rebuild-environment", "-p", f"backup={backup}", "--answer", "remove=yes", "--yes")
    assert damaged.code == 1
    assert "is not what was backed up" in damaged.out + damaged.err
    dump.write_bytes(whole)
    # What was committed since is no failure, but it is said.
    variables = platform.root / f"playbooks/inventories/{platform.place}/group_vars/all.yml"
    variables.write_text(variables.read_text(encoding="utf-8") + "arcade_workers: 3\n", encoding="utf-8")
    back = platform.run("rebuild-environment", "-p", f"backup={backup}", "--answer", "remove=yes", "--yes")
    assert back.code == 0, back.out + back.err
    assert re.search(r'settings was .*"workers": "4".*, and is .*"workers": "3"', back.out), back.out
    assert "no difference" not in back.out
    assert leaderboard(platform) == board


def leaderboard(platform: Platform) -> Any:
    answer = httpx.post(f"{platform.url}/messages", json={"Action": "Leaderboard", "From": "test"}, timeout=10)
    return answer.raise_for_status().json()["Output"]


def place(platform: Platform) -> Path:
    return platform.root / f".opsbook/env/{platform.place}"


def test_an_environment_is_made_from_its_files_kept_apart_and_taken_back(serving: Platform) -> None:
    inventories = serving.root / "playbooks/inventories"
    shutil.copytree(inventories / serving.place, inventories / "twin")
    for path in (inventories / "twin/environment.yml", inventories / "twin/group_vars/all.yml"):
        text = path.read_text(encoding="utf-8").replace("/dev/", "/twin/").replace("name: dev", "name: twin")
        path.write_text(text, encoding="utf-8")
    twin = Platform(serving.root, free_base(), "twin")
    twin.move_ports()
    folder = place(twin)
    try:
        watched = "true" if shutil.which("prometheus-postgres-exporter") else "false"
        done = twin.run("provision-environment", "-p", f"monitoring={watched}", check=True).out
        assert "dev: refused" in done
        assert httpx.get(f"{twin.url}/readyz", timeout=10).status_code == 503
        again = twin.run("provision-environment")
        assert (again.code, "twin is there: " in again.out) == (1, True)
        assert folder.is_dir()
        made = twin.records()[-2].name
        twin.opsbook("rollback", made, "--yes", "--accept-changes", check=True)
        assert not folder.exists()
        assert not (twin.root / ".opsbook/monitoring/twin").exists()
        assert free(twin.base) and free(twin.base + 30)
    finally:
        give_back(twin)
        twin.playbook("monitoring-down", purge=True)
        twin.playbook("platform-down", purge=True)
    assert httpx.get(f"{serving.url}/readyz", timeout=10).status_code == 200
