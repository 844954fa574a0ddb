"""Every event of the journal is declared: who writes one, who reads one, and journals of earlier versions."""

import json
import re
import tarfile
from typing import Any

import pytest

import opsbook.core.model.events as declared
from opsbook.core.model.event import Event
from opsbook.core.model.events import KINDS, CellFinished, RunResumed, StepFinished, StepStarted, read
from opsbook.errors import InputError
from opsbook.incidents import facts
from tests.support import ROOT
from tools.reference.journal import told


def test_readers_take_events_by_their_type() -> None:
    """A word that is mistyped would never be met; a class that is mistyped does not load."""
    words = {*KINDS} - {"output", "allowed", "locked", "detached", "differences"}
    found = []
    for path in (ROOT / "lib/opsbook").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found += [f"{path.name}: {line}" for word in re.findall(r'"([a-z-]+)"', line) if word in words]
    declared_there = [line for line in found if line.startswith(("events.py", "facts.py", "journal.py"))]
    assert found == declared_there


def test_an_event_is_read_as_it_was_written() -> None:
    given = RunResumed(
        operator="ann@host",
        goal="resume",
        start="two",
        by_hand=False,
        cut=0,
        outcome="lost",
        seal=None,
        anew=("two",),
        pid=7,
    )
    assert read(Event(1, "", given.type, json.loads(json.dumps(given.data())))) == given


@pytest.mark.parametrize(
    ("data", "what"), [({"step": "one"}, "status is missing"), ({"step": "one", "status": 3}, "status is of another")]
)
def test_an_event_that_says_it_badly_is_refused_or_read_as_far_as_it_goes(data: dict[str, Any], what: str) -> None:
    event = Event(9, "", "step-finished", data)
    with pytest.raises(InputError, match=what):
        read(event)
    found = read(event, lenient=True)
    assert isinstance(found, StepFinished)
    assert (found.step, found.status, found.seconds) == ("one", "", 0.0)


def test_a_kind_of_a_later_version_is_passed_over() -> None:
    assert read(Event(1, "", "sung", {"song": "la"})) is None


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
    assert kind.__module__ in (declared.__name__, facts.__name__)


def test_journals_of_earlier_versions_say_nothing_else() -> None:
    with tarfile.open(ROOT / "tests/data/records-format-1.tar.gz") as archive:
        journals = [archive.extractfile(each) for each in archive.getmembers() if each.name.endswith("journal.jsonl")]
        lines = [json.loads(line) for journal in journals if journal for line in journal]
    assert len(lines) > 40
    for line in lines:
        open_ = line["type"] in ("allowed", "request-taken")
        known = {name for name, *_ in told(KINDS[line["type"]])}
        assert open_ or set(line["data"]) <= known, line
        assert read(Event(line["seq"], line["time"], line["type"], line["data"])) is not None
