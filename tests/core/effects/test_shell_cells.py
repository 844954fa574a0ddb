"""Shell cells: effects like any other, with the parameters as variables."""

import json
import time
from typing import Any

import pytest

from tests.support.project import Project, assert_all_gone

pytestmark = pytest.mark.slow

PARAMETERS = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Secret

    text: str = "two words"
    hosts: list[str] = ["web 1", "web-2"]
    dry: bool = False
    nothing: str | None = None
    ```
"""


def effects(project: Project, kind: str = "command") -> list[dict[str, Any]]:
    intents = {e["seq"]: e["data"] for e in project.events() if e["type"] == "effect-intent"}
    results = [e["data"] for e in project.events() if e["type"] == "effect-result"]
    return [{**intents[r["intent"]], "end": r} for r in results if intents[r["intent"]]["kind"] == kind]


def test_parameters_are_variables_and_stay_whole(project: Project) -> None:
    project.page(
        PARAMETERS
        + r"""
    ## Steps

    ### Look
    ```bash
    printf '[%s]' "$text" "$dry" "$nothing" "$OPSBOOK_ENVIRONMENT"
    mapfile -t each <<<"$hosts"
    printf '<%s>' "${each[@]}"
    ```
    """
    )
    evil = "a b; $(touch made) `touch made` * \"'\\"
    done = project.opsbook("run", "page", "-e", "dev", "-p", f"text={evil}", check=True)
    (effect,) = effects(project)
    assert effect["end"]["result"]["stdout"] == f"[{evil}][false][][dev]<web 1><web-2>"
    assert effect["end"]["result"]["rc"] == 0
    assert effect["changes"] is True
    assert effect["request"]["env"]["text"] == evil
    assert f"[{evil}]" in done.out
    assert not (project.root / "made").exists()


def test_the_first_command_that_fails_ends_the_cell_and_names_its_line(project: Project) -> None:
    page = project.page(
        """
    ## Steps

    ### Break
    ```bash
    echo before
    # a remark

    ls /not-there
    touch after
    ```
    """
    )
    line = page.read_text(encoding="utf-8").split("\n").index("ls /not-there") + 1
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 1, done.out
    assert f"line {line}: ls /not-there" in done.out
    assert "before" in done.out
    assert not (project.root / "after").exists()
    (effect,) = effects(project)
    assert effect["end"]["status"] == "failed"
    assert effect["end"]["result"]["rc"] == 2


@pytest.mark.parametrize(
    ("language", "script", "reason"),
    [
        ("bash", 'rm -rf "${FOLDER}/x"', "FOLDER: unbound variable"),
        ("sh", 'rm -rf "${FOLDER}/x"', "FOLDER: parameter not set"),
        ("sh", "false", "sh ended with exit code 1"),
        ("bash", "exit 7", "bash ended with exit code 7"),
        ("bash", "false | cat", "bash ended with exit code 1: line 18: "),
    ],
)
def test_what_ends_a_script(project: Project, language: str, script: str, reason: str) -> None:
    project.page(f"\n## Steps\n\n### One\n```{language}\n{script}\ntouch after\n```\n")
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert reason in done.out
    assert not (project.root / "after").exists()


def test_a_secret_reaches_the_script_and_nothing_else(project: Project) -> None:
    project.env["TOKEN"] = "s3cret-" + "value-9876"
    project.page(
        """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Secret

    token: Secret
    ```

    ## Steps

    ### Use it
    ```bash
    echo "the token is $token" && test "${#token}" = 17
    ```
    """
    )
    done = project.opsbook("run", "page", "-e", "dev", "-p", "token=env:TOKEN", check=True)
    assert "the token is ⟦secret:token⟧" in done.out
    for path in project.records()[-1].rglob("*"):
        if path.is_file():
            assert project.env["TOKEN"] not in path.read_text(encoding="utf-8"), path


def test_only_a_cell_tagged_read_runs_where_sections_read(project: Project) -> None:
    project.page(
        """
    ## Diagnosis

    ### Look
    ```bash tags=["read"]
    echo looked
    ```

    ## Steps
    """
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    (effect,) = effects(project)
    assert effect["changes"] is False

    project.page("\n## Diagnosis\n\n### Look\n```bash\ntouch made\n```\n\n## Steps\n", name="other")
    done = project.opsbook("run", "other", "-e", "dev")
    assert done.code in (1, 2)
    assert "may only read" in done.out + done.err
    assert not (project.root / "made").exists()


def test_a_page_of_many_shell_cells_keeps_its_python(project: Project) -> None:
    """Jupytext takes the language of most fences for the page's own, unless it is told."""
    cells = "".join(f"\n### Step {n}\n```bash\necho number {n}\n```\n" for n in range(3))
    project.page(
        f"{PARAMETERS}\n## Steps\n{cells}\n### Last\n```python\nprint('python', text)\n```\n".replace("\n    ", "\n")
    )
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    assert "number 2" in done.out
    assert "python two words" in done.out
    book = json.loads((project.records()[-1] / "runbook.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert sum(source.startswith("%%bash\n") for source in code) == 3
    assert [cell["cell_type"] for cell in book["cells"][:2]] == ["markdown", "raw"]
    printed = [o["text"] for c in book["cells"] if c["cell_type"] == "code" for o in c["outputs"] if "text" in o]
    assert "number 0\n" in ["".join(text) for text in printed]


def test_a_script_that_takes_too_long_is_ended_with_what_it_started(project: Project) -> None:
    project.page("\n## Steps\n\n### Slow\n```bash timeout=1\nsleep 600 & echo $! > pid\nsleep 601\n```\n")
    started = time.monotonic()
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 1, done.out
    assert time.monotonic() - started < 120
    assert project.summary()["unknown"]
    assert_all_gone(project.records()[-1].name)


@pytest.mark.parametrize("how", ["kill -KILL $$", "sh -c 'kill -TERM $$'", "kill -SEGV $$"])
def test_what_a_signal_ended_nobody_knows(project: Project, how: str) -> None:
    """It may have done what it was for before, and is not to be done twice."""
    project.page(f"""
    ## Steps

    ### Change it
    ```bash
    echo one line >> changed; {how}
    ```

    ### And then
    ```bash
    echo never >> changed
    ```
    """)
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    (effect,) = effects(project)
    assert effect["end"]["status"] == "interrupted"
    assert "was ended by" in effect["end"]["why"]
    done = project.opsbook("resume", "last", "--answer", "accept-changes=yes")
    assert done.code == 5
    assert (project.root / "changed").read_text() == "one line\n"


def test_a_program_that_only_reads_and_is_ended_failed(project: Project) -> None:
    project.page("""
    ## Steps

    ### Look
    ```bash tags=["read"]
    kill -KILL $$
    ```
    """)
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    (effect,) = effects(project)
    assert effect["end"]["status"] == "failed"


def test_output_without_end_is_kept_at_both_ends(project: Project) -> None:
    project.page(
        """
    ## Steps

    ### Much
    ```bash
    echo first; seq 1 2000000; echo last
    ```
    """
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    (effect,) = effects(project)
    text = json.loads((project.records()[-1] / effect["end"]["file"]["path"]).read_text(encoding="utf-8"))["stdout"]
    assert text.startswith("first\n1\n2\n")
    assert text.endswith("\n2000000\nlast\n")
    assert "bytes left out" in text
    assert len(text) < 1_100_000


def test_a_program_left_behind_does_not_hold_the_cell(project: Project) -> None:
    project.page("\n## Steps\n\n### Start\n```bash\nsleep 600 &\necho started\n```\n")
    started = time.monotonic()
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    assert time.monotonic() - started < 120
    assert "started" in done.out
    assert_all_gone(project.records()[-1].name)


def test_numbers_keep_their_digits(project: Project) -> None:
    project.page(
        """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Duration

    ratio: float = 0.123456789
    size: float = 12345678.0
    wait: Duration = "90s"
    count: int = 7
    ```

    ## Steps

    ### Look
    ```bash
    echo "$ratio $((size)) $wait $count"
    ```
    """
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    (effect,) = effects(project)
    assert effect["end"]["result"]["stdout"] == "0.123456789 12345678 90 7\n"


HIDDEN = (
    "<!-- not any more:\n```bash\ntouch danger\n```\n### Two\n-->",
    "~~~text\n```python\nopen('danger', 'w')\n```\n~~~",
    "~~~\n```bash\ntouch danger\n```\n~~~",
    "<!--\n```bash\necho hidden\n```\n-->",
)


@pytest.mark.parametrize("front", [True, False])
def test_what_no_reader_sees_as_code_never_runs(project: Project, front: bool) -> None:
    seen = [f"```bash\necho seen {number}\n```\n\n" for number in range(len(HIDDEN) + 1)]
    between = [f"{hidden}\n\n" for hidden in HIDDEN]
    body = "## Steps\n\n### One\n" + seen[0] + "".join(map("".join, zip(between, seen[1:], strict=True)))
    if front:
        project.page(body)
    else:
        project.write("procedures/page.md", body)
    project.opsbook("run", "page", "-e", "dev", check=True)
    said = [f"seen {number}\n" for number in range(len(seen))]
    assert [e["end"]["result"]["stdout"] for e in effects(project)] == said
    assert not (project.root / "danger").exists()
    assert [step["step"] for step in project.summary()["steps"]] == ["one"]


# -- pages that were not written for opsbook

PUBLIC = """\
# NodeFilesystemSpaceFillingUp

Filesystem is predicted to run out of space.

## Meaning

The alert looks at the trend of the last six hours.

## Impact

Programs that write will fail.

## Diagnosis

Find out what is large:

```bash
du -x -s . | sort -n | tail -3
```

Compare with the graph.

```console
$ df -h
```

## Mitigation

### Remove old files

```bash
echo removed > removed.txt
```

### Check again

Look at the graph once more.

### Check again

```sh
cat removed.txt
```
"""


def test_a_public_page_lists_lints_and_runs_unchanged(project: Project) -> None:
    project.write("procedures/disk.md", PUBLIC)
    (entry,) = json.loads(project.opsbook("list", "--json", check=True).out)
    assert (entry["name"], entry["title"], entry["kind"]) == ("disk", "NodeFilesystemSpaceFillingUp", "procedure")
    project.opsbook("check", "disk", check=True)
    done = project.opsbook("run", "disk", "-e", "dev", "--answer", "check-again=done", check=True)
    assert (project.root / "removed.txt").is_file()
    assert [(s["step"], s["status"]) for s in project.summary()["steps"]] == [
        ("diagnosis", "succeeded"),
        ("remove-old-files", "succeeded"),
        ("check-again", "succeeded"),
        ("check-again-2", "succeeded"),
    ]
    assert "removed" in done.out
    project.opsbook("records", "verify", "last", check=True)
    assert (project.records()[-1] / "runbook.md").read_text(encoding="utf-8") == PUBLIC


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("# Only this\n\n```bash\ntrue\n```\n", ["steps"]),
        ("Just some words.\n", ["steps"]),
        ("# T\n\n## Overview\nWords.\n\n## Call somebody\nNow.\n\n## Links\n- none\n", ["call-somebody"]),
        ("# T\n\n### One\n```bash\ntrue\n```\n\n### Two\nBy hand.\n", ["one", "two"]),
        ("# T\n\n## Query\n```sql\nselect 1\n```\n\n## Do\n```bash\ntrue\n```\n", ["query", "do"]),
        ("# T\n\n## Do\nUse ```inline``` text.\n```bash\ntrue\n```\n", ["do"]),
        ("# T\n```bash\ntrue\n```\n\n# More\n```bash\ntrue\n```\n", ["steps", "more"]),
    ],
)
def test_shapes_of_pages_without_front_matter(project: Project, text: str, steps: list[str]) -> None:
    project.write("procedures/bare.md", text)
    shown = json.loads(project.opsbook("show", "bare", "--json", check=True).out)
    found = [s["id"] for section in shown["sections"] if section["role"] == "change" for s in section["steps"]]
    assert found == steps
    answers = [f"--answer={s}=done" for section in shown["sections"] for s in _manual(section)]
    project.opsbook("run", "bare", "-e", "dev", *answers, check=True)
    assert [s["status"] for s in project.summary()["steps"]] == ["succeeded"] * len(steps)


def _manual(section: dict[str, Any]) -> list[str]:
    return [step["id"] for step in section["steps"] if step["manual"] and section["role"] == "change"]
