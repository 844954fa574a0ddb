"""The runbooks of this project against their recordings: with no platform there, and nothing left of one."""

import json
import resource
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.slow

COPIED = ("runbooks", "procedures", "playbooks", "lib/arcade_ops", "opsbook.toml", "ansible.cfg")
CORES = 2


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What of this project a replay needs: no service, no state, no record."""
    root = tmp_path_factory.mktemp("library") / "project"
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    return Project(root)


def recordings(root: Path) -> list[Path]:
    return sorted(root.glob("runbooks/**/recordings/*.json"))


def test_every_runbook_passes_in_a_minute(library: Project) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Its work is measured, and not the time it takes on a machine that does other things.
    done = subprocess.run(
        library.command("test", "--json"),
        cwd=library.root,
        env=library.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told: dict[str, Any] = json.loads(done.stdout)
    bad = [each for each in told["tests"] if each["status"] != "passed"]
    print(f"{len(recordings(library.root))} recordings in {seconds:.0f} s")
    assert done.returncode == 0 and told["passed"], bad
    assert told["without"] == []
    assert seconds < 60 * CORES
    assert not any((library.root / name).exists() for name in (".opsbook/env", ".opsbook/releases", "records"))


def test_every_runbook_has_a_good_and_a_failing_recording() -> None:
    outcomes = defaultdict(set)
    for path in recordings(ROOT):
        made = json.loads(path.read_text(encoding="utf-8"))
        outcomes[made["runbook"]].add(made["outcome"])
    assert outcomes
    for runbook, found in outcomes.items():
        assert "succeeded" in found, runbook
        assert found - {"succeeded"}, runbook
    assert "rolled-back" in outcomes["deploy-service"] & outcomes["publish-notice"]


def test_recordings_are_small_and_say_nothing_of_where_they_were_made() -> None:
    for path in recordings(ROOT):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 64_000, path
        assert json.loads(text)["context"]["operator"] == "operator@example"
        for folder in ("tmp", "home", "root"):
            assert f"/{folder}/" not in text, f"/{folder}/ in {path}"


def test_recordings_are_in_the_repository() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "runbooks/recordings/x.good.json"], cwd=ROOT, capture_output=True, check=False
    )
    assert ignored.returncode != 0


@pytest.mark.soak
def test_pytest_collects_a_page_of_it(library: Project) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "runbooks/publish-notice.md"]
    said = subprocess.run(command, cwd=library.root, capture_output=True, text=True, check=False).stdout
    assert "4 passed" in said, said
