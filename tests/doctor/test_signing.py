"""Before the first protected run: what the doctor says of the key."""

import pytest

from tests.support.team import Team

pytestmark = pytest.mark.slow


def said(team: Team, who: str) -> str:
    done = team.by(who).opsbook("doctor")
    return " ".join(done.out.split())


def test_a_key_that_counts(team: Team) -> None:
    assert "signs as ann@example.org, by allowed_signers of main" in said(team, "ann")


def test_a_key_that_nobody_knows(team: Team) -> None:
    assert "is not in allowed_signers" in said(team, "eve")
    assert "Have the key added to allowed_signers on main" in said(team, "eve")


def test_a_key_with_a_passphrase(team: Team) -> None:
    assert "needs a passphrase, and no agent holds it" in said(team, "locked")


def test_a_key_that_others_can_read(team: Team) -> None:
    team.key("ann").chmod(0o644)
    try:
        assert "others can read or change" in said(team, "ann")
    finally:
        team.key("ann").chmod(0o600)


def test_no_key_at_all(team: Team) -> None:
    team.env["OPSBOOK_SIGNING_KEY"] = ""
    assert "there is no signing key: seals are not signed" in " ".join(team.opsbook("doctor").out.split())
