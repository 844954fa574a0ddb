"""A disk that is full: the run stops before the next effect, says so, and goes on once there is room."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.project import Project, assert_all_gone

pytestmark = pytest.mark.slow

PAGE = """\
## Prerequisites

### Look

```python
from opsbook import command
```

## Steps

### Many

```python
for n in range(12):
    command(["sh", "-c", f"echo {n} >> done.txt; head -c 40000 /dev/zero | tr '\\\\0' x"])
```
"""


def page(project: Project) -> None:
    project.page(PAGE, front='rollback: manual\nlock: ["{environment}/web"]\n')


def did(project: Project) -> list[str]:
    path = project.root / "done.txt"
    return path.read_text().split() if path.is_file() else []


def limited(project: Project, size: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line where no file may grow beyond the size in bytes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        project.command(*arguments),
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("size", [600_000, 800_000, 1_000_000])
def test_a_file_that_may_not_grow(project: Project, size: int) -> None:
    page(project)
    done = limited(project, size, "run", "page", "-e", "dev")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "no room" in done.stdout and "opsbook resume" in done.stdout
    run = project.records()[-1].name
    assert_all_gone(run)
    before = did(project)
    assert before == [str(n) for n in range(len(before))] and len(before) < 12
    assert "dev/web" in project.opsbook("locks").out or not before
    assert not project.summary()["unknown"]
    project.opsbook("resume", run, check=True)
    assert did(project) == [str(n) for n in range(12)]
    assert project.opsbook("records", "verify", run).code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_small_file_system(project: Project, tmp_path: Path) -> None:
    """A real one, of 2 MB, that is filled by what the effects leave."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        (project.root / "opsbook.toml").write_text(f'records = "{small}"\n')
        page(project)
        ballast = small / "ballast"
        ballast.write_bytes(b"x" * 900_000)
        done = project.opsbook("run", "page", "-e", "dev")
        assert done.code == 5 and "room" in done.out, done.out + done.err
        before = did(project)
        assert before == [str(n) for n in range(len(before))] and len(before) < 12
        ballast.unlink()
        project.opsbook("resume", "last", check=True)
        assert did(project) == [str(n) for n in range(12)]
        assert project.opsbook("records", "verify", "--all").code == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)
