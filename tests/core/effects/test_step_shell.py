"""What `cd` and `export` in one shell fence are for the next one of its step."""

import json

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

PAGE = """
# Shells

## First

```bash
mkdir sub && cd sub
export WORD="$GREETING, you" TOKEN=$(cat ../token)
unset LANG
local=gone
```

```sh
echo "$WORD $TOKEN ${LANG-none} ${local-none} $(basename "$PWD")" > ../seen
cd ..
```

```bash
test -e ready
basename "$PWD" > where
```

## Second

```bash
echo "${WORD-unset} $(basename "$PWD")" > next
```
"""


def test_they_hold_to_the_end_of_the_step(project: Project) -> None:
    project.write("runbooks/shells.md", PAGE.replace("$GREETING", "hello"))
    (project.root / "token").write_text("s3cr3t-of-nobody")
    (project.root / "ready").touch()
    # The page takes it away, which is nothing where there is none.
    project.env["LANG"] = "C.UTF-8"
    project.opsbook("run", "shells", "-e", "dev", "--yes", check=True)
    assert (project.root / "seen").read_text() == "hello, you s3cr3t-of-nobody none none sub\n"
    assert (project.root / "where").read_text() == f"{project.root.name}\n"
    assert (project.root / "next").read_text() == f"unset {project.root.name}\n"
    text = (project.records()[-1] / "journal.jsonl").read_text()
    assert "s3cr3t-of-nobody" not in text
    results = [json.loads(line)["data"] for line in text.splitlines() if '"effect-result"' in line]
    first = results[0]["result"]["left"]
    assert first == {"cwd": "sub", "variables": {"LANG": None, "WORD": "hello, you"}, "unrecorded": ["TOKEN"]}


def test_a_resumed_step_says_what_it_lacks(project: Project) -> None:
    project.write("runbooks/shells.md", PAGE.replace("$GREETING", "hello"))
    (project.root / "token").write_text("s3cr3t-of-nobody")
    assert project.opsbook("run", "shells", "-e", "dev", "--yes").code == 1
    (project.root / "ready").touch()
    done = project.opsbook("resume", "last", "--yes")
    assert done.code == 1
    assert "exported TOKEN, and the record does not hold the value" in done.out
    (project.root / "sub").rmdir()
    project.opsbook("resume", "last", "--yes", "--from", "first", check=True)
    assert (project.root / "where").read_text() == f"{project.root.name}\n"


def test_a_resumed_step_goes_on_where_it_was(project: Project) -> None:
    project.write("runbooks/shells.md", PAGE.replace("$GREETING", "hello").replace("TOKEN=$(cat ../token)", "TOKEN=t"))
    assert project.opsbook("run", "shells", "-e", "dev", "--yes").code == 1
    (project.root / "ready").touch()
    project.opsbook("resume", "last", "--yes", check=True)
    assert (project.root / "seen").read_text() == "hello, you t none none sub\n"
    assert (project.root / "where").read_text() == f"{project.root.name}\n"


def test_what_did_not_run_leaves_nothing_that_is_known(project: Project) -> None:
    """A script after it may not run in another folder: in a check, and behind what was marked as done."""
    body = """
    ## Steps

    ### Go
    ```bash
    mkdir -p sub; cd sub
    test -e ../over || kill -KILL $$
    ```

    ```bash tags=["read"]
    touch looked
    ```
    """
    project.page(body, "blind")
    done = project.opsbook("run", "blind", "-e", "dev", "--check", "--yes")
    assert "that an earlier part of this step left are not known" in done.out
    assert project.opsbook("run", "blind", "-e", "dev", "--yes").code == 1
    done = project.opsbook("resume", "last", "--answer", "unknown=done")
    assert "that an earlier part of this step left are not known" in done.out, done.out + done.err
    assert not list(project.root.rglob("looked"))


def test_a_page_may_begin_anew_with_each(project: Project) -> None:
    body = """
    ## Steps

    ### Go
    ```bash
    cd ..
    export WORD=word
    ```

    ```bash
    echo "${WORD-unset} $(basename "$PWD")" > seen
    ```
    """
    project.page(body, "anew", "shell: each\n")
    project.opsbook("run", "anew", "-e", "dev", "--yes", check=True)
    assert (project.root / "seen").read_text() == f"unset {project.root.name}\n"
