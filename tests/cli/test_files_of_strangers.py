"""Files that somebody else put into the project, its state or its records: no command waits for or publishes one."""

import os
from pathlib import Path

import pytest

from opsbook import files
from tests.support.project import Project

BY_HAND = "## Steps\n\n### By hand\nDo something.\n"
KINDS = {
    "pipe": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
    "huge": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), files.LARGEST + 1),
}
"""How to make what is no usable file."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_usable_file_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / "it")
    with pytest.raises(OSError) as refused:
        files.read(tmp_path / "it")
    assert refused.value.strerror in (
        "it is not a file",
        "Is a directory",
        "it is a link",
        f"it has more than {files.LARGEST} bytes",
    )


def test_a_link_is_followed_only_inside_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "secret"
    inside.mkdir()
    outside.write_text("secret")
    (inside / "real").write_text("page")
    (inside / "near").symlink_to("real")
    (inside / "far").symlink_to(outside)
    (inside / "over").symlink_to("far")
    assert files.read_text(inside / "near", within=inside) == "page"
    for name in ("far", "over"):
        with pytest.raises(OSError, match="leads out of the project"):
            files.read(inside / name, within=inside)


def test_a_page_that_is_a_link_out_of_the_project_is_a_problem(project: Project) -> None:
    secret = project.root.parent / "secret.md"
    secret.write_text("# Secret\n\n" + BY_HAND)
    project.page(BY_HAND)
    (project.root / "runbooks/near.md").symlink_to("page.md")
    (project.root / "runbooks/far.md").symlink_to(secret)
    checked = project.opsbook("check")
    assert "runbooks/far.md:1:1 D006 cannot be read: it is a link that leads out of the project" in checked.out
    assert "runbooks/near.md:1:1 D006" not in checked.out
    assert "Secret" not in project.opsbook("list", check=True).out
    assert project.opsbook("show", "far").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_no_command_waits_for_a_file_of_the_state_or_a_record(project: Project, kind: str) -> None:
    project.page("## Steps\n\n### Work\n```python\nprint('x')\n```\n")
    project.opsbook("run", "page", "-e", "dev", "--yes", check=True)
    record = project.records()[-1]
    plan = project.root / ".opsbook/plans/page-0123456789ab"
    for path in (
        plan / "plan.json",
        project.root / ".opsbook/locks/x.json",
        record / "seal.json",
        record / "plan.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        KINDS[kind](path)
    for command in (["status"], ["locks"], ["records", "list"], ["records", "show", record.name], ["approve"]):
        project.opsbook(*command, check=True)
    assert "the seal cannot be read" in project.opsbook("records", "verify", "--all").out
    exported = project.opsbook("records", "export", "--to", str(project.root.parent / "out.tar.gz"))
    assert (exported.code, "seal.json" in exported.err) == (2, True)
    assert project.opsbook("resume", record.name).code == 2
