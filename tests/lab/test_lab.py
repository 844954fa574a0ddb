"""`opsbook lab`: a page in the real JupyterLab, in a real browser, and nothing left of it afterwards."""

import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from opsbook.scaffold import origin
from tests.support import browser
from tests.support.lab import Notebook, Opened, notebook, opened
from tests.support.project import HOSTS, POLICY, Project, Terminal, until

pytestmark = pytest.mark.slow

chromium = browser.chromium

PAGE = """\
## Parameters

```python tags=["parameters"]
from typing import Annotated

from opsbook.params import Between, Secret

text: str                  # What to write
token: Secret              # Nothing needs it
count: Annotated[int, Between(1, 5)] = 3   # How often
```

## Prerequisites

### It can be read

```python
import os, helper
from opsbook import ask, command, confirm, done, here, playbook, secret
print(text, count, here.environment, os.getcwd(), helper.WORD)
print(token, len(token.reveal()), "TOKEN" in os.environ)
```

```bash tags=["read"]
echo "$text costs $count$" in "$OPSBOOK_ENVIRONMENT"
```

## Steps

### Write it

```python
playbook("write.yml", vars={"text": text})
```

### In a shell

```bash
echo "$count" > counted
false
```

## Validation

```python
print("written" if done("Write it") else "not written", done("Take it away"))
```

## Rollback

### Take it away

```python
command(["rm", "written-web-1", "written-web-2"])
```
"""

ASKING = """\
print(ask("who", "Who are you?", ["me", "you"]), confirm("sure", "Sure?"), input("And? "))
"""

SLEEP = 'command(["sleep", "1000"])'

GIVEN = ("-p", "text=it's {{ 1 }}", "-p", "token=env:TOKEN")

WRITE = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Write it down
      ansible.builtin.copy:
        content: "{{ text }}"
        dest: "{{ playbook_dir }}/../written-{{ inventory_hostname }}"
        mode: "0600"
