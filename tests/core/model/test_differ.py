"""A difference that is shown contains the difference; what an author leaves out of a comparison is none."""

import json
from typing import Any

import pytest

from opsbook.core.effects import foresight
from opsbook.core.engine.recheck import Recheck
from opsbook.core.model import differ
from opsbook.core.model.differ import Change, ansible_diff, around, changes_of, lines_of, narrowed, normal, shown, told
from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.past import KnownEffect, Past
from opsbook.core.model.recording import Take, Tape
from opsbook.core.model.redact import Redactor
from opsbook.core.record.side import Did
from opsbook.records import compare

LONG = "word " * 1000


@pytest.mark.parametrize("place", [0, 1, 19, 20, 59, 60, 61, 2500, 4990, 4999])
def test_a_window_is_never_before_the_difference(place: int) -> None:
    before, after = LONG[:place] + "A" + LONG[place:], LONG[:place] + "B" + LONG[place:]
    then, now = around(before, after, 60)
    assert "A" in then and "B" in now and len(then) <= 62
    assert around(before[: place + 1], before[:place], 60)[0].endswith("A")


def test_text_is_shown_by_its_line() -> None:
    lines = [f"row {number} at 2026-11-20 10:00:{number % 60:02}" for number in range(200)]
    before = "\n".join([*lines, "the last line"])
    after = "\n".join([line.replace("10:00", "11:30") for line in lines] + ["the last lime"])
    where, then, now = shown(Change("text", before, after), normal)
    # Times on the lines above are no difference.
    assert where == 'line 201 after "row 199 at ⟨time⟩"'
    assert (then, now) == ("the last line", "the last lime")
    where, then, now = shown(Change("text", "a\nb", "a\nb\nc"), normal)
    assert (where, then, now) == ('line 3 after "b"', "(no more lines)", "c")


@pytest.mark.parametrize(
    ("before", "after", "then", "now"),
    [
        ("a", "b", "a", "b"),
        (1, "1", "1", "'1'"),
        ("a b", "a  b", "'a b'", "'a  b'"),
        (["x"] * 50 + ["end"], ["x"] * 50 + ["end", "more"], "end']", "end', 'more']"),
        ({"time": "10:00:00", "seconds": 3, "state": "up"}, {"time": "10:00:01", "state": "down"}, "'up'", "'down'"),
    ],
)
def test_other_values_are_shown_where_they_differ(before: Any, after: Any, then: str, now: str) -> None:
    _, first, second = shown(Change("x", before, after), normal)
    assert then in first and now in second and first != second


def test_a_diff_shows_long_lines_where_they_differ() -> None:
    before, after = f"head\n{LONG}A\nfoot", f"head\n{LONG}B\nfoot"
    lines = narrowed(lines_of(before, after), 80)
    assert [line[0] + line[-1] for line in lines if line[0] in "+-"] == ["-A", "+B"]
    assert max(map(len, lines)) < 90


def test_what_a_check_would_change_is_shown_where_it_changes() -> None:
    lines = foresight._shortened(ansible_diff({"before": f"{LONG}A\n", "after": f"{LONG}B\n"}))
    assert [line[0] + line[-1] for line in lines] == ["-A", "+B"] and max(map(len, lines)) <= 160


def test_messages_about_requests_show_what_differs() -> None:
    then, now = {"data": LONG + "A"}, {"data": LONG + "B"}
    (line,) = told(changes_of(then, now))
    assert "A' -> …" in line and line.endswith("B'") and len(line) < 450
    (short,) = told(changes_of({"argv": ["-f"]}, {"argv": ["-rf"]}))
    assert short == "argv.0: '-f' -> '-rf'"
    take = Take("s/1/http/1", "http", "GET /", False, "s", then, Status.SUCCEEDED, "", 0.0)
    _, why = Tape([take], strict=True).play(Effect("http", "s/1/http/1", "GET /", False, request=now))
    assert "A' -> …" in why and why.endswith("B'")


def look(before: Any, after: Any, *names: str) -> list[str]:
    """What a look finds different in an answer."""
    past = Past()
    effect = Effect("http", "s/1/http/1", "GET /version", False, ignore=names)
    past.effects[effect.key] = KnownEffect(effect, effect.digest, "s/1", False, 1, Status.SUCCEEDED, before)
    found = Recheck(past, Redactor())
    found.saw(effect, Status.SUCCEEDED, after, "")
    return found.differences


def answer(**body: Any) -> dict[str, Any]:
    return {"status": 200, "text": json.dumps(body), "seconds": 0.1, "headers": {"date": "now"}}


def test_a_look_names_the_path_of_what_differs() -> None:
    before = answer(rows=["x" * 5000], build={"host": "web-1", "version": "1.0"})
    after = answer(rows=["x" * 5000], build={"host": "web-2", "version": "1.1"})
    assert look(before, after) == [
        "GET /version: text.build.host: web-1 -> web-2",
        "GET /version: text.build.version: 1.0 -> 1.1",
    ]
    assert look(before, after, "host") == ["GET /version: text.build.version: 1.0 -> 1.1"]
    assert look(before, after, "build.host", "version") == []
    assert len(look(before, after, "rows.host")) == 2
    assert look(before, after, "text") == []


def test_a_look_leaves_out_lines_of_other_text() -> None:
    before, after = ({"stdout": f"up 1\nserved {number}\n{LONG}{end}\n"} for number, end in ((7, "A"), (9, "B")))
    first = look(before, after)
    assert first == ['GET /version: stdout, line 2 after "up 1": served 7 -> served 9']
    (line,) = look(before, after, "served")
    assert "line 3" in line and line.endswith("B") and "A -> …" in line
    assert look(before, after, "served", "word") == []


def test_many_differences_are_counted() -> None:
    before, after = answer(rows=list(range(50))), answer(rows=[number + 1 for number in range(50)])
    found = look(before, after)
    assert len(found) == 21 and found[-1] == "GET /version: 30 more differences"


def test_what_is_left_out_is_no_part_of_the_request() -> None:
    plain = Effect("http", "k", "GET /", False, request={"url": "/"})
    named = Effect("http", "k", "GET /", False, request={"url": "/"}, ignore=("instance",))
    assert plain.digest == named.digest


def test_records_are_compared_without_it() -> None:
    one, other = (Did("k", "s", "GET /", {}, "succeeded", answer(instance=name)) for name in "ab")
    assert [change.what for change in compare._effect(one, other)[0]] == ["result.text"]
    ignoring = Did("k", "s", "GET /", {}, "succeeded", answer(instance="b"), ("instance",))
    assert compare._effect(one, ignoring) == ([], {})


def test_nothing_that_looks_like_json_is_lost() -> None:
    assert differ.opened({"text": "{not json", "list": ["[1]"]}) == {"text": "{not json", "list": [[1]]}
    assert differ.without({"a": [1, 2]}, ["0"]) == {"a": [2]}
    assert differ.without({"a": "b\n"}, []) == {"a": "b\n"}
