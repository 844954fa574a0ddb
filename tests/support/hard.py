"""Pages of a step for each cell, whose runs fail or are killed; each effect leaves a word behind."""

from pathlib import Path

from tests.support.project import Project, assert_all_gone, until
from tests.support.resumed import did

RUN = ("run", "page", "-e", "dev")
LOCK = 'lock: ["{environment}/a"]\n'
STOP = 'if os.path.exists("stop"):\n    raise ValueError("no luck")'
FREE = "Nothing is locked.\n"
IMPORTS = "import os\nfrom opsbook import command, confirm, http, secret\n"


def echo(word: str) -> str:
    """The code of an effect that leaves a word behind."""
    return f'command(["sh", "-c", "echo {word} >> done.txt"])'


def hangs(word: str) -> str:
    """The code of an effect that leaves a word behind, and hangs where it is told to."""
    return f'command(["sh", "-c", "echo {word} >> done.txt; test ! -e hang || exec sleep 300"])'


def page(project: Project, *cells: str, undo: str = "", front: str = "", name: str = "page") -> None:
    """A page with a step for each cell: First, Second, …"""
    titles = ("First", "Second", "Third", "Fourth")
    text = "## Steps\n\n" + "\n".join(_step(*step) for step in zip(titles, cells, strict=False))
    project.page(f"{text}\n## Rollback\n\n{_step('Undo', undo)}" if undo else text, name, front)


def _step(title: str, cell: str) -> str:
    return f"### {title}\n\n```python\n{IMPORTS}{cell}\n```\n"


def failed(project: Project) -> str:
    """The id of a run that failed because of a file that is gone then."""
    (project.root / "stop").touch()
    done = project.opsbook(*RUN)
    assert done.code in (1, 3), done.out + done.err
    (project.root / "stop").unlink()
    return project.records()[-1].name


def killed(project: Project, *command: str, words: int = 1) -> str:
    """The id of a run whose runner was killed in the middle of its effects, when so many words were left behind."""
    (project.root / "hang").touch()
    process = project.start(*(command or RUN))
    until(lambda: len(did(project)) == words, "the effect")
    process.kill()
    process.communicate()
    run = project.records()[-1].name
    assert_all_gone(run)
    (project.root / "hang").unlink()
    return run


def content(project: Project) -> dict[Path, bytes]:
    """Every file of the newest record."""
    return {path: path.read_bytes() for path in project.records()[-1].rglob("*") if path.is_file()}