"""


@pytest.fixture
def page(project: Project) -> Path:
    """A page that reads, changes, and can take it back; and a second environment, which is no sandbox."""
    project.write("playbooks/write.yml", WRITE)
    project.write("lib/helper.py", "WORD = 'helped'\n")
    project.write("playbooks/inventories/prod/hosts.yml", HOSTS)
    project.write("playbooks/inventories/prod/environment.yml", POLICY.replace("sandbox: true", "sandbox: false"))
    project.env["TOKEN"] = "a-long-enough-token"
    return project.page(PAGE, front="rollback: manual\n")


def run_all(book: Notebook) -> None:
    book.run_all()
    book.wait()


# -- in the browser
#
# To open a lab takes as long as twenty cells: each of these tests shows many things in one, which are named below it.


def test_in_a_sandbox(project: Project, page: Path, chromium: Any) -> None:
    before = page.read_bytes()
    with opened(project, "page", *GIVEN) as lab, notebook(chromium, lab) as book:
        _values_that_no_run_would_take_change_nothing(project, book)
        _a_shell_cell_says_which_line_failed(book)
        _all_cells_run(project, book)
        _the_rollback_waits_until_somebody_wants_it(project, book)
        _questions_are_asked_in_the_notebook(book)
        _what_a_dead_kernel_started_ends_with_it(lab, book)
        _saving_reaches_only_the_copy(lab, book, before)
    assert page.read_bytes() == before
    assert not lab.folder.exists()
    _its_record_says_what_it_did(project)


def _its_record_says_what_it_did(project: Project) -> None:
    found = project.summary()
    assert (found["mode"], found["outcome"]) == ("session", "cancelled"), "its last change was interrupted"
    done = {(effect["step"], effect["status"]) for effect in found["effects"] if effect["changes"]}
    assert done == {(step, "succeeded") for step in ("write-it", "in-a-shell", "take-it-away")} | {
        ("write-it", "interrupted")
    }


def _values_that_no_run_would_take_change_nothing(project: Project, book: Notebook) -> None:
    """The trainee edits the cell of the parameters, as in any notebook."""
    given = book.source("# Parameters")
    book.rewrite("# Parameters", given.replace("count = 3", "count = 900"))
    run_all(book)
    assert "Parameter count: " in book.output("write.yml")
    assert not (project.root / "written-web-1").exists()
    book.rewrite("# Parameters", given)


def _a_shell_cell_says_which_line_failed(book: Notebook) -> None:
    run_all(book)
    shown = book.output("write.yml")
    assert shown.count("playbook write.yml: changed, 2 hosts") == 1, "progress and result are one thing"
    assert "line 3: false" in book.output("counted")
    assert book.output("not written") == "", "Run All stops where something failed"
    book.rewrite("counted", '%%bash\necho "$count" > counted')


def _all_cells_run(project: Project, book: Notebook) -> None:
    run_all(book)
    assert f"it's {{{{ 1 }}}} 3 dev {project.root} helped" in book.output("helper.WORD")
    assert "•••••• 19 False" in book.output("helper.WORD"), "a secret reaches the cell and not its environment"
    assert "it's {{ 1 }} costs 3$ in dev" in book.output("OPSBOOK_ENVIRONMENT")
    assert (project.root / "written-web-1").read_text() == "it's {{ 1 }}"
    assert (project.root / "counted").read_text() == "3\n"
    assert "written False" in book.output("not written")


def _the_rollback_waits_until_somebody_wants_it(project: Project, book: Notebook) -> None:
    assert "did not run" in book.output("written-web-2")
    book.rewrite("roll_back = False", "roll_back = True")
    book.run("roll_back = True")
    book.run("written-web-2")
    book.wait()
    assert "rm written-web-1 written-web-2 -> 0" in book.output("written-web-2")
    assert not (project.root / "written-web-1").exists()


def _questions_are_asked_in_the_notebook(book: Notebook) -> None:
    book.rewrite("write.yml", ASKING)
    assert "you True nothing" in book.answer_all("confirm(", "nobody", "you", "yes", "nothing")


def _what_a_dead_kernel_started_ends_with_it(lab: Opened, book: Notebook) -> None:
    book.rewrite("confirm(", SLEEP)
    program = begun(lab, book)
    next(each for each, words in lab.commands() if "opsbook.core.effects.lab" in words).kill()
    until(lambda: not alive(program), "the end of what the kernel started")
    # JupyterLab says so, above everything else, and in its console.
    book.page.locator(".jp-Dialog-button").first.click()
    book.wrong.clear()


def _saving_reaches_only_the_copy(lab: Opened, book: Notebook, before: bytes) -> None:
    copy = lab.folder / "page/page.md"
    assert copy.read_bytes() != before
    assert stat.S_IMODE(lab.folder.stat().st_mode) == 0o700
    saved(lab, book)
    assert 'opsbook="take-it-away/1"' in copy.read_text(), "a saved cell still knows where it belongs"


def saved(lab: Opened, book: Notebook) -> None:
    """Write something into a cell, and save it."""
    book.rewrite("not written", "print('mine')")
    book.save()
    copy = lab.folder / "page/page.md"
    until(lambda: book.page.wait_for_timeout(50) or "print('mine')" in copy.read_text(), "the save")


def test_elsewhere(project: Project, page: Path, chromium: Any, tmp_path: Path) -> None:
    """Changes are refused. Settings of the user neither matter nor change. And it ends with its terminal."""
    home = tmp_path / "home"
    hostile = {
        ".jupyter/jupyter_server_config.py": "raise SystemExit('settings of the user')",
        ".jupyter/labconfig/default_setting_overrides.json": '{"@jupyterlab/docmanager-extension:plugin": {}}',
        ".ipython/profile_default/startup/00.py": "raise SystemExit('start-up file of the user')",
        ".config/jupytext/jupytext.toml": 'formats = "ipynb,md"\n',
        ".jupytext.toml": 'formats = "ipynb,md"\n',
    }
    for name, text in hostile.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    project.env |= {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / ".jupyter"), "JUPYTER_TOKEN": "known"}
    with opened(project, "page", "-e", "prod", *GIVEN) as lab:
        with notebook(chromium, lab) as book:
            run_all(book)
            assert "it's {{ 1 }} 3 prod" in book.output("helper.WORD")
            said = book.output("write.yml")
            assert "may change only an environment marked sandbox: true" in said
            assert len(said.splitlines()) < 5, said
            assert book.output("not written") == "", "Run All stops where something failed"
            assert not (project.root / "written-web-1").exists()
            saved(lab, book)
            assert [path.name for path in (lab.folder / "page").glob("*.ipynb")] == []
        with nothing_left(lab):
            assert lab.end(signal.SIGHUP) == 0
    assert {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} == set(hostile)


# -- its life


@contextmanager
def nothing_left(lab: Opened) -> Iterator[None]:
    """What is done in here ends the lab, with all its processes and its folder."""
    processes = lab.processes()
    yield
    assert not any(map(alive, processes))
    assert not lab.folder.exists()


@pytest.fixture
def busy(project: Project, page: Path, chromium: Any) -> Iterator[tuple[Opened, Notebook]]:
    """A lab in which a cell has started a program that goes on for long."""
    page.write_text(page.read_text().replace('playbook("write.yml", vars={"text": text})', SLEEP))
    with opened(project, "page", *GIVEN) as lab, notebook(chromium, lab) as book:
        for cell in ("# Parameters", "helper.WORD"):
            book.run(cell)
        begun(lab, book)
        yield lab, book
        book.wrong.clear()  # JupyterLab says in its console that kernel or server died


def begun(lab: Opened, book: Notebook) -> psutil.Process:
    """The program that goes on for long, begun in its cell."""
    book.run("1000")
    until(lambda: book.page.wait_for_timeout(50) or sleeping(lab), "the program")
    (program,) = sleeping(lab)
    return program


def sleeping(lab: Opened) -> list[psutil.Process]:
    return [process for process, words in lab.commands() if words[:1] == ["sleep"]]


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def test_an_interrupted_cell_is_over_and_ctrl_c_leaves_nothing(busy: tuple[Opened, Notebook]) -> None:
    """After the interrupt the kernel goes on, and Ctrl-C may come while a program runs."""
    lab, book = busy
    book.menu("Kernel", "Interrupt Kernel")
    book.wait()
    assert not sleeping(lab)
    said = book.output("1000")
    assert "sleep was stopped: cancelled" in said and len(said.splitlines()) < 6, said
    book.run("helper.WORD")
    book.wait()
    assert "it's {{ 1 }} 3 dev" in book.output("helper.WORD")
    begun(lab, book)
    with nothing_left(lab):
        assert lab.end() == 0


@pytest.mark.soak
def test_a_killed_lab_leaves_nothing_either(busy: tuple[Opened, Notebook]) -> None:
    lab, _ = busy
    processes = lab.processes()
    lab.process.kill()
    until(lambda: not any(map(alive, processes)), "the end of all processes")
    until(lambda: not lab.folder.exists(), "the end of its folder")


def test_one_that_is_killed_while_it_starts_leaves_nothing(project: Project, page: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ob") as place:
        there = Project(project.root, {"XDG_RUNTIME_DIR": place})
        lab = there.start("lab", "page", "--json")
        until(lambda: psutil.Process(lab.pid).children(), "JupyterLab's process")
        lab.kill()
        lab.communicate(timeout=180)
        until(lambda: not list(Path(place).iterdir()), "the end of its folder")


def test_only_who_has_the_token_gets_in(project: Project, page: Path) -> None:
    """And nobody else gets its port, until it is ended as a service is."""
    with opened(project, "page") as lab:
        assert httpx.get(f"{lab.base}/api/contents", timeout=60, trust_env=False).status_code == 403
        headers = {"Authorization": f"token {lab.told['token']}"}
        listed = httpx.get(f"{lab.base}/api/contents", headers=headers, timeout=60, trust_env=False).json()["content"]
        assert [entry["name"] for entry in listed] == ["page.md"]
        kernels = httpx.get(f"{lab.base}/api/kernelspecs", headers=headers, timeout=60, trust_env=False).json()[
            "kernelspecs"
        ]
        assert set(kernels) == {"opsbook"}
        assert all(lab.told["token"] not in word for _, words in lab.commands() for word in words)
        listening = {
            c.laddr.ip for p in lab.processes() for c in p.net_connections() if c.status == "LISTEN" and c.laddr
        }
        assert listening == {"127.0.0.1"}
        port = lab.base.rpartition(":")[2]
        done = project.opsbook("lab", "page", "--port", port)
        assert done.code == 2 and f"Port {port} cannot be used" in done.err
        with nothing_left(lab):
            assert lab.end(signal.SIGTERM) == 0


# -- before anything is started


def test_what_is_wrong_is_refused_at_once(project: Project, page: Path) -> None:
    done = project.opsbook("lab", "page", "-p", "nothing=1", "-p", "count=many")
    assert done.code == 2
    assert "There is no parameter nothing." in done.err and "count" in done.err
    assert "Nothing was started." in done.err
    assert project.opsbook("lab", "pages").code == 2
    assert project.opsbook("lab", "page", "-e", "nowhere").code == 2


def test_without_jupyterlab_it_says_what_to_install(project: Project, page: Path) -> None:
    project.write("missing/sitecustomize.py", "import sys\nsys.modules['jupyterlab'] = None\n")
    project.env["PYTHONPATH"] = str(project.root / "missing")
    done = project.opsbook("lab", "page")
    assert done.code == 2
    wanted = origin.requirement("training")
    assert wanted.startswith("opsbook[training]")
    hint = f"Install it: pip install '{wanted}', or make install in a clone of opsbook."
    assert done.err == f"opsbook: A lab needs JupyterLab.\n  {hint}\n"


def test_it_says_what_it_is_and_what_is_missing(project: Project, page: Path) -> None:
    terminal = Terminal(project.command("lab", "page", "--no-browser"), project)
    terminal.wait_for("Ctrl-C ends the lab and removes it.")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert "text has no value yet (What to write)" in terminal.screen
    assert "dev is a sandbox" in terminal.screen
    assert "/lab/tree/page.md?token=" in terminal.screen
    assert "its copy is removed" in terminal.screen
