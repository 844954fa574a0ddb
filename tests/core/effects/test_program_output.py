"""What programs print is passed on while they run, and kept whatever ends them."""

import json
import subprocess
from typing import Any

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

LAST = "Removed 3 of 5 volumes", "Waiting for the lock held by process 4711"
SCRIPT = f'echo "{LAST[0]}"; echo "{LAST[1]}" >&2; '
UNTIL = "until test -e go; do sleep 0.05; done; "


def fence(script: str, options: str = "") -> str:
    return f"```bash{options}\n{script}\n```\n"


def command(script: str, options: str = "") -> str:
    return f"```python{options}\nfrom opsbook import command\ncommand(['sh', '-c', {script!r}])\n```\n"


BOTH = pytest.mark.parametrize("made", [fence, command])


def data(project: Project, *kinds: str) -> list[dict[str, Any]]:
    return [event["data"] for event in project.events() if event["type"] in kinds]


def printed(project: Project) -> str:
    """Everything that the journal has of what was printed, in order."""
    found = data(project, "output", "effect-output")
    return "".join(each.get("text") or each["output"].get("text", "") for each in found)


def lines_of(run: "subprocess.Popen[str]", last: str) -> list[str]:
    """The lines of a running command until one ends like this."""
    found = [""]
    assert run.stdout is not None
    while not found[-1].endswith(last):
        line = run.stdout.readline()
        assert line, found
        found.append(line.rstrip("\n"))
    return found[1:]


@BOTH
def test_output_is_kept_when_the_time_is_over(project: Project, made: Any) -> None:
    project.page("## Steps\n\n### Upgrade\n" + made(f"{SCRIPT}printf 'no end'; sleep 60", " timeout=1"))
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code != 0
    for line in (*LAST, "no end"):
        assert f"    | {line}\n" in done.out
        assert line in printed(project)
    (result,) = data(project, "effect-result")
    assert (result["status"], result["result"]["stdout"]) == ("interrupted", f"{LAST[0]}\nno end")
    if made is fence:
        book = json.loads((project.records()[-1] / "runbook.ipynb").read_text(encoding="utf-8"))
        assert LAST[1] in json.dumps(book["cells"])
        assert LAST[1] in (project.records()[-1] / "index.html").read_text(encoding="utf-8")


@BOTH
def test_output_is_kept_when_the_kernel_is_killed(project: Project, made: Any) -> None:
    project.page("## Steps\n\n### Upgrade\n" + made(f"{SCRIPT}sleep 1; kill -9 $PPID; sleep 60"))
    done = project.opsbook("run", "page", "-e", "dev")
    for line in LAST:
        assert f"    | {line}\n" in done.out
        assert line in printed(project)


@BOTH
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_pipe_gets_lines_while_they_come(project: Project, made: Any, options: tuple[str, ...]) -> None:
    project.page("## Steps\n\n### Wait\n" + made(f"{SCRIPT}printf 'half '; {UNTIL}echo line"))
    run = project.start("run", "page", "-e", "dev", *options)
    if options:
        project.wait_for_event("effect-output" if made is command else "output", lambda each: LAST[1] in str(each))
        (project.root / "go").touch()
        assert json.loads(run.communicate(timeout=120)[0].splitlines()[-1])["outcome"] == "succeeded"
        return
    before = lines_of(run, LAST[1])
    (project.root / "go").touch()
    rest = run.communicate(timeout=120)[0]
    assert f"    | {LAST[0]}" in before
    assert "| half" not in "".join(before)
    assert "    | half line\n" in rest


def test_a_resumed_run_prints_nothing_twice(project: Project) -> None:
    project.page(
        "## Steps\n\n### One\n" + fence("echo first output") + command("echo second output") + "\n### Two\n"
        "```bash\ntest -e go\n```\n"
    )
    project.opsbook("run", "page", "-e", "dev")
    (project.root / "go").touch()
    done = project.opsbook("resume", "last", check=True)
    assert "| first output" not in done.out and "| second output" not in done.out
    book = json.loads((project.records()[-1] / "runbook.ipynb").read_text(encoding="utf-8"))
    outputs = [output["text"] for cell in book["cells"] for output in cell.get("outputs", ()) if "text" in output]
    assert outputs.count("first output\n") == 1
    assert printed(project).count("second output") == 1, "a recorded result has no program that prints"


@BOTH
def test_a_secret_in_two_pieces_is_redacted(project: Project, made: Any) -> None:
    project.env["TOKEN"] = "s3cret-" + "value-9876"
    parameters = (
        '## Parameters\n\n```python tags=["parameters"]\nfrom opsbook.params import Secret\n\ntoken: Secret\n```\n'
    )
    script = "printf s3cret-; sleep 0.6; printf value-; sleep 0.6; echo 9876; echo over"
    project.page(f"{parameters}\n## Steps\n\n### One\n{made(script)}")
    done = project.opsbook("run", "page", "-e", "dev", "-p", "token=env:TOKEN", check=True)
    assert "    | ⟦secret:token⟧\n    | over\n" in done.out
    for path in project.records()[-1].rglob("*"):
        assert not path.is_file() or "s3cret-" not in path.read_text(encoding="utf-8").replace(script, ""), path


def test_a_command_that_prints_much_does_not_fill_the_journal(project: Project) -> None:
    script = "seq 1 200000; printf '%020000d\\n' 7; echo last"
    project.page("## Steps\n\n### Much\n" + command(script))
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    assert len(done.out.splitlines()) < 500
    assert 60_000 < len(printed(project)) < 70_000
    assert printed(project).endswith("(a long line)\nlast\n")
    (result,) = data(project, "effect-result")
    kept = json.loads((project.records()[-1] / result["file"]["path"]).read_text(encoding="utf-8"))["stdout"]
    assert kept.startswith("1\n2\n") and kept.endswith("7\nlast\n")


def test_polls_are_not_shown_one_by_one(project: Project) -> None:
    project.page(
        """\
        ## Prerequisites

        ### Wait
        ```python
        from opsbook import command, wait_until
        wait_until("three", lambda: command(
            ["sh", "-c", "echo x >> n; echo activating; test $(wc -l < n) = 3"], changes=False
        ).rc == 0, every=0.1)
        ```

        ## Steps

        ### One
        ```python
        pass
        ```
        """
    )
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    assert (project.root / "n").read_text() == "x\n" * 3
    assert "| activating" not in done.out


def test_lines_of_both_streams_keep_their_order(project: Project) -> None:
    lines = "; ".join(f"echo line {n}{' >&2' if n % 2 else ''}; sleep 0.15" for n in range(6))
    project.page("## Steps\n\n### One\n" + fence(lines))
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    assert [line[-1] for line in done.out.splitlines() if "| line" in line] == list("012345")


def test_output_too_long_for_the_journal_goes_on_being_seen(project: Project) -> None:
    project.page(f"## Steps\n\n### Much\n{fence(f'seq 1 50000; {UNTIL}echo last')}")
    run = project.start("run", "page", "-e", "dev")
    assert project.wait_for_event("output-progress", lambda each: each["text"] == "50000")
    (project.root / "go").touch()
    out = run.communicate(timeout=120)[0]
    assert "    | … lines left out here: opsbook records show 2" in out
    assert "    | 49999\n    | 50000\n    | last\n" in out
