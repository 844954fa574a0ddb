"""Root and an ordinary user: a clone in a home that only its owner can open, and nobody's permissions ever change."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.platform import quick
from tests.platform.conftest import COPIED, Platform, free_base
from tests.support import ROOT
from tests.support.project import assert_all_gone, until

pytestmark = pytest.mark.slow

NOBODY = 65534


def permissions(root: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, owner and group of every folder above the project, and of everything in it that git would keep."""
    found = [*root.parents, root, *(p for name in COPIED for p in (root / name, *(root / name).rglob("*")))]
    found = [p for p in found if "__pycache__" not in p.parts and not p.is_symlink()]
    return {str(p): (stat.S_IMODE((s := p.stat()).st_mode), s.st_uid, s.st_gid) for p in found}


def copied(home: Path) -> Path:
    root = home / "clone"
    root.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    return root


def life(platform: Platform) -> None:
    """Up, a release built and deployed, asked, and down again with all that it made."""
    try:
        platform.run("platform-up", check=True)
        platform.build("1.0.0")
        platform.run("deploy-service", "-p", "version=1.0.0", check=True)
        assert platform.versions() == {"1.0.0"}
        (database,) = [p for p in owned(platform.root) if p.name() == "postgres" and "-D" in p.cmdline()]
        assert database.uids().real == expected_owner(platform)
        # Only root keeps anything outside the project, since its database may not run as root.
        data = Path(database.cmdline()[database.cmdline().index("-D") + 1])
        assert data.is_relative_to(platform.root) is (user_id(platform) != 0)
    finally:
        platform.run("platform-down", "-p", "purge=true", check=True)
    until(lambda: not owned(platform.root), "the end of every process")
    assert not (platform.root / ".opsbook/env/dev").exists()


def owned(root: Path) -> list[psutil.Process]:
    """The processes of the platform: each has the environment's folder in its own environment."""
    folder = f"{root}/.opsbook/env/dev"
    found = []
    for process in psutil.process_iter():
        try:
            if folder in process.environ().values():
                found.append(process)
        except psutil.Error:
            continue
    return found


def user_id(platform: Platform) -> int:
    return getattr(platform, "uid", os.geteuid())


def expected_owner(platform: Platform) -> int:
    """PostgreSQL refuses root; everybody else is its own database's user."""
    who = user_id(platform)
    return pwd.getpwnam("opsbook").pw_uid if who == 0 else who


# Every other file here brings the platform up as whoever runs the tests.
@pytest.mark.soak
def test_as_whoever_runs_the_tests(tmp_path: Path) -> None:
    home = tmp_path / "home"
    root = copied(home)
    home.chmod(0o700)
    quick.quicken(root)
    quick.without(root, *quick.SPARE)
    platform = Platform(root, free_base())
    platform.env["HOME"] = str(home)
    platform.move_ports()
    before = permissions(root)
    life(platform)
    assert permissions(root) == before


