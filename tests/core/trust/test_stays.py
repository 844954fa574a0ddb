"""What was where, and for how long, by the runs that brought it, in the order in which they ended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.record.deliveries import Delivery, placed
from opsbook.core.trust import promotion

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
X, Y = "x" * 64, "y" * 64


def run(ago: int, sha: str, outcome: str = "succeeded", kind: str = "deploy", *, touched: bool = True) -> Delivery:
    """A run that ended so many minutes before noon."""
    at = NOON - timedelta(minutes=ago)
    name = f"{at:%Y%m%dT%H%M%SZ}-deploy-aaaa"
    return Delivery(name, "staging", "releases/arcade/1.tar.gz", sha, outcome, kind, touched, at, "ann")


def served(monkeypatch: pytest.MonkeyPatch, folder: Path, *there: Delivery) -> tuple[int, int | None]:
    """For how many minutes before noon the newest X has been there, and for how many it has not been any more."""
    (folder / "opsbook.toml").touch()
    monkeypatch.setattr(promotion, "_is_proof", lambda _, found: found.by != "forger")
    put = next(each for each in there if each.puts and each.good and each.sha256 == X)
    stay = promotion._stay(settings.load(folder, given=True), there, put)
    minutes = [None if at is None else round((NOON - at).total_seconds() / 60) for at in (stay.since, stay.until)]
    assert minutes[0] is not None
    return minutes[0], minutes[1]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([run(60, X)], (60, None)),
        # Put there again, the same: it has been there all the time.
        ([run(5, X), run(60, X)], (60, None)),
        ([run(5, X), run(30, Y), run(60, X)], (5, None)),
        ([run(5, X), run(30, X, "failed"), run(60, X)], (5, None)),
        # Something else was tried, and taken back: it begins anew.
        ([run(10, Y, "rolled-back"), run(60, X)], (10, None)),
        ([run(10, Y, "rolled-back", touched=False), run(60, X)], (60, None)),
        # Something else is there, or may be.
        ([run(10, Y), run(60, X)], (60, 10)),
        ([run(10, Y, "failed"), run(60, X)], (60, 10)),
        ([run(10, Y, "running"), run(60, X)], (60, 10)),
        ([run(10, Y, "failed", touched=False), run(60, X)], (60, None)),
        # Whoever only looks changes nothing.
        ([run(10, X, kind="check", touched=False), run(60, X)], (60, None)),
    ],
)
def test_how_long_a_release_has_been_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: Sequence[Delivery], expected: tuple[int, int | None]
) -> None:
    assert served(monkeypatch, tmp_path, *there) == expected


def test_a_record_that_proves_nothing_makes_no_stay_longer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forged = Delivery(**{**run(600, X).__dict__, "by": "forger"})
    assert served(monkeypatch, tmp_path, run(60, X), forged) == (60, None)


@pytest.mark.parametrize(
    ("there", "release", "unsure"),
    [
        ([run(10, Y), run(60, X)], Y, False),
        ([run(10, Y, "rolled-back"), run(60, X)], X, False),
        ([run(10, Y, "failed"), run(60, X)], X, True),
        ([run(10, Y, "failed", touched=False), run(60, X)], X, False),
        ([run(10, Y, "running")], None, True),
        ([run(10, Y, kind="check")], None, False),
        ([], None, False),
    ],
)
def test_what_is_there(there: Sequence[Delivery], release: str | None, unsure: bool) -> None:
    found = placed(there)
    assert (found.delivery.sha256 if found.delivery else None) == release
    assert (found.unsure is not None) == unsure
