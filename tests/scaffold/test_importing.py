"""opsbook new NAME --from FILE: a page of a script, a job of Rundeck, or a notebook, which runs."""

import json
from pathlib import Path

import nbformat
import pytest

from opsbook.errors import InputError
from opsbook.scaffold import importing
from tests.support.project import Project

SCRIPT = """\
#!/usr/bin/env bash
# Back up a database, and keep it for a while.
set -eu
db="$1"
keep=${2:-30}
backup() {
  echo "backing up $db for $keep days"
}

backup
"""
JOB = """\
- name: Restart the web servers
  description: One after another.
  schedule: {time: {hour: '03'}}
  options:
  - {name: service-name, description: Which one, required: true, enforced: true, values: [web, api]}
  - {name: token, secure: true}
  - {name: reason, value: it hangs}
  nodefilters: {filter: 'tags: web'}
  sequence:
    commands:
    - {description: Stop it, exec: 'echo stop ${option.service-name}'}
    - script: |
        #!/bin/bash
        echo "start @option.service-name@ because $RD_OPTION_REASON"
    - jobref: {name: Check it}
"""


def notebook() -> str:
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# Clean up\nRemove what is old."),
        new.new_code_cell("days: int = 7", metadata={"tags": ["parameters"]}),
        new.new_markdown_cell("## Look\nWhat is there."),
        new.new_code_cell("found = days * 2"),
        new.new_code_cell("%%bash\necho after $days"),
    ]
    return str(nbformat.writes(new.new_notebook(cells=cells)))


FILES = {"backup.sh": SCRIPT, "job.yml": JOB, "clean.ipynb": notebook()}


@pytest.mark.slow
def test_what_was_a_file_is_a_page_that_runs(project: Project) -> None:
    for name, text in FILES.items():
        project.write(f"old/{name}", "").write_text(text)
        done = project.opsbook("new", name.partition(".")[0], "--owner", "ops", "--from", f"old/{name}")
        assert done.code == 0, done
    problems = json.loads(project.opsbook("check", "--json").out)
    assert [problem for problem in problems if problem["severity"] == "error"] == []
    run = ("run", "-e", "dev", "-y")
    backup = project.opsbook(*run, "backup", "-p", "argument_1=shop")
    assert backup.code == 0 and "backing up shop for 30 days" in backup.out, backup
    clean = project.opsbook(*run, "clean", "-p", "days=3")
    assert clean.code == 0 and "after 3" in clean.out, clean
    project.env["TOKEN"] = "a-long-token"
    job = project.opsbook(*run, "job", "-p", "service_name=web", "-p", "token=env:TOKEN", "--answer", "step-3=done")
    assert job.code == 0 and "stop web" in job.out and "start web because it hangs" in job.out, job
    page = (project.root / "runbooks/job.md").read_text()
    for said in ("the nodes `tags: web`", "Not taken over: its schedule", "Run the job *Check it*"):
        assert said in page, "what cannot be kept is said"


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("a.txt", "words", "nothing that a page can be made of"),
        ("a.yml", "key: value", "is no job of Rundeck"),
        ("a.yml", "a: [", "not valid YAML"),
        ("a.yml", f"{JOB}{JOB}", "has 2 jobs"),
        ("a.ipynb", "{}", "is no notebook"),
        ("a.ipynb", "nothing", "is no notebook"),
        ("a.sh", None, "cannot be read"),
    ],
)
def test_what_it_cannot_be_made_of_is_said(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        importing.imported(tmp_path / name)
