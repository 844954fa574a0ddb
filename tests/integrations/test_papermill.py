"""papermill --engine opsbook, as a user of papermill calls it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from tests.support import papermill as forked
from tests.support.project import Project

pytestmark = pytest.mark.slow

PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from typing import Annotated, Literal
    from opsbook.params import Between, Service

    service: Service
    count: Annotated[int, Between(1, 5)] = 2
    ```

    ## Prerequisites

    ### Look
    ```python
    from opsbook import command
    before = command(["echo", service], changes=False).stdout.strip()
    ```

    ## Steps

    ### Do it
    ```python
    {code}
    ```

    ### And then
    ```python
    print("then", count)
    ```

    ## Rollback

    ### Undo
    ```python
    command(["touch", "undone"])
    ```
"""


def write(made: Any, path: Path) -> None:
    """As Jupyter writes it: with the kernel it is for."""
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)


def book(project: Project, code: str) -> Path:
    """The page as a notebook of Jupyter."""
    page = project.page(PAGE.format(code=code), front="rollback: automatic\nlock: ['{environment}/{service}']\n")
    path = project.root / "in.ipynb"
    write(jupytext.read(page), path)
    page.unlink()
    return path


def start(
    project: Project, *arguments: str, environment: str = "dev", engine: str = "opsbook"
) -> "subprocess.Popen[str]":
    """`papermill in.ipynb out.ipynb`; both streams go to its stdout."""
    return subprocess.Popen(
        [sys.executable, "-m", "papermill", "--engine", engine, "in.ipynb", "out.ipynb", *arguments],
        cwd=project.root,
        # papermill's own dependencies warn on import.
        env={**project.environment(), "OPSBOOK_ENVIRONMENT": environment, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def papermill(
    project: Project, *arguments: str, environment: str = "dev", engine: str = "opsbook"
) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what was said, the notebook that was written (empty if none was)."""
    variables = {**project.environment(), "OPSBOOK_ENVIRONMENT": environment, "PYTHONWARNINGS": "ignore"}
    done = forked.papermill(project.root, variables, "--engine", engine, "in.ipynb", "out.ipynb", *arguments)
    return done.returncode, done.stdout + done.stderr, written(project)


def written(project: Project) -> dict[str, Any]:
    out = project.root / "out.ipynb"
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return found


def statuses(made: dict[str, Any]) -> list[str]:
    return [cell["metadata"]["papermill"]["status"] for cell in made["cells"] if cell["cell_type"] == "code"]


def printed(made: dict[str, Any]) -> str:
    outputs = [o for cell in made["cells"] if cell["cell_type"] == "code" for o in cell["outputs"]]
    return "".join("".join(o.get("text", "")) for o in outputs)


def test_a_page_runs_with_its_roles_and_leaves_a_record(project: Project) -> None:
    book(project, 'command(["touch", "made"])')
    code, said, made = papermill(project, "-p", "service", "lobby", "-p", "count", "3")
    assert code == 0, said
    assert (project.root / "made").exists()
    assert not (project.root / "undone").exists()
    # The parameters, the values, two steps before, one after; the rollback never ran, and says so.
    assert statuses(made) == ["completed"] * 5 + ["pending"]
    assert "then 3" in printed(made)
    assert made["metadata"]["papermill"]["outcome"] == "succeeded"
    project.opsbook("records", "verify", made["metadata"]["papermill"]["record"], check=True)
    told = project.summary()
    assert (told["mode"], told["parameters"]) == ("notebook", {"service": "lobby", "count": 3})


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        pytest.param("1/0", "ZeroDivisionError", "failed", marks=pytest.mark.soak),
        ("import os; os._exit(0)", "the kernel ended with exit code 0", "failed"),
        ('command(["touch", "made"]); raise SystemExit(0)', "SystemExit", "failed"),
    ],
)
def test_a_failure_is_one_and_what_never_ran_says_so(project: Project, code: str, reason: str, status: str) -> None:
    book(project, code)
    exit_code, said, made = papermill(project, "-p", "service", "arcade")
    assert exit_code != 0
    assert reason in said
    assert statuses(made)[:5] == ["completed", "completed", "completed", status, "pending"]
    # What was changed is undone, as the page says; nothing was changed where nothing began.
    assert (project.root / "undone").exists() == ("made" in code)
    assert made["metadata"]["papermill"]["exception"] is True


def test_outside_a_sandbox_it_reads_and_changes_nothing(project: Project) -> None:
    project.write("playbooks/inventories/prod/hosts.yml", "all: {hosts: {web-1: }}\n")
    project.write("playbooks/inventories/prod/environment.yml", "choices: {Service: [arcade]}\n")
    book(project, 'command(["touch", "made"])')
    code, said, made = papermill(project, "-p", "service", "arcade", environment="prod")
    assert code != 0
    assert "a notebook may change only an environment marked sandbox: true" in said
    assert statuses(made)[2] == "completed"
    assert not (project.root / "made").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-p", "service", "nobody"], "there is no service 'nobody' in dev"),
        (["-p", "service", "1.10"], "papermill has read 1.1: text is lost"),
        pytest.param(
            ["-p", "service", "arcade", "-p", "count", "9"], "9 is not between 1 and 5", marks=pytest.mark.soak
        ),
        pytest.param([], "Parameter service is missing", marks=pytest.mark.soak),
        (["-p", "service", "arcade", "-p", "x = 1 #", "1"], "There is no parameter x = 1 #"),
    ],
)
def test_wrong_parameters_run_nothing(project: Project, arguments: list[str], reason: str) -> None:
    book(project, 'command(["touch", "made"])')
    code, said, _ = papermill(project, *arguments)
    assert code != 0
    assert reason in said
    assert project.records() == []


def test_secrets_are_refused(project: Project) -> None:
    book(project, "pass")
    path = project.root / "in.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("service: Service", "token: Secret"), encoding="utf-8")
    code, said, _ = papermill(project)
    assert code != 0
    assert "takes a secret (token)" in said
    assert project.records() == []

    project.env["WORD"] = "long-enough-word"
    policy = "sandbox: true\nsecrets: {word: 'env:WORD'}\nchoices: {Service: [arcade]}\n"
    project.write("playbooks/inventories/dev/environment.yml", policy)
    book(project, "from opsbook import secret; print(secret('word').reveal())")
    code, said, made = papermill(project, "-p", "service", "arcade")
    assert code != 0
    assert "secret word is asked for" in said
    assert "long-enough-word" not in json.dumps(made) + said


def test_any_notebook_runs_in_order(project: Project) -> None:
    cells = [
        nbformat.v4.new_markdown_cell("# A report\n\n## Numbers\n\nSome words."),
        nbformat.v4.new_code_cell("start = 5", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('got', start)"),
        nbformat.v4.new_markdown_cell("## Words\n\nOnly text here."),
        nbformat.v4.new_code_cell("%%bash\necho from the shell"),
    ]
    write(nbformat.v4.new_notebook(cells=cells), project.root / "in.ipynb")
    code, said, made = papermill(project, "-p", "start", "7")
    assert code == 0, said
    assert statuses(made) == ["completed"] * 4
    assert printed(made) == "got 7\nfrom the shell\n"


def test_without_a_project_it_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "in.ipynb")
    code, said, _ = papermill(project)
    assert code != 0
    assert "No opsbook project" in said


def test_magics_of_ipython_are_python(project: Project) -> None:
    cells = [nbformat.v4.new_code_cell("%%time\nprint('timed')"), nbformat.v4.new_code_cell("%%html\n<b>bold</b>")]
    write(nbformat.v4.new_notebook(cells=cells), project.root / "in.ipynb")
    code, said, made = papermill(project)
    assert code == 0, said
    assert statuses(made) == ["completed"] * 2
    assert "timed" in printed(made)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("import asyncio\nasync def main(): go()\nasyncio.run(main())", "inside an event loop"),
        ("from concurrent.futures import ThreadPoolExecutor as T\nT().submit(go).result()", "in the main thread only"),
    ],
)
def test_where_it_cannot_run_it_says_so_and_leaves_nothing(project: Project, way: str, reason: str) -> None:
    book(project, "pass")
    code = (
        f"import papermill\ndef go(): papermill.execute_notebook('in.ipynb', 'out.ipynb', engine_name='opsbook')\n{way}"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert project.records() == []


HELPER = "def greet():\n    return 'from a helper'\n"

RAW = "---\ntitle: Report\nformat: html\n---"

SHOW = "from IPython.display import display, update_display\nd = display('old', display_id='z')"

USUAL = (
    nbformat.v4.new_raw_cell(RAW),
    nbformat.v4.new_code_cell(SHOW, metadata={"tags": ["skip-execution"]}),
    nbformat.v4.new_code_cell(SHOW),
    nbformat.v4.new_code_cell("update_display('new', display_id='z')"),
    nbformat.v4.new_code_cell(
        "import os, sys, time, helper\n"
        "print(helper.greet(), 'in', os.getcwd(), flush=True)\n"
        "print('complaint', file=sys.stderr)\n"
        "while not os.path.exists('seen'): time.sleep(0.02)"
    ),
    nbformat.v4.new_code_cell("sys.exit(0)"),
    nbformat.v4.new_code_cell("print('not reached')"),
)
"""What notebooks of papermill's users do."""


def made_of(project: Project, *cells: Any) -> None:
    write(nbformat.v4.new_notebook(cells=list(cells)), project.root / "in.ipynb")


def printing(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.parametrize("engine", ["opsbook", "nbclient"])
def test_it_does_what_papermill_does(project: Project, tmp_path_factory: pytest.TempPathFactory, engine: str) -> None:
    """With nbclient, papermill's own engine, it shows that users may expect this."""
    elsewhere = tmp_path_factory.mktemp("elsewhere").resolve()
    (elsewhere / "helper.py").write_text(HELPER, encoding="utf-8")
    made_of(project, *USUAL)
    files = ("--stdout-file", str(elsewhere / "so.txt"), "--stderr-file", str(elsewhere / "se.txt"))
    options = ("-k", "python3", "--cwd", str(elsewhere), "--log-output", *files)
    running = start(project, *options, engine=engine)
    greeting = f"from a helper in {elsewhere}\n"
    deadline = time.monotonic() + 60
    while running.poll() is None and printing(elsewhere / "so.txt") != greeting and time.monotonic() < deadline:
        time.sleep(0.02)
    early = printing(elsewhere / "so.txt")
    (elsewhere / "seen").touch()
    said, _ = running.communicate(timeout=60)
    assert early == greeting, said
    assert running.returncode == 0, said
    made = written(project)
    assert greeting in said
    assert "complaint\n" in printing(elsewhere / "se.txt")
    assert printing(elsewhere / "so.txt") == greeting
    raw, skipped, first, update, cell, _, after = made["cells"]
    assert "".join(raw["source"]) == RAW
    assert not any("old" in str(cell["outputs"]) for cell in (skipped, first))
    assert printed({"cells": [after]}) == ""
    assert (first["outputs"][0]["data"]["text/plain"], update["outputs"]) == (["'new'"], [])
    assert greeting in printed({"cells": [cell]})
    if engine == "opsbook":
        assert statuses(made) == ["pending", *["completed"] * 4, "pending"]
        told = project.summary()
        assert (told["outcome"], told["reason"]) == ("succeeded", "the notebook ended itself with sys.exit(0)")
        assert project.events()[0]["data"]["cwd"] == str(elsewhere)


@pytest.mark.parametrize("engine", ["opsbook", "nbclient"])
def test_a_failed_cell_is_reported_by_papermill(project: Project, engine: str) -> None:
    made_of(project, nbformat.v4.new_code_cell("1/0"), nbformat.v4.new_code_cell("print('after')"))
    code, said, made = papermill(project, "-k", "python3", engine=engine)
    assert code == 1
    assert "papermill.exceptions.PapermillExecutionError" in said
    assert "ZeroDivisionError: division by zero" in said
    banner, anchor, failed, after = made["cells"]
    for marker in (banner, anchor):
        assert marker["metadata"]["tags"] == ["papermill-error-cell-tag"]
    assert "In [1]</a>" in "".join(banner["source"])
    assert [cell["metadata"]["papermill"]["status"] for cell in (failed, after)] == ["failed", "pending"]


def test_a_time_limit_ends_a_cell_and_says_so(project: Project) -> None:
    made_of(project, nbformat.v4.new_code_cell("import time\ntime.sleep(60)"))
    code, said, made = papermill(project, "-k", "python3", "--execution-timeout", "1")
    assert code == 1
    assert 'Exception encountered at "In [1]":\nthe cell took longer than its 1 s' in said
    assert made["cells"][-1]["outputs"][0]["ename"] == "CellTimeoutError"
    assert 1 <= project.summary()["seconds"] < 30
