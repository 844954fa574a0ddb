"""Addresses that guess keys, the certificate of the load balancer, and backups, on the real platform."""

import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

VERSION = "1.0.0"
STRANGER, PARTNER = "127.0.0.66", "127.0.0.67"
"""Two addresses of this machine's loopback, as if from elsewhere."""


@pytest.fixture(scope="module")
def serves(platform: Platform) -> Platform:
    platform.serve(VERSION)
    return platform


def asked(platform: Platform, path: str, address: str, *, tls: bool = False) -> int:
    """The status that somebody with this address is given."""
    trusted = ssl.create_default_context(cafile=folder(platform) / "authority.pem")
    # As newer Pythons look at certificates by themselves.
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    transport = httpx.HTTPTransport(local_address=address, verify=trusted)
    base = f"https://127.0.0.1:{platform.base + 1}" if tls else platform.url
    with httpx.Client(transport=transport, timeout=30) as client:
        return client.get(base + path).status_code


def folder(platform: Platform) -> Path:
    return platform.root / ".opsbook/env" / platform.place


def test_an_address_that_guesses_keys_is_seen_and_blocked_until_it_is_not(serves: Platform) -> None:
    share = folder(serves) / "caddy/traffic/share"
    for canary, tls in (("0", False), ("50", False), ("50", True)):
        # On its way through the canary's sockets, too, an instance learns whose request it is.
        share.write_text(canary)
        assert [asked(serves, "/leaderboard", STRANGER, tls=tls) for _ in range(4)] == [401] * 4
    share.write_text("0")
    assert asked(serves, "/leaderboard", PARTNER) == 401
    checked = serves.run("block-addresses", "--check", check=True).out
    assert f"{STRANGER}: 12 refused" in checked
    assert f"{PARTNER}: 1 refused" in checked
    for given, said in (("../../x", "does not appear to be"), ("127.0.0.1", "127.0.0.1 is this machine")):
        wrong = serves.run("block-addresses", "--answer", f"addresses={STRANGER}, {given}")
        assert (wrong.code, asked(serves, "/readyz", STRANGER), said in wrong.out) == (1, 200, True), wrong.out
    serves.run("block-addresses", "--answer", f"addresses={STRANGER}", check=True)
    for tls in (False, True):
        assert asked(serves, "/readyz", STRANGER, tls=tls) == 403
        assert asked(serves, "/readyz", PARTNER, tls=tls) == 200
    again = ("--answer", f"addresses={STRANGER}, ::1", "-p", "action=serve")
    assert (
        f"{STRANGER}: blocked by {serves.records()[-1].name}" in serves.run("block-addresses", *again, check=True).out
    )
    assert asked(serves, "/readyz", STRANGER) == 200


def test_a_certificate_that_ends_soon_is_named_renewed_and_taken_back(serves: Platform) -> None:
    serves.playbook("certificate", certificate_days=5, certificate_renew_days=100)
    nearly_over = shown(serves)
    told = serves.diagnosed("caddy")
    assert told["runbooks"] == ["renew-certificate"]
    assert "the certificate for TLS ends in 4 days" in told["steps"][-1]["seen"]
    with serves.load(100) as players:
        serves.run("renew-certificate", check=True)
        renewed = shown(serves)
        serves.opsbook("rollback", serves.records()[-1].name, check=True)
    # Caddy closes idle connections when its configuration changes: whoever sends on one just then sends again.
    assert set(players["by_failure"]) <= {"ConnectionResetError", "RemoteDisconnected"}, players
    assert players["failed"] <= 3, players
    assert shown(serves) == nearly_over
    serves.run("renew-certificate", "-p", "anyway=true", check=True)
    assert shown(serves) not in (renewed, nearly_over)
    assert asked(serves, "/readyz", PARTNER, tls=True) == 200
    assert (folder(serves) / "secrets/tls.pem").stat().st_mode & 0o077 == 0


