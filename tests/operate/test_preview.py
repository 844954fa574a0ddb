"""What is shown before a run: every step, what it touches, and values that go back."""

import json

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Release

    version: Release
    count: int = 2
    ```

    ## Steps

    ### Roll it in
    ```python
    from opsbook import playbook
    playbook("roll.yml", vars={"version": version})
    playbook("tell.yml", limit="web-1")
    playbook("both.yml" if version == "1" else "tell.yml")
    ```

    ### Tell the team
    Write to them.

    ### Look
    ```bash
    echo "$version"
    ```

    ```console
    $ echo example
    ```

    ## Rollback

    ### Back
    ```python
    from opsbook import playbook
    playbook("tell.yml")
    ```
"""

PLAYS = PAGE.partition("from opsbook import playbook\n    ")[2].partition("\n    ```")[0]


def test_what_a_run_is_about_to_do(project: Project) -> None:
    place = project.root / "playbooks/inventories/dev"
    (place / "environment.yml").write_text("sandbox: true\nchoices:\n  Release: [1.9.0-f8a9, 1.10.0-b3]\n")
    hosts = "{" + ", ".join(f"web-{n}: " for n in range(1, 8)) + "}"
    local = "{ansible_connection: local}"
    children = f"children: {{app: {{hosts: {hosts}}}, db: {{hosts: {{db-1: }}}}}}"
    (place / "hosts.yml").write_text(f"all:\n  vars: {local}\n  {children}\n")
    project.write(
        "playbooks/roll.yml", "- hosts: app\n  gather_facts: false\n  tasks: []\n- hosts: [db, web-1]\n  tasks: []\n"
    )
    project.write("playbooks/tell.yml", "- hosts: db\n  gather_facts: false\n  tasks: [{debug: {msg: hi}}]\n")
    project.write("playbooks/both.yml", "- import_playbook: tell.yml\n- ansible.builtin.import_playbook: roll.yml\n")
    front = "rollback: ask\nlock: ['{environment}/it']\n"
    project.page(PAGE.replace(PLAYS, "1"), "roll", front)
    done = project.opsbook(
        "run", "roll", "-e", "dev", "-p", "version=1.10.0-b3", "--answer", "tell-the-team=done", "--yes"
    )
    assert done.code == 0, done.out + done.err
    project.page(PAGE, "roll", front)
    said = project.opsbook("plan", "roll", "-e", "dev", "-p", "version=1.9.0-f8a9", check=True).out
    older = "(the last run that succeeded here had 1.10.0-b3, an OLDER one)"
    assert f"  version  1.10.0-b3 -> 1.9.0-f8a9   {older}\n  count    2\n" in said
    assert (
        "    1  Roll it in\n          roll.yml on 8 hosts\n          tell.yml on web-1\n          both.yml on 8 hosts\n"
        in said
    )
    assert "    2  Tell the team  (by hand)\n    3  Look\n" in said
    assert "  Rollback  (only after a failure, or on request)\n       Back\n          tell.yml on db-1\n" in said
    assert "  in all: 2 commands, 1 by hand, 1 example\n" in said
    assert "  locks: dev/it\n" in said
    told = json.loads(project.opsbook("plan", "roll", "-e", "dev", "-p", "version=1.9.0-f8a9", "--json").out)
    assert (told["before"], told["older"]) == ({"version": "1.10.0-b3"}, ["version"])
    assert [step["number"] for step in told["steps"]] == [1, 2, 3, None]
    same = project.opsbook("plan", "roll", "-e", "dev", "-p", "version=1.10.0-b3", check=True).out
    assert "  version  1.10.0-b3\n" in same and "OLDER" not in same


FORGING = "x\n  checked: run-1\n  Would change\n    nothing\u202e\u200b  in prod"


def test_no_value_writes_lines_of_the_screen(project: Project) -> None:
    page = """
        ## Parameters

        ```python tags=["parameters"]
        text: str
        ```

        ## Steps

        ### Say\u200b it\u202e
        ```python
        from opsbook import note
        note(text)
        ```
    """
    project.page(page, front='lock: ["{environment}/{text}"]\n')
    front = '---\ntitle: "Fine\\n  checked: it\\u2066"\nowner: "me\\u200b"\nsummary: "a\\nNAME  KIND"\n---\n'
    project.write("runbooks/other.md", front + "## Steps\n\n### Do\u200bit\nDo.\n")
    shown = project.opsbook("plan", "page", "-e", "dev", "-p", f"text={FORGING}")
    run = project.opsbook("run", "page", "-e", "dev", "--yes", "-p", f"text={FORGING}", "--label", f"why={FORGING}")
    known = [shown, run, *(project.opsbook(*each) for each in (["list"], ["show", "other"], ["status"], ["locks"]))]
    known += [project.opsbook("plan", "other", "-e", "dev"), project.opsbook("records", "show", "last")]
    for each in known:
        told = each.out + each.err
        assert not set("\u202e\u200b\u2066") & set(told), told
        assert not [line for line in told.split("\n") if line.lstrip().startswith(("checked:", "Would"))], told
    assert r'"x\n \u0020checked: run-1\n' in known[-1].out


def test_show_names_parameters_as_they_are_typed(project: Project) -> None:
    project.page("""
        ## Parameters
        ```python tags=["parameters"]
        version: str          # What to deploy
        wait: bool = False    # Whether to wait
        ```

        ## Steps
        ### Do it
        By hand.
    """)
    shown = project.opsbook("show", "page", check=True).out.splitlines()
    table = shown[shown.index("Parameters") + 1 :][:3]
    assert [line.split()[0] for line in table] == ["NAME", "version", "wait"]
