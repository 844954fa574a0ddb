"""Every event of the journal is declared: who writes one, who reads one, and journals of earlier versions."""

import json
import re
import tarfile
from typing import Any

import pytest

import opsbook.core.model.events as declared
from opsbook.core.model.events import KINDS, CellFinished, RunResumed, StepStarted, told
from tests.support import ROOT

WORD = r'"([a-z]+(?:-[a-z]+)+)"'
READS = re.compile(rf"\.type (?:==|!=|in) |case {WORD}")


def test_what_is_read_is_declared() -> None:
    """A kind that nobody writes would never be met."""
    found = set()
    for path in (ROOT / "lib/opsbook").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found |= set(re.findall(WORD, line)) if READS.search(line) else set()
    assert len(found) > 15
    assert found - set(KINDS) == set()


def test_a_field_that_says_nothing_is_left_out() -> None:
    given: dict[str, Any] = {
        "step": "one",
        "title": "One",
        "section": "Steps",
        "role": "read",
        "manual": False,
        "expected": "",
    }
    assert StepStarted(**given).data() == given
    assert StepStarted(**given, replay=True).data() == given | {"replay": True}
    assert CellFinished(cell="one/1", status="failed", seconds=0.5, why="no", count=None).data() == {
        "cell": "one/1",
        "status": "failed",
        "seconds": 0.5,
        "why": "no",
        "count": None,
    }


def test_words_of_python_have_their_own_name() -> None:
    names = [name for name, *_ in told(RunResumed)]
    assert names[1:3] == ["for", "from"]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_means(name: str) -> None:
    kind = KINDS[name]
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__ + "(")
    assert all(meaning.endswith(".") for _, _, meaning, _ in told(kind))
    assert kind.__module__ == declared.__name__


def test_journals_of_earlier_versions_say_nothing_else() -> None:
    with tarfile.open(ROOT / "tests/data/records-format-1.tar.gz") as archive:
        journals = [archive.extractfile(each) for each in archive.getmembers() if each.name.endswith("journal.jsonl")]
        lines = [json.loads(line) for journal in journals if journal for line in journal]
    assert len(lines) > 40
    for line in lines:
        open_ = line["type"] in ("allowed", "request-taken")
        known = {name for name, *_ in told(KINDS[line["type"]])}
        assert open_ or set(line["data"]) <= known, line
