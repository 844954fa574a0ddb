"""Real signed records, damaged in every way that the design names; each damage has to be found, and where."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.record import journal, store
from opsbook.core.record.seal import Flaw
from opsbook.core.trust import signing
from tests.support.team import PLAIN, Team, ok

pytestmark = pytest.mark.slow

PLACES = 12
"""Bytes that are flipped in each file, and in each line of the journal."""


@pytest.fixture
def records(team: Team) -> list[Path]:
    """Three records as real runs leave them, signed; their folders."""
    text = "x" * 4000
    team.page(
        PLAIN.replace('"echo run >> .opsbook/counted"', f'"echo {text}; echo run >> .opsbook/counted"'),
        "count",
        "rollback: ask\n",
    )
    for _ in range(3):
        ok(team.by("ann").opsbook("run", "count", "-e", "dev"))
    return team.records()


def flaws(team: Team, folder: Path) -> tuple[Flaw, ...]:
    known = settings.load(team.root, given=True)
    record = store.find(known.records, folder.name)
    return next(iter(signing.verified(known, [record]))).flaws


def flipped(data: bytes) -> Iterator[tuple[int, bytes]]:
    for place in sorted({number * (len(data) - 1) // (PLACES - 1) for number in range(PLACES)}):
        yield place, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_every_damage_is_found_with_its_file_and_event(
    team: Team, records: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tried, found = Counter[str](), Counter[str]()

    def count(what: str, folder: Path, file: str, events: range | None = None) -> None:
        seen = flaws(team, folder)
        tried[what] += 1
        named = any(flaw.file == file for flaw in seen)
        at = events is None or any(flaw.file == file and flaw.event in events for flaw in seen)
        found[what] += named and at

    one, two, three = records
    for path in sorted(path for path in one.rglob("*") if path.is_file()):
        data, name = path.read_bytes(), str(path.relative_to(one))
        for _, damaged in flipped(data):
            path.write_bytes(damaged)
            count("a byte flipped in any file", one, name)
        path.write_bytes(data)
    book = one / journal.NAME
    lines = book.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        # A line is vouched for by the one behind it.
        where = range(number, number + 2)
        for place, damaged in flipped(line):
            if place < len(line) - 1:
                book.write_bytes(b"".join([*lines[: number - 1], damaged, *lines[number:]]))
                count("a byte flipped in a line of the journal", one, journal.NAME, where)
        book.write_bytes(b"".join([*lines[: number - 1], *lines[number:]]))
        count("a line removed", one, journal.NAME, range(number - 1, number + 1))
        book.write_bytes(b"".join(lines[:-number]))
        count("the last lines removed", one, journal.NAME, range(len(lines) - number + 1))
    book.write_bytes(b"".join(lines))
    assert flaws(team, one) == ()
    shutil.move(two, two.with_name("x"))
    shutil.move(three, two)
    shutil.move(two.with_name("x"), three)
    for folder in (two, three):
        count("two records swapped", folder, store.SEAL)
    with capsys.disabled():
        print("", *(f"{what}: {found[what]} of {tried[what]} found" for what in tried), sep="\n")
    assert found == tried
    assert sum(tried.values()) > 300


def test_a_removed_record_is_found_by_the_anchor(team: Team, records: list[Path], tmp_path: Path) -> None:
    team.write("opsbook.toml", f'records = "records"\nanchor = "{tmp_path / "anchor.jsonl"}"\n')
    ok(team.opsbook("records", "anchor"))
    shutil.rmtree(records[1])
    done = team.opsbook("records", "verify", "--all")
    assert done.code == 1
    assert records[1].name in done.out
