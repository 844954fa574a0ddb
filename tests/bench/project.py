"""Pages and notebooks to measure with: the same cells for every tool."""

from pathlib import Path

import jupytext
import nbformat

_FRONT = "---\ntitle: {name}\nkind: maintenance\nowner: bench\nreviewed: 2026-11-20\n---\n\n# {name}\n\n## Steps\n"
_HOSTS = """\
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  children:
    app:
      hosts: {web-1: }
"""
_PLAY = "- hosts: app\n  gather_facts: false\n  tasks:\n"
_DEBUG = "    - ansible.builtin.command: 'true'\n      changed_when: false\n"
_SLEEP = "    - ansible.builtin.command: sleep 1\n      changed_when: false\n"
_STAMP = "import time\nwith open('mark', 'a') as file:\n    print(time.time(), file=file)\n"


def make(root: Path) -> None:
    """A project with an environment, two playbooks, and lib/ with the cell's mark."""
    for name, text in {
        "opsbook.toml": 'records = "records"\n',
        "playbooks/inventories/dev/hosts.yml": _HOSTS,
        "playbooks/inventories/dev/environment.yml": "sandbox: true\n",
        "playbooks/one.yml": _PLAY + _DEBUG,
        "playbooks/long.yml": _PLAY + _SLEEP * 10,
        "lib/stamp.py": f"def mark() -> None:\n    {_STAMP.strip().replace(chr(10), chr(10) + '    ')}\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def page(root: Path, name: str, cells: list[str]) -> None:
    """A runbook with a step for each cell, and the same as a notebook beside it."""
    steps = (f"\n### Step {number}\n\n```python timeout=1800\n{cell}\n```\n" for number, cell in enumerate(cells, 1))
    text = _FRONT.format(name=name) + "".join(steps)
    path = root / "runbooks" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    book = jupytext.reads(text, fmt="md")
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, root / f"{name}.ipynb")


def many(root: Path, count: int) -> None:
    """So many small runbooks, for the list."""
    folder = root / "runbooks"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        text = _FRONT.format(name=f"Page {number}") + "\n### One\n\n```python\n1\n```\n"
        (folder / f"page-{number:04}.md").write_text(text, encoding="utf-8")
