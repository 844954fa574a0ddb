"""A planted secret is found nowhere: not in the record, not in the state folder, not on the terminal."""

import base64
import html
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from tests.support.project import POLICY, Project

pytestmark = pytest.mark.slow

PARAMETER = 'par4meter-<se"cret>&+/a-value'
ENVIRONMENT = "envir0nment-secret-value"
VAULTED = "vau1ted-secret-value"

PAGE = """\
## Parameters

```python tags=["parameters"]
from opsbook.params import Secret
token: Secret
```

## Steps

### Print it in every way

```python
from opsbook import attach, command, http, note, playbook, secret, value
import base64, html, json, sys, time, urllib.parse
from IPython.display import HTML, display
plain = token.reveal()
other = secret("database").reveal()
for text in (plain, other):
    print(text)
    sys.stdout.write(text[:8]); sys.stdout.flush(); time.sleep(0.3); sys.stdout.write(text[8:] + "\\n")
    print(repr(text), json.dumps({"a": text}), urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text))
    for before in ("", "a", "ab"):
        print(base64.b64encode((before + text + "tail").encode()).decode())
    display(HTML(f"<b>{html.escape(text)}</b>"))
    print(text, file=sys.stderr)
    note(f"the note says {text}")
    attach(f"evidence-{len(text)}.txt", f"evidence {text}")
    value(f"v-{len(text)}", lambda: {"nested": [text]})
print(token, repr(token), f"{token}")
token
```

### Children print it

```python
import os, subprocess
script = 'printf %s "$S" | head -c 6; sleep 0.3; printf %s "$S" | tail -c +7; echo'
getattr(subprocess, "run")(["sh", "-c", script], env={"S": plain, "PATH": os.environ["PATH"]})
command(["sh", "-c", 'echo "$S"; echo "$S" >&2; cat'], env={"S": token}, stdin=secret("database", key="again"))
os.write(2, f"raw {plain}\\n".encode())
```

### A playbook prints it

```python
playbook("leak.yml", vars={"token": token})
```

### An exception says it

```python
raise ValueError(f"cannot log in with {plain} and {other}")
```
"""

PLAYBOOK = """\
- name: Leak
  hosts: web-1
  gather_facts: false
  tasks:
    - name: "Use {{ token }} and {{ vaulted }}"
      ansible.builtin.debug:
        msg: "{{ token }} {{ vaulted }} {{ token | b64encode }} {{ vaulted | urlencode }}"
    - name: Write it
      diff: true
      ansible.builtin.copy:
        content: "first {{ token }}\\nsecond {{ vaulted }}\\n"
        dest: "{{ playbook_dir }}/../written"
        mode: "0600"
    - name: Read it
      ansible.builtin.command: {argv: [cat, "{{ playbook_dir }}/../written"]}
"""


