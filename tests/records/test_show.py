"""records show: the story of a run, and everything else that its record holds."""

import json
from pathlib import Path

import pytest

from tests.support.project import Project, until

pytestmark = pytest.mark.slow

PAGE = """
    ## Steps

    ### Print
    ```python
    for n in range(20000):
        print("line", n)
    ```

    ### Ask
    ```python
    from opsbook import ask, attach, command, wait_until
    colour = ask("colour", "Which one?", choices=["red", "blue"])
    done = command(["echo", "from a program"], changes=False)
    wait_until("ready", lambda: True, timeout=5, every=1)
    attach("plan.txt", "what was planned")
    ```

    ### By hand
    Look at it.

    ### Fail
    ```python
    raise ValueError("no luck")
    ```

    ### Never
    ```bash
    echo never
    ```
"""


def test_the_whole_record_is_readable(project: Project) -> None:
    project.page(PAGE)
    project.opsbook("run", "page", "-e", "dev", "--answer", "colour=blue", "--answer", "by-hand=done")
    story = project.opsbook("records", "show", "last", check=True).out
    assert "Steps / Never    not reached  —\n" in story
    assert [line.split()[:2] for line in story.splitlines() if line.startswith(("colour", "by-hand"))] == [
        ["colour", "blue"],
        ["by-hand", "done"],
    ]
    whole = project.opsbook("records", "show", "last", "--output", check=True).out
    # The notebook keeps beginning and end of it; the record all.
    assert [line for line in whole.splitlines() if line.startswith("line ")] == [f"line {n}" for n in range(20000)]
    assert "\nAsk: output\nfrom a program\n" in whole
    assert "attached: effects/" in whole and "ValueError: no luck" in whole
    step = project.opsbook("records", "show", "last", "--output", "--step", "fail", check=True).out
    assert "no luck" in step and "line 0" not in step and "Steps / Print" not in step
    wrong = project.opsbook("records", "show", "last", "--step", "fial")
    assert (wrong.code, "Did you mean fail?" in wrong.err) == (2, True)
    told = json.loads(project.opsbook("records", "show", "last", "--json", check=True).out)
    assert [step["status"] for step in told["steps"]] == ["succeeded"] * 3 + ["failed", "not reached"]
    printed = "".join(each["text"] for each in told["details"] if each["kind"] == "output" and each["step"] == "print")
    assert printed == "".join(f"line {n}\n" for n in range(20000))
    assert [(each["name"], each["value"], each["step"]) for each in told["questions"]] == [
        ("colour", "blue", "ask"),
        ("by-hand", "done", "by-hand"),
    ]
    _damaged(project)


def _damaged(project: Project) -> None:
    (spilled,) = project.records()[-1].glob("outputs/*.txt")
    spilled.unlink()
    found = project.opsbook("records", "show", "last", "--output")
    assert found.code == 1
    assert f"{spilled} is missing or damaged." in found.out and "no luck" in found.out
    assert project.opsbook("records", "show", "last").code == 0


@pytest.mark.parametrize("options", [(), ("--output",), ("--json",)])
def test_a_run_is_followed_until_it_ends(project: Project, options: tuple[str, ...]) -> None:
    project.page(
        """
        ## Steps

        ### Wait
        ```python
        import pathlib, time
        print("waiting")
        while not pathlib.Path("go").exists():
            time.sleep(0.05)
        print("went on")
        ```
        """
    )
    run = project.start("run", "page", "-e", "dev")
    project.wait_for_event("output")
    told = project.opsbook("records", "show", "last").out
    assert "A page in dev: running" in told and "--follow" in told
    follower = project.start("records", "show", "last", "--follow", *options)
    # It shows what was, and then what comes.
    assert follower.stdout is not None
    lines = iter(follower.stdout.readline, "")
    seen = next(line for line in lines if "waiting" in line)
    Path(project.root / "go").touch()
    rest = seen + "".join(lines)
    assert (follower.wait(60), run.wait(60)) == (0, 0)
    assert "went on" in rest
    if options == ("--json",):
        ended = json.loads(rest.splitlines()[-1])
        assert (ended["type"], ended["outcome"]) == ("record", "succeeded")
    else:
        assert "SUCCEEDED in" in rest
    until(lambda: project.summary()["outcome"] == "succeeded", "the seal")
