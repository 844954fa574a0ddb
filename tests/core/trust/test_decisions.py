"""Decisions on a plan are read in the order in which they were signed."""

import itertools
from pathlib import Path
from typing import Literal

import pytest

from opsbook.core.model.approval import Approval
from opsbook.core.trust import requests

DECISIONS: tuple[Literal["approve", "reject"], ...] = ("approve", "reject")


def keep(folder: Path, decision: Literal["approve", "reject"], signed: str) -> None:
    approval = Approval(
        id=requests.new_id(),
        plan="p" * 64,
        runbook="page",
        environment="prod",
        decision=decision,
        note="",
        by="bob",
        signed=signed,
        expires="2026-12-01T00:00:00+00:00",
    )
    requests.keep(folder, approval, "signature")


@pytest.mark.parametrize(("first", "second"), list(itertools.product(DECISIONS, DECISIONS)))
def test_of_two_in_a_second_the_later_one_is_the_last(
    tmp_path: Path, first: Literal["approve", "reject"], second: Literal["approve", "reject"]
) -> None:
    """Whatever their ids, and also after one of an earlier version, which had seconds."""
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        keep(folder, second, "2026-11-29T23:57:57.000200+00:00")
        keep(folder, first, f"2026-11-29T23:57:57{'' if number % 2 else '.000100'}+00:00")
        assert [each.decision for each, _ in requests.approvals(folder)] == [first, second]


def test_of_two_in_one_moment_the_rejection_is_the_last(tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        for decision in DECISIONS[:: 1 if number % 2 else -1]:
            keep(folder, decision, "2026-11-29T23:57:57+00:00")
        assert [each.decision for each, _ in requests.approvals(folder)] == ["approve", "reject"]
