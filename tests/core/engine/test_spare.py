"""A keeper and a kernel that were started before their order."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from opsbook.core.engine.process import MARK, spare
from tests.support.project import until

pytestmark = pytest.mark.slow


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private folders are made."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if len(str(tmp_path)) >= 60:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    yield tmp_path
    spare.abandon()


def kernels(run: str) -> list[psutil.Process]:
    """Living kernels that carry this run's mark."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            ours = "opsbook.core.effects.boot" in (process.info["cmdline"] or ())
            if ours and process.environ().get(MARK) == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_its_run_takes_it_and_no_other_does(private: Path) -> None:
    spare.prepare("page")
    run = spare.new_run("page")
    assert spare.new_run("other") != run
    taken = spare.take(run)
    assert taken.run == run
    again = spare.take(run)
    assert again.keeper.pid != taken.keeper.pid
    for one in (taken, again):
        one.control.close()
        assert one.keeper.wait(180) == 0
        assert not one.private.exists()
        os.close(one.raw)
        assert one.keeper.stdout
        one.keeper.stdout.close()


def test_nothing_is_left_of_one_that_nobody_took(private: Path) -> None:
    spare.prepare("page")
    run = spare.new_run("page")
    until(lambda: kernels(run), "the kernel")
    spare.abandon()
    until(lambda: not kernels(run), "its end")


def test_a_keeper_that_was_killed_is_replaced_and_leaves_nothing(private: Path) -> None:
    spare.prepare("page")
    run = spare.new_run("page")
    (kernel,) = until(lambda: kernels(run), "the kernel")
    keeper = psutil.Process(kernel.ppid())
    folder = Path(kernel.cmdline()[-1]).parent
    keeper.kill()
    keeper.wait(180)
    taken = spare.take(run)
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert not folder.exists()
    assert taken.private != folder
    taken.control.close()
    taken.keeper.wait(180)
    os.close(taken.raw)
    assert taken.keeper.stdout
    taken.keeper.stdout.close()