def test_what_is_missing_for_tls_is_made_again(serves: Platform) -> None:
    own, trusted, before = folder(serves) / "secrets/tls.pem", folder(serves) / "authority.pem", shown(serves)
    trusted.unlink()
    serves.playbook("certificate")
    assert (asked(serves, "/readyz", PARTNER, tls=True), shown(serves)) == (200, before)
    own.write_bytes(own.read_bytes()[:200])
    serves.playbook("certificate")
    assert asked(serves, "/readyz", PARTNER, tls=True) == 200
    # A Caddy that has run since before there was TLS.
    config = folder(serves) / "caddy/caddy.json"
    earlier = json.loads(config.read_text())
    del earlier["apps"]["http"]["servers"]["tls"], earlier["apps"]["tls"]
    config.write_text(json.dumps(earlier))
    for each in (own, trusted, folder(serves) / "secrets/authority.pem"):
        each.unlink()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(serves.sockets / "admin.sock")), timeout=60) as client:
        client.post("http://127.0.0.1/load", json=earlier).raise_for_status()
    with pytest.raises(OSError, match="refused"):
        shown(serves)
    serves.run("platform-up", check=True)
    assert asked(serves, "/readyz", PARTNER, tls=True) == 200


def shown(platform: Platform) -> str:
    return ssl.get_server_certificate(("127.0.0.1", platform.base + 1))


def test_backups_are_proven_and_the_oldest_go(serves: Platform) -> None:
    kept = serves.root / ".opsbook/backups" / serves.place
    kept.mkdir(mode=0o700, parents=True)
    nights = [f"2026010{day}T070000Z-back-up-database-aaaa" for day in (1, 2, 3, 4)]
    for name in ("monday", *nights):
        for end in ("dump", "state.json"):
            (kept / f"{name}.{end}").touch()
        # One night, nobody could restore it; of another one, somebody was ended in the middle of removing it.
        if name not in (nights[0], nights[3]):
            (kept / f"{name}.json").write_text('{"restored": {"run": "x"}}')
    (kept / f"{nights[3]}.json").write_text("{}")
    asked_first = serves.run("back-up-database", "-p", "keep=2", "--check", check=True).out
    assert nights[1] in asked_first and nights[2] not in asked_first
    serves.run("back-up-database", "-p", "keep=2", check=True)
    made = serves.records()[-1].name
    assert {path.name.partition(".")[0] for path in kept.iterdir()} == {"monday", *nights[2:], made}
    newest = (kept / f"{made}.dump").stat().st_mtime
    assert scanned(serves, kept) == newest
    (kept / f"{nights[3]}.dump").write_text("newer, and never restored")
    assert scanned(serves, kept) == newest


def scanned(platform: Platform, backups: Path) -> float:
    """When the newest backup was made, as the monitoring sees it."""
    done = subprocess.run(
        [sys.executable, "-c", "import scan, sys, pathlib; print(scan.newest(pathlib.Path(sys.argv[1])))", backups],
        cwd=platform.root / "playbooks/roles/monitoring/files",
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def test_a_session_that_makes_players_wait_is_shown_and_ended(serves: Platform) -> None:
    server = f"host={serves.database_folder} port=5432 dbname=arcade"
    with psycopg.connect(f"{server} user=arcade_monitor") as looks, pytest.raises(psycopg.errors.InsufficientPrivilege):
        looks.execute("select * from players")
    board = {"Action": "Leaderboard", "From": "somebody", "Tags": {"Limit": "3"}}
    with psycopg.connect(f"{server} user=postgres application_name=prompt") as prompt:
        prompt.execute("lock table scores in access exclusive mode")
        assert httpx.post(f"{serves.url}/messages", json=board, timeout=30).status_code == 503
        checked = serves.run("database-sessions", "--check", check=True).out
        (session,) = re.findall(r"(\d+@\d+) .* prompt +idle in transaction", checked)
        wrong = serves.run("database-sessions", "--answer", f"sessions={session}, 1@000000")
        assert (wrong.code, "1@000000 is none of the sessions above" in wrong.out) == (1, True), wrong.out
        assert not prompt.execute("select 1").closed
        ended = serves.run("database-sessions", "--answer", f"sessions={session}", check=True).out
        assert "1 sessions ended" in ended
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            prompt.execute("select 1")
    assert httpx.post(f"{serves.url}/messages", json=board, timeout=30).status_code == 200
