"""What is committed decides who may run what; what only the work tree, the clone or the caller says does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.approvals import PROD, RUN, approved, asked, refused, run
from tests.support.project import Project
from tests.support.team import PLAIN, Team, allow, ok

pytestmark = pytest.mark.slow


def with_remote(team: Team, folder: Path) -> None:
    """A remote `origin`, with what is committed by now."""
    remote = folder / "remote.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(team.root), str(remote)], check=True)
    team.git("remote", "add", "origin", str(remote))
    team.git("fetch", "--quiet", "origin")


# -- what is not committed


def test_a_dirty_tree(team: Team) -> None:
    approved(team)
    team.write("lib/team/new.py", "")
    refused(run(team), "prod is protected, and not everything is committed: lib/team/new.py")


def test_a_file_that_git_was_told_not_to_look_at(team: Team) -> None:
    team.write("lib/team/__init__.py", "z = 3\n")
    team.git("update-index", "--assume-unchanged", "lib/team/__init__.py")
    team.write(".git/info/exclude", "lib/team/hidden.py\n")
    team.write("lib/team/hidden.py", "")
    assert team.git("status", "--porcelain") == ""
    refused(run(team), "not everything is committed: lib/team/__init__.py, lib/team/hidden.py")


def test_allowed_signers_edited_in_the_work_tree(team: Team) -> None:
    allow(team, "ann", "bob", "eve")
    refused(team.by("eve").opsbook("approve", asked(team), "--yes"), "is not in allowed_signers")


def test_allowed_signers_of_the_remote_count_where_there_is_one(team: Team, tmp_path: Path) -> None:
    with_remote(team, tmp_path)
    allow(team, "ann", "bob", "eve")
    team.commit("Take eve in, here only")
    refused(team.by("ann").opsbook("plan", "count", "-e", "prod", "--request"), "is not on origin/main")
    team.git("update-ref", "refs/heads/mine", "HEAD")
    team.git("reset", "--quiet", "--hard", "origin/main")
    allow(team, "ann", "bob", "eve")
    refused(team.by("eve").opsbook("approve", asked(team), "--yes"), "is not in allowed_signers")


def test_without_allowed_signers_nothing_runs(team: Team) -> None:
    team.git("rm", "--quiet", "allowed_signers")
    team.commit()
    refused(run(team), "allowed_signers is not committed on main")


def test_without_a_repository_nothing_runs(team: Team) -> None:
    shutil.rmtree(team.root / ".git")
    refused(run(team), "Nobody can say what is committed")


# -- what is committed elsewhere, or behind a link


@pytest.mark.parametrize("policy", ["title: Production\n", "title: Production\nsandbox: true\n", None])
def test_a_policy_that_is_loosened_in_the_work_tree(team: Team, policy: str | None) -> None:
    if policy is None:
        (team.root / PROD).unlink()
    else:
        team.write(PROD, policy)
    refused(run(team), "prod is guarded, and its environment.yml is not as the protected branch has it")
    assert team.counted() == []
    team.commit("Have it so on main")
    ok(run(team))


def test_another_branch_does_not_count_because_this_clone_names_it(team: Team, tmp_path: Path) -> None:
    with_remote(team, tmp_path)
    team.git("remote", "set-head", "origin", "main")
    team.git("checkout", "--quiet", "-b", "mine")
    team.write("opsbook.toml", 'protected_branch = "mine"\n')
    allow(team, "ann", "bob", "eve")
    team.commit("Take eve in")
    team.git("push", "--quiet", "origin", "mine")
    refused(team.by("ann").opsbook("plan", "count", "-e", "prod", "--request"), "is not on origin/main")


def test_what_ansible_is_told_by_the_callers_environment(team: Team) -> None:
    approved(team)
    ann = team.by("ann")
    told = Project(team.root, {**ann.env, "ANSIBLE_ROLES_PATH": "elsewhere"})
    refused(told.opsbook(*RUN), "your environment would change what Ansible does: ANSIBLE_ROLES_PATH")


def test_a_change_behind_a_link_or_in_ansible_cfg_is_another_plan(team: Team, tmp_path: Path) -> None:
    role = tmp_path / "role"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks/main.yml").write_text("- ansible.builtin.ping:\n")
    (team.root / "playbooks/roles/linked").symlink_to(role)
    (role / "again").symlink_to(team.root / "playbooks/roles")
    team.write("ansible.cfg", "[defaults]\nforks = 5\n")
    team.commit()
    refused(run(team), "leads out of the project: playbooks/roles/linked ->")
    team.write(PROD, "title: Production\napprovals: 1\n")
    team.commit()
    first = asked(team)
    assert asked(team) == first
    shown = team.by("ann").opsbook("plan", "count", "-e", "prod", check=True).out
    assert f"outside of the project: playbooks/roles/linked -> {role}" in shown
    (role / "tasks/main.yml").write_text("- ansible.builtin.debug:\n")
    second = asked(team)
    team.write("ansible.cfg", "[defaults]\nforks = 6\n")
    assert len({first, second, asked(team)}) == 3


def test_nobody_types_lines_where_only_what_is_committed_may_run(team: Team) -> None:
    page = PLAIN.replace("echo run >> .opsbook/counted", "echo run >> .opsbook/counted; false")
    team.page(page, "count", "rollback: ask\n")
    team.commit()
    approved(team)
    assert run(team, "--answer", "failed=prompt").code == 3
    questions = [event["data"] for event in team.events() if event["type"] == "question-asked"]
    assert "stop" in questions[0]["choices"]
    assert "prompt" not in questions[0]["choices"]
