"""Environments: what hosts.yml and environment.yml say, and a sentence for everything they cannot say."""

from pathlib import Path

import pytest

from opsbook.core.model.environment import Environment
from opsbook.core.planning import environment
from opsbook.errors import InputError
from opsbook.settings import Settings

HOSTS = "all:\n  children:\n    app:\n      hosts:\n        web-1:\n        web-2:\n"


def _load(root: Path, hosts: str = HOSTS, policy: str = "") -> Environment:
    folder = root / "playbooks/inventories/dev"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.yml").write_text(hosts)
    (folder / "environment.yml").write_text(policy)
    return environment.load(Settings(root, root / "records", root / ".opsbook"), "dev")


def _refused(root: Path, hosts: str = HOSTS, policy: str = "") -> InputError:
    with pytest.raises(InputError) as caught:
        _load(root, hosts, policy)
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:10]", ["web08", "web09", "web10"]),
        ("web[1:5:2]", ["web1", "web3", "web5"]),
        ("web[:1]", ["web0", "web1"]),
        ("db[a:c]", ["dba", "dbb", "dbc"]),
        ("r[1:2]-[x:y]", ["r1-x", "r1-y", "r2-x", "r2-y"]),
        ("[2001:db8::1]", ["[2001:db8::1]"]),
        ("10.0.0.1", ["10.0.0.1"]),
    ],
)
def test_host_ranges(tmp_path: Path, pattern: str, hosts: list[str]) -> None:
    assert _load(tmp_path, f"all:\n  hosts:\n    '{pattern}':\n").groups == {"all": tuple(hosts)}


def test_groups_hold_the_hosts_of_their_children_wherever_these_stand(tmp_path: Path) -> None:
    found = _load(
        tmp_path,
        "all:\n  children: {site: }\nsite:\n  children: {app: , db: {hosts: one-name}}\n"
        "app:\n  hosts: {web-1: }\nlone:\n  hosts: {x: !vault y}\n",
    )
    assert dict(found.groups) == {
        "all": ("one-name", "web-1", "x"),
        "app": ("web-1",),
        "db": ("one-name",),
        "lone": ("x",),
        "site": ("one-name", "web-1"),
    }
    assert found.hosts == ("one-name", "web-1", "x")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("web:\n  hosts: 5\n", "web.hosts"),
        ("web:\n  hosts: [a]\n", "web.hosts"),
        ("web:\n  children: [a]\n", "web.children"),
        ("web: 5\n", "web"),
        ("- web\n", "dictionary"),
        ("", "dictionary"),
        ("web:\n  hosts: {'web[5:x]': }\n", "web[5:x]: [5:x] is no range"),
        ("web:\n  hosts: {'web[1:3:0]': }\n", "[1:3:0] is no range"),
        ("web:\n  hosts: {'web[3:1]': }\n", "[3:1] is empty"),
        ("web:\n  hosts: {'web[08:100]': }\n", "need the same number of digits"),
        ("web:\n  hosts: {'web[1:100001]': }\n", "makes more than 100,000 hosts"),
        ("web:\n  hosts: {'web[1:99999999999999999999]': }\n", "makes more than 100,000 hosts"),
        ("web:\n  hosts: {'w[1:99999][1:99999][1:99999]': }\n", "makes more than 100,000 hosts"),
        ("web:\n  hosts: {'" + "[1:1]" * 100 + "': }\n", "1 to 255 characters"),
        ("web: &w\n  children: {x: *w}\n", "cyclic reference"),
        ("web: [\n", "not valid YAML"),
        ("web: " + "[" * 100_000, "not valid YAML"),
    ],
)
def test_an_inventory_that_is_none(tmp_path: Path, hosts: str, said: str) -> None:
    error = _refused(tmp_path, hosts)
    assert "dev/hosts.yml" in error.message
    assert said in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{glob: /etc/*}", "'/etc/*' is no path below the project"),
        ("{glob: ''}", "'' is no path below the project"),
        ("{glob: ../*}", "'../*' is no path below the project"),
        ("{glob: a/../../*}", "is no path below the project"),
        ("{glob: ./a/*}", "is no path below the project"),
        ("{glob: releases}", "needs exactly one *"),
        ("{glob: releases/**}", "needs exactly one *"),
        ("{glob: '*/*'}", "needs exactly one *"),
        ("{glob: 'a[0]/*'}", "needs exactly one *"),
        ("{group: ap}", "there is no group ap. Did you mean app?"),
        ("{group: app, glob: 'x/*'}", "it needs either glob or group"),
        ("{}", "it needs either glob or group"),
        ("{globb: x}", "take a list of texts, `glob: PATTERN` or `group: NAME`"),
        ("5", "take a list of texts"),
        ("[[a]]", "take a list of texts"),
    ],
)
def test_choices_that_cannot_be_made(tmp_path: Path, rule: str, said: str) -> None:
    error = _refused(tmp_path, policy=f"choices:\n  Service: {rule}\n  Other: [a]\n")
    (problem,) = error.problems
    assert problem.startswith("dev/environment.yml: choices.Service: ")
    assert said in problem


def test_choices(tmp_path: Path) -> None:
    for version in ("1.0", "1.10"):
        (tmp_path / f"releases/arcade-{version}.tar.gz").parent.mkdir(exist_ok=True)
        (tmp_path / f"releases/arcade-{version}.tar.gz").touch()
    policy = "choices: {R: {glob: releases/arcade-*.tar.gz}, G: {group: app}, L: ['1.10']}\n"
    assert dict(_load(tmp_path, policy=policy).choices) == {
        "Host": ("web-1", "web-2"),
        "Group": ("all", "app"),
        "R": ("1.0", "1.10"),
        "G": ("web-1", "web-2"),
        "L": ("1.10",),
    }


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("reviewed: 2026-02-30\n", "reviewed: Extra inputs are not permitted"),
        ("- a\n", "dictionary"),
        ("title: 5\n", "title"),
        ("urls: [a]\n", "urls"),
        ("settings: {x: .nan}\n", "settings"),
        ("settings: {x: !!binary aGk=}\n", "settings"),
        ("settings: {x: &a [*a]}\n", "settings"),
        ("title: \x00\n", "not valid YAML"),
    ],
)
def test_a_policy_that_is_none(tmp_path: Path, policy: str, said: str) -> None:
    error = _refused(tmp_path, policy=policy)
    assert "environment.yml" in error.message
    assert said in error.message


def test_a_date_in_the_settings_is_text(tmp_path: Path) -> None:
    assert _load(tmp_path, policy="settings: {since: 2026-02-30}\n").policy.settings == {"since": "2026-02-30"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    _load(tmp_path)
    policy = tmp_path / "playbooks/inventories/dev/environment.yml"
    policy.unlink()
    policy.symlink_to("nowhere.yml")
    settings = Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook")
    with pytest.raises(InputError, match=r"environment.yml cannot be read: No such file"):
        environment.load(settings, "dev")
    policy.unlink()
    (tmp_path / "playbooks/inventories/odd/hosts.yml").mkdir(parents=True)
    with pytest.raises(InputError, match=r"hosts.yml cannot be read: Is a directory"):
        environment.load(settings, "odd")
    assert environment.load(settings, "dev").hosts == ("web-1", "web-2")
