"""Secrets from the stores of docs/secrets.md, the real ones: a cell gets the value, and nothing written has it."""

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.support import openbao
from tests.support.openbao import OpenBao
from tests.support.project import Project

pytestmark = pytest.mark.slow

SOPS = Path(sys.executable).with_name("sops")
FIRST, SECOND = "first-value-of-the-database", "second-value-of-the-database"
PAGE = """\
## Steps

### Use it
```python
import hashlib
from opsbook import command, secret
value = secret("database")
print(f"it is {value.reveal()}")
command(["sh", "-c", "echo $DATABASE"], env={"DATABASE": value})
print(hashlib.sha256(value.reveal().encode()).hexdigest())
```
"""


def use(project: Project, value: str, place: str = "dev") -> None:
    """A run gets this value, prints it, and leaves it nowhere."""
    project.page(PAGE)
    done = project.opsbook("run", "page", "-e", place, check=True)
    assert hashlib.sha256(value.encode()).hexdigest() in done.out
    assert "it is ⟦secret:database⟧" in done.out
    assert value not in done.out + done.err
    files = [path for name in ("records", ".opsbook") for path in (project.root / name).rglob("*") if path.is_file()]
    assert any(path.name == "journal.jsonl" for path in files)
    assert not [path for path in files if value.encode() in path.read_bytes()]


def refused(project: Project, said: str, *values: str, place: str = "dev") -> None:
    """Nothing runs, and the message has no value."""
    before = len(project.records())
    done = project.opsbook("run", "page", "-e", place)
    assert done.code == 2, done.out + done.err
    assert said in " ".join(done.err.split())
    assert not any(value in done.out + done.err for value in values)
    assert len(project.records()) == before


def policy(project: Project, reference: str) -> None:
    lines = f"sandbox: true\nsecrets:\n  database: {reference}\n"
    project.write("playbooks/inventories/dev/environment.yml", lines)


# -- Ansible's vault, with a password for each environment


def vaulted(project: Project, place: str, password: Path, value: str) -> None:
    """A value under the same name in each environment, for the password of this one."""
    command = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt_string", "--encrypt-vault-id", place]
    more = ["--vault-id", f"{place}@{password}", "--stdin-name", "database_password"]
    done = subprocess.run([*command, *more], input=value, capture_output=True, text=True, check=True)
    folder = f"playbooks/inventories/{place}"
    project.write(f"{folder}/hosts.yml", (project.root / "playbooks/inventories/dev/hosts.yml").read_text())
    project.write(f"{folder}/group_vars/all.yml", done.stdout)
    project.write(f"{folder}/environment.yml", "sandbox: true\nsecrets: {database: 'vault:database_password'}\n")


def test_each_environment_has_a_vault_of_its_own(project: Project, tmp_path: Path) -> None:
    """The password of one is in a file, that of the other is what a program prints; the values have the same name."""
    file, program = tmp_path / "dev-password", tmp_path / "production-password"
    file.write_text("vault-password-of-dev\n")
    program.write_text("#!/bin/sh\necho vault-password-of-production\n")
    program.chmod(0o700)
    for place, password, value in (("dev", file, FIRST), ("production", program, SECOND)):
        vaulted(project, place, password, value)
    project.write("ansible.cfg", f"[defaults]\nvault_identity_list = dev@{file}, production@{program}\n")
    use(project, FIRST)
    use(project, SECOND, "production")
    program.unlink()
    use(project, FIRST)
    refused(project, "the vault password does not fit", FIRST, SECOND, place="production")


# -- SOPS


def identity(folder: Path, name: str) -> tuple[Path, str]:
    """A key of age, and what is encrypted for it."""
    made = pyrage.x25519.Identity.generate()
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(f"{made}\n")
    return path, str(made.to_public())


def encrypted(project: Project, value: str) -> None:
    path = project.write("secrets/dev.yaml", f"database: {{password: {value}}}\n")
    subprocess.run([SOPS, "encrypt", "--in-place", path.relative_to(project.root)], cwd=project.root, check=True)
    assert value not in path.read_text()