@pytest.fixture
def planted(project: Project) -> Project:
    project.page(PAGE)
    project.write("playbooks/leak.yml", PLAYBOOK)
    project.write("opsbook.toml", 'records = "records"\nvault_password_file = "vault-password"\n')
    project.write("vault-password", "the password of the vault\n")
    project.write("token", PARAMETER + "\n")
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets:\n  database: env:PLANTED_SECRET\n")
    encrypted = subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", "encrypt_string", "--name", "vaulted", VAULTED],
        env={**project.environment(), "ANSIBLE_VAULT_PASSWORD_FILE": str(project.root / "vault-password")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    project.write("playbooks/inventories/dev/group_vars/all.yml", encrypted)
    project.env["PLANTED_SECRET"] = ENVIRONMENT
    return project


def forms(secret: str) -> set[bytes]:
    """What must not be found; for base64 the part that does not depend on what stands before."""
    found = {secret, html.escape(secret), html.escape(secret, quote=False), urllib.parse.quote(secret, safe="")}
    found |= {urllib.parse.quote_plus(secret), secret[:8], secret[8:]}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        found.add(encoded[(offset * 8 + 5) // 6 : -4])
    return {form.encode() for form in found}


def test_nowhere(planted: Project) -> None:
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token")
    told = planted.summary()
    assert result.code == 1, result.out
    assert [step["status"] for step in told["steps"]] == ["succeeded"] * 3 + ["failed"]
    assert "⟦secret:token⟧" in result.out and "⟦secret:database⟧" in result.out
    shown = planted.opsbook("records", "show", "last").out
    places = {"terminal": (result.out + result.err + shown).encode()}
    for folder in ("records", ".opsbook"):
        places |= {str(p): p.read_bytes() for p in (planted.root / folder).rglob("*") if p.is_file()}
    assert len(places) > 8
    for name, content in places.items():
        for secret in (PARAMETER, ENVIRONMENT, VAULTED):
            for form in forms(secret):
                assert form not in content, f"{form!r} in {name}"
    text = b"".join(places.values()).decode(errors="replace")
    for mark in ("⟦secret:token⟧", "⟦secret:database⟧", "⟦secret:vaulted⟧"):
        assert mark in text


def vaulted(project: Project, text: str) -> None:
    """A group_vars file that is vaulted as a whole."""
    path = project.write("playbooks/inventories/dev/group_vars/app.yml", text)
    subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", "encrypt", str(path)],
        env={**project.environment(), "ANSIBLE_VAULT_PASSWORD_FILE": str(project.root / "vault-password")},
        capture_output=True,
        check=True,
    )


def everything(project: Project) -> str:
    """All that lies under the record, names included."""
    record = project.records()[-1]
    files = [path for path in record.rglob("*") if path.is_file()]
    return "\n".join(f"{path}\n{path.read_text(errors='replace')}" for path in files)


def test_odd_ways_out(planted: Project) -> None:
    """Halves around an effect, bytes one by one, a file's name, other programs' JSON."""
    planted.write("token", "zahlung-gehéimnis/ünïcode-wort")
    planted.page(
        """\
        ## Parameters

        ```python tags=["parameters"]
        from opsbook.params import Secret
        token: Secret
        ```

        ## Steps

        ```python
        import os, sys, time
        from IPython.display import HTML, display
        from opsbook import attach, note, secret
        plain = token.reveal()
        sys.stdout.write(plain[:9]); sys.stdout.flush(); note("between"); sys.stdout.write(plain[9:] + "\\n")
        sys.stdout.write(plain[:9]); sys.stdout.flush(); display(HTML("<i>x</i>")); sys.stdout.write(plain[9:] + "\\n")
        for byte in (plain + "\\n").encode():
            os.write(2, bytes([byte]))
            time.sleep(0.002)
        attach(plain + ".txt", "x")
        print(plain.replace("/", "\\\\/"), plain.encode().hex())
        ```
        """
    )
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token", check=True)
    for text in (result.out, everything(planted)):
        for part in ("zahlung-g", "imnis", "code-wort", "zahlung-gehéimnis/ünïcode-wort".encode().hex()):
            assert part not in text
    assert result.out.count("⟦secret:token⟧") >= 5


def test_vaulted_values_with_the_same_name(planted: Project) -> None:
    vaulted(planted, "db: {password: first-s3cret}\napi: {password: second-s3cret, port: 543210, on: true}\n")
    planted.write(
        "playbooks/leak.yml",
        """\
        - name: Leak
          hosts: app
          gather_facts: false
          tasks:
            - name: Say it
              ansible.builtin.debug: {msg: "{{ db.password }} {{ api.password }} {{ api.port }}"}
        """,
    )
    planted.page("## Steps\n\n```python\nfrom opsbook import playbook\nplaybook('leak.yml')\n```\n")
    planted.opsbook("run", "page", "-e", "dev", check=True)
    text = everything(planted)
    for secret in ("first-s3cret", "second-s3cret", "543210"):
        assert secret not in text
    assert "⟦secret:db.password⟧ ⟦secret:api.password⟧ ⟦secret:api.port⟧" in text


def test_a_short_vaulted_value_must_be_named_weak(planted: Project) -> None:
    vaulted(planted, "pin: '4711'\n")
    planted.page("## Steps\n\n```python\nprint('the pin is 4711')\n```\n")
    result = planted.opsbook("run", "page", "-e", "dev")
    assert result.code == 2
    assert "name pin under weak: in environment.yml" in result.err
    policy = planted.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "weak: [pin]\n")
    assert "the pin is ⟦secret:pin⟧" in planted.opsbook("run", "page", "-e", "dev", check=True).out


def test_a_broken_vaulted_file_shows_nothing_of_itself(planted: Project) -> None:
    vaulted(planted, 'password: "never-closed-s3cret\nother: 1\n')
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token")
    assert result.code == 2
    assert "is not valid YAML, line" in result.err
    assert "s3cret" not in result.err


def test_json_output_is_redacted_too(planted: Project) -> None:
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token", "--json")
    for secret in (PARAMETER, ENVIRONMENT, VAULTED):
        assert secret not in result.out
        assert secret[:8] not in result.out


def test_a_short_secret_is_refused(project: Project) -> None:
    parameters = '```python tags=["parameters"]\nfrom opsbook.params import Secret\npin: Secret\n```\n'
    project.page(f"## Parameters\n\n{parameters}\n## Steps\n\n```python\nprint(pin)\n```\n")
    project.write("pin", "q-7?")
    result = project.opsbook("run", "page", "-e", "dev", "-p", "pin=file:pin")
    assert result.code == 2
    assert "fewer than 6 characters" in result.err
    assert "q-7?" not in result.err
    assert project.records() == []


def test_a_wrong_vault_password(planted: Project) -> None:
    planted.write("vault-password", "another\n")
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token")
    assert result.code == 2
    assert "the vault password does not fit" in result.err
    planted.write("opsbook.toml", "")
    result = planted.opsbook("run", "page", "-e", "dev", "-p", "token=file:token")
    assert "there is no vault password" in result.err
    assert planted.records() == []


def test_lines_of_a_program_that_prints_them_one_by_one(project: Project) -> None:
    secret = "first l1ne of the k3y\nse(ond lin3 of the key\nend-0f-it-all"
    project.write("token", secret + "\n")
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets:\n  token: file:token\n")
    slowly = "base64 -w 12 | while read -r line; do echo $line; sleep 0.1; done"
    project.page(
        f"""
    ## Steps

    ### Print it
    ```python
    from opsbook import command, secret
    command(["sh", "-c", {slowly!r}], stdin=secret("token"))
    ```
    """
    )
    done = project.opsbook("run", "page", "-e", "dev", check=True)
    text = done.out + "".join(p.read_text(errors="replace") for p in project.records()[-1].rglob("*") if p.is_file())
    whole = base64.b64encode(secret.encode()).decode()
    assert not [whole[at : at + 8] for at in range(0, len(whole) - 8, 4) if whole[at : at + 8] in text]
    assert "⟦secret:token⟧" in text


def test_a_secret_is_for_the_pages_that_the_policy_names(project: Project) -> None:
    project.write("token", "hunter2-hunter2\n")
    policy = POLICY + "secrets: {token: 'file:token', all: 'file:token'}\n"
    project.write("playbooks/inventories/dev/environment.yml", policy + "secret_pages: {token: [one]}\n")
    page = "## Steps\n\n### Use it\n```python\nfrom opsbook import secret\nprint({})\n```\n"
    project.page(page.format('len(secret("token").reveal())'), "one")
    project.page(page.format('open("token").read(), len(secret("token").reveal())'), "two")
    project.page(page.format('len(secret("all").reveal())'), "three")
    assert project.opsbook("run", "one", "-e", "dev").code == 0
    done = project.opsbook("run", "two", "-e", "dev")
    assert done.code == 1
    assert "the secret token is not for this page: secret_pages in environment.yml" in " ".join(done.out.split())
    assert project.opsbook("run", "three", "-e", "dev").code == 0
    assert project.opsbook("env", "validate", "dev").code == 0
    project.write("playbooks/inventories/dev/environment.yml", policy + "secret_pages: {tokn: [one], all: [four]}\n")
    said = project.opsbook("env", "validate", "dev").err
    assert "secret_pages: there is no secret tokn. Did you mean token?" in said
    assert "secret_pages.all: there is no page four" in said
