"""`show --manual`: every command as a person would type it, and what is typed does what the run does."""

import json
import subprocess

from tests.support.project import Project

PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Secret

    text: str = "two words"
    count: int = 3
    token: Secret
    ```

    ## Prerequisites

    ### Look
    Expected: it answers.

    ```python
    from opsbook import command, confirm, done, here, http, playbook, secret
    target = {"text": text, "where": here.environment}
    before = http("GET", "http://127.0.0.1:9/" + text, expect=200).json["version"]
    ```

    ## Steps

    ### Say it
    ```bash
    cd sub
    export word=said
    ```

    ```sh
    echo "$text" > "../$word"
    ```

    ### Say it here
    ```bash
    pwd > here
    ```

    ### Tell them
    Write to the team.

    ### Count
    ```python
    if count > 2:
        playbook("hello.yml", vars={**target, "old": before}, limit="all")
    command(["sh", "-c", f"echo {count} > counted"], cwd="sub")
    confirm("sure", "Is it well?")
    found = sorted(before)
    assert found == [], "it is not well"
    ```

    ## Rollback

    ### Back
    ```python
    command(["rm", "said"])
    ```
"""


def test_every_command_with_its_values(project: Project) -> None:
    project.page(PAGE, "byhand", 'rollback: ask\nlock: ["{environment}/it"]\n')
    project.write("playbooks/hello.yml", "- hosts: all\n  tasks: []\n")
    done = project.opsbook("show", "byhand", "--manual", "-e", "dev", "-p", "token=file:sub/token", "-p", "text=a b")
    assert done.code == 0, done.err
    out = done.out
    assert "in dev, by hand" in out and "takes no lock: dev/it" in out
    assert "export text='a b'\nexport count=3\nexport token=…   # a secret: file:sub/token\n" in out
    assert "curl -sS -X GET 'http://127.0.0.1:9/a b'   # expect 200\n# Expected: it answers.\n" in out
    assert '\n(\ncd sub\nexport word=said\necho "$text" > "../$word"\n)\n' in out
    assert "Tell them\n# Write to the team.\n" in out
    assert (
        "# if count > 2:\nansible-playbook -i playbooks/inventories/dev/hosts.yml playbooks/hello.yml -l all -e " in out
    )
    assert '\'{"text": "a b", "where": "dev", "old": "<before>"}\'' in out
    assert "(cd sub && sh -c 'echo 3 > counted')\n# Decide: Is it well?\n" in out
    assert "# It must hold: found == []\n#   where found = sorted(before)\n" in out
    assert out.index("## Rollback  (only to undo it)") < out.index("rm said")
    typed = "\n".join(
        line for line in out.split("\n") if not line.startswith(("curl", "ansible", "rm", "export token"))
    )
    (project.root / "sub").mkdir()
    subprocess.run(["bash", "-eu", "-c", typed], cwd=project.root, check=True)
    assert (project.root / "said").read_text() == "a b\n"
    assert (project.root / "here").read_text() == f"{project.root}\n", "each step begins in the project's folder"
    assert (project.root / "sub/counted").read_text() == "3\n"
    assert project.records() == []


def test_as_json_and_without_values(project: Project) -> None:
    project.page(PAGE, "byhand", "rollback: ask\n")
    project.write("playbooks/hello.yml", "- hosts: all\n  tasks: []\n")
    arguments = ("show", "byhand", "--manual", "--json", "-e", "dev", "-p", "token=file:sub/token")
    told = json.loads(project.opsbook(*arguments).out)
    assert [step["title"] for step in told["steps"]] == ["Look", "Say it", "Say it here", "Tell them", "Count", "Back"]
    assert [step["undo"] for step in told["steps"]] == [False] * 5 + [True]
    assert "Parameter token is missing" in project.opsbook("show", "byhand", "--manual", "-e", "dev").err
    assert "-e ENV is missing" in project.opsbook("show", "byhand", "--manual").err
