"""A page whose run fails or is killed in its second step, to go on with."""

from tests.support.project import Project, assert_all_gone, names_of, until

PAGE = """\
## Parameters

```python tags=["parameters"]
word: str = "hello"   # What to write
```

## Prerequisites

### Look

```python
import os
from opsbook import command, confirm, done, http, note, playbook, secret, value, wait_until
state = command(["cat", "state.txt"], changes=False).stdout.strip()
made = value("made", lambda: os.urandom(4).hex())
```

## Steps

### First

```python
command(["sh", "-c", "echo one >> done.txt"])
```

### Second

```python timeout=600
command(["sh", "-c", f"echo two {word} {made} {state} >> done.txt"])
{body}
```

### Third

```python
command(["sh", "-c", f"echo three {made} {state} >> done.txt"])
```

## Rollback

### Undo

```python
if done("First"):
    command(["sh", "-c", f"echo undone {made} >> done.txt"])
```
"""


HANG = "if os.path.exists('hang'):\n    command(['sleep', '300'])"
STOP = "if os.path.exists('stop'):\n    raise ValueError('no luck')"


def page(project: Project, body: str = STOP, rollback: str = "ask", **replaced: str) -> None:
    text = PAGE.replace("{body}", body)
    for old, new in replaced.items():
        text = text.replace(old, new)
    project.page(text, front=f'rollback: {rollback}\nlock: ["{{environment}}/web"]\n')
    (project.root / "state.txt").write_text("s1\n")


def stopped(project: Project, body: str = STOP, **given: str) -> str:
    """A run that failed in its second step; its id. Whatever made it fail is gone."""
    page(project, body, **given)
    (project.root / "stop").touch()
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    (project.root / "stop").unlink()
    return project.records()[-1].name


def killed(project: Project, body: str = HANG) -> str:
    """A run whose runner was killed in the middle of an effect of its second step; its id."""
    page(project, body)
    (project.root / "hang").touch()
    process = project.start("run", "page", "-e", "dev")
    project.wait_for_event("effect-intent", lambda data: "sleep" in data["summary"])
    run = project.records()[-1].name
    until(lambda: "sleep" in names_of(run), "the command")
    process.kill()
    process.communicate()
    assert_all_gone(run)
    (project.root / "hang").unlink()
    return run


def did(project: Project) -> list[str]:
    path = project.root / "done.txt"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.is_file() else []


def assert_whole(project: Project, run: str, outcome: str = "succeeded") -> None:
    """The run ended as it should, its record is whole, and its lock is free."""
    assert project.summary()["outcome"] == outcome
    assert project.opsbook("records", "verify", run).code == 0
    assert project.opsbook("locks").out == "Nothing is locked.\n"
