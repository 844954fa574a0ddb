"""Ports of an environment: one number in environment.yml, or another one that a clone was given."""

from pathlib import Path

import pytest

from opsbook.core.model.environment import with_ports
from opsbook.core.planning import environment
from opsbook.errors import InputError
from opsbook.settings import Settings

HOSTS = "all:\n  hosts:\n    here:\n"
POLICY = """\
sandbox: true
ports: 18100
urls: {arcade: "http://127.0.0.1:{ports}/x"}
settings:
  balancer: http://127.0.0.1:{ports+3}
  deep: [{where: "{ports+99} and {ports}"}, 7]
  other: "{name} {} {portsmouth} {{ports}"
"""


def project(root: Path, policy: str = POLICY) -> Settings:
    folder = root / "playbooks/inventories/dev"
    folder.mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "environment.yml").write_text(policy)
    return Settings(root, root / "records", root / ".opsbook")


def test_texts_of_urls_and_settings_have_the_numbers(tmp_path: Path) -> None:
    policy = environment.load(project(tmp_path), "dev").policy
    assert policy.urls == {"arcade": "http://127.0.0.1:18100/x"}
    assert policy.settings == {
        "balancer": "http://127.0.0.1:18103",
        "deep": [{"where": "18199 and 18100"}, 7],
        "other": "{name} {} {portsmouth} {18100",
    }


def test_a_clone_with_other_ports_has_other_numbers(tmp_path: Path) -> None:
    settings = project(tmp_path)
    environment.keep_ports(settings, "dev", 18400)
    found = environment.load(settings, "dev").policy
    assert (found.ports, found.urls["arcade"]) == (18400, "http://127.0.0.1:18400/x")
    assert environment.load_as_written(settings, "dev").ports == 18100
    environment.forget_ports(settings, "dev")
    assert environment.load(settings, "dev").policy.ports == 18100


def test_without_ports_every_text_stays_as_it_is(tmp_path: Path) -> None:
    policy = environment.load(project(tmp_path, 'urls: {arcade: "http://x:{ports+1}"}\n'), "dev").policy
    assert policy.urls == {"arcade": "http://x:{ports+1}"}


def test_what_is_no_sandbox_never_follows_a_file_of_the_clone(tmp_path: Path) -> None:
    """Whoever may write the state folder would otherwise send runs of a protected environment elsewhere."""
    settings = project(tmp_path, POLICY.replace("sandbox: true", "protected: true"))
    environment.keep_ports(settings, "dev", 18400)
    assert environment.load(settings, "dev").policy.urls == {"arcade": "http://127.0.0.1:18100/x"}


@pytest.mark.parametrize("text", ["{ports+100}", "{ports-1}", "{ports + 1}", "{ports+x}", "{ports+}", "{ports+1.5}"])
def test_a_port_that_no_block_has_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no port of the block") as caught:
        with_ports(f"http://127.0.0.1:{text}", 18100)
    assert text in str(caught.value)


@pytest.mark.parametrize("number", ["18150", "0", "100", "65500", "-100", "1e3", "'18100x'", "[18100]"])
def test_a_number_that_no_block_begins_with_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(InputError, match="dev/environment.yml: ports: "):
        environment.load(project(tmp_path, f"sandbox: true\nports: {number}\n"), "dev")


@pytest.mark.parametrize("content", [b"", b"many\n", b"18150\n", b"99999999999\n", b"\xff\xfe", b"18100 18200\n"])
def test_a_file_that_says_something_else_is_refused_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    settings = project(tmp_path)
    (tmp_path / ".opsbook/ports").mkdir(parents=True)
    (tmp_path / ".opsbook/ports/dev").write_bytes(content)
    with pytest.raises(InputError, match="does not say which ports dev has here") as caught:
        environment.load(settings, "dev")
    assert "opsbook env ports dev" in caught.value.hint
