"""Playbooks that ask a person: they fail at once, say what they want and how to give it, and nothing goes on."""

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

PROMPTS = """
- name: Change something
  hosts: web-1
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "given {{ who | default('nothing yet') }}"}
- name: Ask
  hosts: web-1
  gather_facts: false
  vars_prompt:
    - {name: who, prompt: Who are you, private: false, default: nobody}
  tasks:
    - ansible.builtin.copy: {content: "{{ who }}", dest: "{{ inventory_dir }}/../../../who", mode: "0644"}
"""
PAUSE = """
- name: Pause
  hosts: all
  gather_facts: false
  tasks:
    - name: Whatever comes of it
      block:
        - name: Wait a little
          ansible.builtin.pause: {seconds: 1}
        - name: Are they drained
          ansible.builtin.pause: {prompt: Press enter once they are}
          ignore_errors: true
      rescue:
        - ansible.builtin.copy: {content: "", dest: "{{ inventory_dir }}/../../../went-on", mode: "0644"}
    - ansible.builtin.copy: {content: "", dest: "{{ inventory_dir }}/../../../went-on", mode: "0644"}
"""
PAGE = """
## Steps

### Ask and ask
```python timeout=600
import os
from opsbook import EffectFailed, command, playbook

def tell(name, **more):
    try:
        playbook(name, **more)
        print(name, "went through")
    except EffectFailed as error:
        print(error)

tell("prompts.yml", vars={"who": "ann"})
os.environ["ANSIBLE_BECOME_ASK_PASS"] = "True"
tell("prompts.yml")
tell("prompts.yml", vars={"ansible_become_password": "x"})
del os.environ["ANSIBLE_BECOME_ASK_PASS"]
tell("vaulted.yml")
last = "pause.yml"  # check does not see it
playbook(last)
```
"""
VAULTED = """
- name: Read what nobody can
  hosts: web-1
  gather_facts: false
  vars_files: [vaulted-values.yml]
  tasks:
    - ansible.builtin.debug: {var: hidden}
"""
CLOSED = "$ANSIBLE_VAULT;1.1;AES256\n" + "3" * 80 + "\n"


def test_what_asks_fails_at_once_and_says_what_it_wants(project: Project) -> None:
    project.page(PAGE)
    for name, text in {"prompts": PROMPTS, "pause": PAUSE, "vaulted": VAULTED, "vaulted-values": CLOSED}.items():
        project.write(f"playbooks/{name}.yml", text)
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 1, done.out
    told = done.out
    assert told.count("prompts.yml went through") == 1, told
    assert (project.root / "who").read_text() == "ann"
    assert 'prompts.yml asks for the become password ("BECOME password"), and nobody can answer: pass it' in told
    assert 'vars={"ansible_become_password": …}' in told
    asked = 'prompts.yml asks for the variable who ("Who are you"), and nobody can answer: pass it, vars={"who": …}'
    assert told.count(asked) == 1, told
    assert 'A password is missing: name its file in opsbook.toml, vault_password_file = "…"' in told
    asked = 'pause.yml asks for an answer in the task Are they drained ("Press enter once they are")'
    assert asked in told and 'confirm("…")' in told
    assert not (project.root / "went-on").exists()
    summary = project.summary()
    assert summary["outcome"] == "failed" and not summary["unknown"], "a known failure: nothing is to be looked at"
    results = [event["data"]["result"] for event in project.events() if event["type"] == "effect-result"]
    assert results[1:] == [{"changed": False}] * 4, "none of those that asked has changed anything"


@pytest.mark.slow
def test_a_plain_input_is_a_question_like_any_other(project: Project) -> None:
    body = """
    ## Steps

    ### Go
    ```python
    host = input("Which host? ")
    print(f"it is {host}")
    ```

    ### Hide
    ```python
    import getpass
    getpass.getpass()
    ```
    """
    project.page(body)
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 2 and "give --answer which-host=…" in done.err
    done = project.opsbook("run", "page", "-e", "dev", "--yes", "--answer", "which-host=web-1")
    assert "| it is web-1" in done.out
    assert "make it a parameter of type Secret" in done.out
    (asked,) = [e["data"] for e in project.events() if e["type"] == "question-answered"]
    assert (asked["name"], asked["value"]) == ("which-host", "web-1")
