"""What a check may be told to reach hosts with."""

from pathlib import Path

import pytest

from opsbook.core.effects.check_rules import Rules

RULES = Rules("/project", ("/packages",), frozenset({"/opt/own-ssh", "team.tools"}))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ssh_args", "-C -o ControlMaster=auto -o ControlPersist=60s"),
        ("ssh_common_args", "-F none -o IdentitiesOnly=yes -o UserKnownHostsFile='/a b'"),
        ("ssh_common_args", "-o ProxyCommand='ssh -W %h:%p -q ops@bastion' -vv -i key"),
        ("ssh_common_args", "-o 'ProxyCommand ssh -o StrictHostKeyChecking=yes -W %h:%p bastion'"),
        ("ssh_extra_args", "-J bastion -o ProxyCommand='nc -X connect -x proxy:3128 %h %p'"),
        ("ssh_executable", "/usr/bin/ssh"),
        ("ssh_executable", "/opt/own-ssh"),
        ("control_path", "%(directory)s/%%h-%%r"),
        ("remote_tmp", "$HOME/.ansible/tmp"),
        ("password", "a;$(b)"),
        ("host", "fe80::1%eth0"),
    ],
)
def test_what_reaches_a_host(key: str, text: str) -> None:
    assert not list(RULES.options("connection", "ssh", {key: text}))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ssh_args", "-o ProxyCommand=./evil"),
        ("ssh_args", "-oProxyCommand=touch\\ x"),
        ("ssh_args", "-voProxyCommand=evil"),
        ("ssh_args", "-o 'proxycommand  evil'"),
        ("ssh_common_args", "-o ProxyCommand='ssh -W %h:%p bastion; touch x'"),
        ("ssh_common_args", "-o ProxyCommand='ssh -oProxyCommand=evil bastion'"),
        ("ssh_common_args", "-o ProxyCommand='ssh bastion touch x'"),
        ("ssh_common_args", "-o ProxyCommand='nc -e evil %h %p'"),
        ("ssh_common_args", "-o PermitLocalCommand=yes -o LocalCommand=evil"),
        ("ssh_common_args", "-o KnownHostsCommand=evil"),
        ("ssh_extra_args", "-F own.cfg"),
        ("ssh_extra_args", "-I lib.so"),
        ("ssh_extra_args", "other-host"),
        ("ssh_extra_args", "'"),
        ("scp_extra_args", "-S evil"),
        ("sftp_extra_args", "-D evil"),
        ("pkcs11_provider", "lib.so"),
        ("proxy_command", "evil %h"),
        ("ssh_executable", "/project/ssh"),
        ("ssh_executable", "touch"),
        ("host", "-oProxyCommand=evil"),
        ("remote_user", "root -oProxyCommand=evil"),
    ],
)
def test_what_would_run_something_else(key: str, text: str) -> None:
    assert list(RULES.options("connection", "ssh", {key: text}))


def test_become_runs_what_it_is_called() -> None:
    def refused(**options: str) -> bool:
        return bool(list(RULES.options("become", "sudo", options)))

    assert not refused(become_exe="/usr/bin/sudo", become_flags="-H -S -n", become_user="db_admin")
    for options in (
        {"become_exe": "touch"},
        {"become_exe": "./sudo"},
        {"become_flags": "-n touch x"},
        {"become_flags": "-c evil"},
        {"become_flags": "-n; touch x"},
        {"become_user": "root touch x"},
    ):
        assert refused(**options), options


def test_names_in_opsbook_toml() -> None:
    """A collection, for all that is in it."""
    assert not RULES.lookup("team.tools.find", "/project/collections/find.py")
    assert not RULES.plugin("filter", "team.tools.own", "/project/collections/own.py")
    assert RULES.lookup("team.other.find", "/project/collections/find.py")
    assert RULES.plugin("filter", "own", "/project/filter_plugins/own.py")
    assert not RULES.plugin("filter", "core", "/packages/ansible/plugins/filter/core.py")


def test_the_environment_of_a_task(tmp_path: Path) -> None:
    for name, value in (
        ("LD_PRELOAD", "x"),
        ("PYTHONPATH", "/x"),
        ("BASH_ENV", "x"),
        ("PATH", "bin:/usr/bin"),
        ("A B", ""),
    ):
        assert RULES.environment({name: value}), name
    link = tmp_path / "bin"
    link.symlink_to("/project/bin")
    assert RULES.environment({"PATH": f"/usr/bin:{link}"})
    given = {"PATH": "/opt/x/bin:/usr/bin", "LANG": "C", "PGPASSWORD": "a", "PYTHONUNBUFFERED": "1", "https_proxy": "x"}
    assert not RULES.environment(given)