@pytest.fixture
def sops(project: Project, tmp_path: Path) -> Project:
    key, recipient = identity(tmp_path, "dev.txt")
    project.write(".sops.yaml", f"creation_rules:\n  - path_regex: secrets/dev\\.yaml$\n    age: {recipient}\n")
    policy(project, """'exec:sops decrypt --extract ''["database"]["password"]'' secrets/dev.yaml'""")
    project.env |= {"SOPS_AGE_KEY_FILE": str(key), "PATH": f"{SOPS.parent}:{os.environ['PATH']}"}
    encrypted(project, FIRST)
    return project


def test_a_secret_from_sops(sops: Project) -> None:
    use(sops, FIRST)
    encrypted(sops, SECOND)
    use(sops, SECOND)


def test_who_has_another_key_of_sops_gets_nothing(sops: Project, tmp_path: Path) -> None:
    use(sops, FIRST)
    sops.env["SOPS_AGE_KEY_FILE"] = str(identity(tmp_path, "other.txt")[0])
    refused(sops, "Secret database: sops gave none: it ended with exit code 128", FIRST)


# -- OpenBao


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("openbao")
    with openbao.served(folder, port) as made:
        made.bao("secrets", "enable", "-path=secret", "kv-v2")
        made.bao("auth", "enable", "approle")
        for place in ("dev", "production"):
            made.bao("kv", "put", f"secret/{place}/database", "password=-", stdin=f"{FIRST}-{place}")
            rule = f'path "secret/data/{place}/*" {{ capabilities = ["read"] }}\n'
            made.bao("policy", "write", f"opsbook-{place}", "-", stdin=rule)
            role = (f"token_policies=opsbook-{place}", "token_ttl=10m", "secret_id_ttl=24h")
            made.bao("write", f"auth/approle/role/opsbook-{place}", *role)
        yield made


def login(bao: OpenBao, place: str) -> str:
    """The token of a role, which reads what is of its environment."""
    files = []
    for name, words in (("role_id", ("read",)), ("secret_id", ("write", "-f"))):
        end = "role-id" if name == "role_id" else "secret-id"
        value = bao.bao(*words, f"-field={name}", f"auth/approle/role/opsbook-{place}/{end}")
        path = bao.folder / f"{place}-{name}"
        path.touch(mode=0o600)
        path.write_text(value)
        files.append(f"{name}=@{path}")
    return bao.bao("write", "-field=token", "auth/approle/login", *files).strip()


@pytest.fixture
def with_bao(project: Project, bao: OpenBao) -> Project:
    policy(project, "exec:bao kv get -field=password secret/dev/database")
    token = {"BAO_TOKEN": login(bao, "dev")}
    project.env |= {**bao.address, **token, "PATH": f"{openbao.PROGRAM.parent}:{os.environ['PATH']}"}
    return project


@pytest.mark.soak
def test_a_secret_from_openbao(with_bao: Project, bao: OpenBao) -> None:
    """It is asked again for each run, and its audit log says so."""
    use(with_bao, f"{FIRST}-dev")
    bao.bao("kv", "put", "secret/dev/database", "password=-", stdin=SECOND)
    asked = bao.audited().count("secret/data/dev/database")
    use(with_bao, SECOND)
    assert bao.audited().count("secret/data/dev/database") == asked + 1
    log = (bao.folder / "audit.log").read_text()
    assert FIRST not in log
    assert SECOND not in log


@pytest.mark.soak
def test_the_role_of_one_environment_reads_nothing_of_another(with_bao: Project) -> None:
    policy(with_bao, "exec:bao kv get -field=password secret/production/database")
    with_bao.page(PAGE)
    refused(with_bao, "Secret database: bao gave none: it ended with exit code 2", FIRST)


@pytest.mark.soak
def test_a_token_that_was_revoked_gets_nothing(with_bao: Project, bao: OpenBao) -> None:
    bao.bao("token", "revoke", "-self", token=with_bao.env["BAO_TOKEN"])
    with_bao.page(PAGE)
    refused(with_bao, "Secret database: bao gave none: it ended with exit code 2", FIRST, SECOND)