class Another(Platform):
    """The platform as another user sees it: with an interpreter and a home of his own."""

    uid = NOBODY

    def __init__(self, root: Path, base: int, python: Path) -> None:
        super().__init__(root, base)
        self._python = python

    def command(self, *arguments: str) -> list[str]:
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return [*as_nobody, str(self._python), "-m", "opsbook.cli.main", *arguments]

    def environment(self) -> dict[str, str]:
        home = str(self.root.parent)
        path = f"{self._python.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin"
        # Ansible asks the system where the user's home is, and nobody has none.
        ansible = {"ANSIBLE_REMOTE_TMP": f"{home}/.ansible/tmp"}
        user = {"HOME": home, "USER": "nobody", "LOGNAME": "nobody", "PATH": path, "LANG": "C.UTF-8"}
        return user | ansible | self.env


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody can pass."""
    with open_place() as made:
        yield made


@contextmanager
def open_place() -> Iterator[Path]:
    """The same. Those of pytest are closed for others, and every session of it sees to that."""
    with tempfile.TemporaryDirectory(prefix="opsbook-users-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def others_python() -> Iterator[Path]:
    """The same for all tests: to copy everything takes long."""
    with open_place() as made:
        yield interpreter(made)


def interpreter(place: Path) -> Path:
    """An interpreter that anybody can run, with everything that is installed here."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path("/usr/bin") / version
    if not base.exists():
        pytest.skip(f"there is no /usr/bin/{version} that another user could run")
    home = place / "interpreter"
    subprocess.run([str(base), "-m", "venv", "--without-pip", str(home)], check=True)
    here = Path(sys.executable).parent
    packages = home / "lib" / version / "site-packages"
    shutil.copytree(Path(pytest.__file__).parents[1], packages, dirs_exist_ok=True, symlinks=True, copy_function=linked)
    # This project itself is installed by a path, into a folder that may be closed for others.
    for path in (*packages.glob("*opsbook*.pth"), *packages.glob("__editable__*")):
        path.unlink()
    shutil.copytree(ROOT / "lib/opsbook", packages / "opsbook", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ansible", "ansible-playbook"):
        script = (here / name).read_text(encoding="utf-8").split("\n", 1)[1]
        (home / "bin" / name).write_text(f"#!{home}/bin/python\n{script}", encoding="utf-8")
        (home / "bin" / name).chmod(0o755)
    shutil.copy(here / "caddy", home / "bin/caddy")
    return home / "bin/python"


def linked(source: str, target: str) -> None:
    """A gigabyte need not be copied where one file can have two names; nobody else may write it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else; others are tested as themselves")
def test_as_an_ordinary_user(place: Path, others_python: Path) -> None:
    home = place / "home"
    root = copied(home)
    quick.without(root, *quick.SPARE)
    platform = Another(root, free_base(), others_python)
    platform.move_ports()
    # It names the folder for whoever has a home; nobody has none.
    quick.edit(root / "playbooks/ports.yml", '"~/.ansible/tmp"', f'"{home}/.ansible/tmp"')
    for path in (home, *home.rglob("*")):
        os.lchown(path, NOBODY, NOBODY)
    home.chmod(0o700)
    before = permissions(root)
    life(platform)
    assert permissions(root) == before


# -- one run, two people

STEPS = """
    ## Prerequisites

    ### Look
    ```python
    from opsbook import command, here
    ```

    ## Steps

    ### First
    ```python
    command(["sh", "-c", f"echo first {here.operator} >> {here.settings['count']}"])
    ```

    ### Second
    ```python
    command(["sh", "-c", f"echo second >> {here.settings['count']}; test ! -e {here.settings['hang']} || sleep 300"])
    ```
"""


class Shared(Another):
    """A project that a team shares on one host: records and state in folders of their group."""

    gid = 60000

    def __init__(self, root: Path, python: Path, uid: int, name: str) -> None:
        super().__init__(root, 0, python)
        self.uid, self.name = uid, name

    def command(self, *arguments: str) -> list[str]:
        somebody = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        shared = ["sh", "-c", 'umask 002; exec "$@"', "sh"]
        return [*somebody, *shared, str(self._python), "-m", "opsbook.cli.main", *arguments]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"USER": self.name, "LOGNAME": self.name}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two other people")
def test_one_goes_on_with_what_another_began(place: Path, others_python: Path) -> None:
    root, team = place / "clone", place / "team"
    ada, grace = (Shared(root, others_python, uid, name) for uid, name in ((60001, "ada"), (60002, "grace")))
    for folder in (team, team / "records", team / "state", team / "work"):
        folder.mkdir()
        os.chown(folder, 0, Shared.gid)
        folder.chmod(0o2775)
    ada.write("opsbook.toml", f'records = "{team}/records"\nstate = "{team}/state"\n')
    inventory = "playbooks/inventories/dev"
    ada.write(f"{inventory}/hosts.yml", "all:\n  hosts:\n    here:\n      ansible_connection: local\n")
    shared = team / "work"
    work = f"settings:\n  count: {shared / 'count'}\n  hang: {shared / 'hang'}\n"
    ada.write(f"{inventory}/environment.yml", f"title: Development\nsandbox: true\n{work}")
    ada.page(STEPS, front='rollback: manual\nlock: ["{environment}/work"]\n')
    hang = team / "work/hang"
    hang.touch()
    process = ada.start("run", "page", "-e", "dev")
    journal = until(lambda: next(team.glob("records/*/*/*/journal.jsonl"), None), "the record")
    until(
        lambda: '"First"' in (text := journal.read_text()) and "sleep" in text.split("effect-intent")[-1], "the effect"
    )
    until(lambda: (team / "work/count").read_text().endswith("second\n"), "the effect itself")
    process.kill()
    process.communicate()
    run = journal.parent.name
    assert_all_gone(run)
    hang.unlink()
    assert "lost" in grace.opsbook("status", check=True).out
    assert grace.opsbook("resume", run).code == 5
    assert grace.opsbook("resume", run, "--answer", "unknown=done").code == 0
    assert [line.split()[0] for line in (team / "work/count").read_text().splitlines()] == ["first", "second"]
    told = json.loads(grace.opsbook("records", "show", run, "--json", check=True).out)
    assert [who.partition("@")[0] for who in told["operators"]] == ["ada", "grace"]
    shown = ada.opsbook("records", "show", run, check=True).out
    assert "by ada@" in shown and ", then grace@" in shown
    assert ada.opsbook("records", "verify", run).code == 0
    assert ada.opsbook("locks").out == "Nothing is locked.\n"
