"""The verdict over a canary: what the metrics say, what counts as worse, and what is no verdict."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcade_ops.verdict import (
    Limits,
    Reading,
    Side,
    Track,
    Verdict,
    follow,
    judge,
    judge_release,
    limits,
    quantile_ms,
    read,
    release_limits,
    together,
)

METRICS = """\
# TYPE arcade_messages_total counter
arcade_messages_total{action="Ping",outcome="ok"} 90.0
arcade_messages_total{action="Ping",outcome="refused"} 3.0
arcade_messages_total{action="Info",outcome="error"} 5.0
arcade_messages_total{action="Info",outcome="unavailable"} 2.0
# TYPE arcade_message_seconds histogram
arcade_message_seconds_bucket{action="Ping",le="0.01"} 80.0
arcade_message_seconds_bucket{action="Ping",le="+Inf"} 93.0
arcade_message_seconds_bucket{action="Info",le="0.01"} 1.0
arcade_message_seconds_bucket{action="Info",le="+Inf"} 7.0
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.5e+09
"""


def side(messages: int = 100, errors: int = 0, p95_ms: float | None = 10.0, restarts: int = 0, silent: int = 0) -> Side:
    return Side(messages, errors, p95_ms, restarts, silent)


def problems(canary: Side, stable: Side, *, over: bool = True, **more: float) -> tuple[str, ...]:
    return judge(canary, stable, limits({"minimum_messages": 50, **more}), over=over).problems


def test_what_the_metrics_say() -> None:
    assert read(METRICS) == Reading(1.5e9, messages=100, errors=7, buckets={0.01: 81, math.inf: 100})


@pytest.mark.parametrize("text", ["", "<html>", "up 1\n"])
def test_what_is_no_metrics_of_an_instance(text: str) -> None:
    with pytest.raises(ValueError, match=r"process_start_time_seconds|invalid metric"):
        read(text)


def test_only_what_happens_while_watched_counts() -> None:
    track = follow(Track(), Reading(1.0, 100, 50, {0.1: 90, math.inf: 100}))
    assert (track.messages, track.errors) == (0, 0)
    track = follow(track, Reading(1.0, 110, 51, {0.1: 98, math.inf: 110}))
    assert (track.messages, track.errors, track.buckets) == (10, 1, {0.1: 8, math.inf: 10})


def test_a_restart_is_counted_and_loses_no_count() -> None:
    track = follow(follow(Track(), Reading(1.0, 100)), Reading(1.0, 130))
    track = follow(track, Reading(2.0, 7, 2, {0.1: 5, math.inf: 7}))
    assert (track.restarts, track.messages, track.errors) == (1, 37, 2)
    assert track.buckets == {0.1: 5, math.inf: 7}


def test_an_instance_that_has_answered_nothing_since_its_restart_keeps_its_times() -> None:
    track = follow(follow(Track(), Reading(1.0)), Reading(1.0, 9, 0, {0.1: 9, math.inf: 9}))
    assert follow(track, Reading(2.0)).buckets == {0.1: 9, math.inf: 9}


def test_silence_counts_until_the_next_answer() -> None:
    track = follow(follow(follow(Track(), Reading(1.0)), None), None)
    assert track.silent == 2
    assert follow(track, Reading(1.0)).silent == 0


def test_one_side_together() -> None:
    tracks = [Track(None, 10, 1, {0.1: 10, math.inf: 10}, 1, 0), Track(None, 30, 0, {0.1: 30, math.inf: 30}, 0, 2)]
    assert together(tracks) == Side(40, 1, 95.0, 1, 2)
    assert together([]) == Side(0, 0, None, 0, 0)


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ({}, None),
        ({0.1: 0, math.inf: 0}, None),
        ({0.1: 100, 0.2: 100, math.inf: 100}, 95.0),
        ({0.1: 90, 0.2: 100, math.inf: 100}, 150.0),
        ({0.1: 0, 0.2: 10, math.inf: 100}, 200.0),
    ],
)
def test_the_95th_percentile(buckets: dict[float, int], expected: float | None) -> None:
    assert quantile_ms(buckets, 0.95) == expected


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.001, 0.01, 0.1, 1.0]), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_its_bucket(times: list[float], share: float) -> None:
    bounds = [0.001, 0.01, 0.1, 1.0]
    counted = {bound: sum(time <= bound for time in times) for bound in bounds}
    found = quantile_ms(counted, share)
    exact = sorted(times)[max(0, math.ceil(share * len(times) - 1e-9) - 1)]
    assert found is not None
    lower = max((bound for bound in bounds if bound < exact), default=0.0)
    assert lower * 1000 <= found <= exact * 1000 + 0.1


def test_a_canary_like_the_others_is_good() -> None:
    assert problems(side(errors=3), side(messages=900, errors=27)) == ()


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (side(errors=4), "4.0 % of its messages failed, allowed are 3.0 %"),
        (side(p95_ms=111.0), "its p95 is 111 ms, allowed are 110 ms"),
        (side(restarts=1), "it restarted 1 times, allowed are 0"),
        (side(silent=1), "it does not answer any more"),
        (side(messages=49), "too little traffic for a verdict: 49 messages of the 50 that are needed; watch longer"),
    ],
)
def test_a_canary_that_is_worse(canary: Side, expected: str) -> None:
    assert problems(canary, side(messages=900, errors=9)) == (expected,)


def test_slower_is_a_multiple_where_the_others_are_slow() -> None:
    assert problems(side(p95_ms=390.0), side(p95_ms=200.0)) == ()
    assert problems(side(p95_ms=410.0), side(p95_ms=200.0)) != ()


def test_nothing_at_all_is_not_good() -> None:
    nothing = side(messages=0, p95_ms=None)
    assert problems(nothing, nothing) != ()
    assert problems(nothing, nothing, minimum_messages=0) != ()
    assert problems(side(), nothing) != ()


def test_before_the_end_only_failures_count() -> None:
    assert problems(side(p95_ms=999.0), side(), over=False) == ()
    assert problems(side(messages=0), side(), over=False) == ()
    assert problems(side(silent=2), side(), over=False) == ()
    assert problems(side(silent=3), side(), over=False) != ()
    assert problems(side(errors=50), side(), over=False) != ()
    assert problems(side(messages=49, errors=49), side(), over=False) == ()
    assert problems(side(restarts=1), side(), over=False) != ()


def test_the_limits_are_numbers_with_known_names() -> None:
    assert limits({"more_errors": 0.5}) == Limits(more_errors=0.5)
    for wrong in ({"more_error": 1}, {"restarts": "2"}, {"restarts": True}, {"slack_ms": -1}, {"slack_ms": math.inf}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            limits(wrong)


def test_the_verdict_as_a_table_and_as_data() -> None:
    found = Verdict({"canary": side(), "stable": side(900, 9, None)}, ("it is bad", "very bad"))
    assert str(found) == (
        "          messages  errors    p95       restarts\n"
        "canary    100       0.0 %     10 ms     0\n"
        "others    900       1.0 %     –         0\n"
        "Verdict: it is bad; very bad"
    )
    assert found.to_json()["good"] is False
    assert found.to_json()["stable"] == {"messages": 900, "errors": 9, "p95_ms": None, "restarts": 0, "silent": 0}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"errors": 10}, ()),
        ({"errors": 11}, ("1.1 % of its messages failed, allowed are 1.0 %",)),
        ({"p95_ms": 500.0}, ()),
        ({"p95_ms": 501.0}, ("its p95 is 501 ms, allowed are 500 ms",)),
        ({"restarts": 1}, ("it restarted 1 times, allowed are 0",)),
        ({"silent": 1}, ("it does not answer any more",)),
        ({"messages": 9}, ("too little traffic for a verdict: 9 messages of the 50 that are needed; watch longer",)),
    ],
)
def test_what_everybody_has_is_held_to_fixed_limits(release: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = Side(**{"messages": 1000, "errors": 0, "p95_ms": 80.0, "restarts": 0, "silent": 0} | release)
    assert judge_release(found, release_limits({}), over=True).problems == expected


def test_errors_are_seen_before_the_end_and_slowness_at_the_end() -> None:
    failing = Side(messages=60, errors=6, p95_ms=900.0, restarts=0, silent=0)
    said = judge_release(failing, release_limits({"errors": 0.05}), over=False)
    assert said.problems == ("10.0 % of its messages failed, allowed are 5.0 %",)
    assert said.to_json()["release"]["messages"] == 60


def test_limits_of_a_release_are_numbers_with_known_names() -> None:
    for limit, said in (({"error": 1}, "error is no limit"), ({"p95_ms": "fast"}, "p95_ms must be a number")):
        with pytest.raises(ValueError, match=said):
            release_limits(limit)
