"""What is taken without pydantic is what pydantic would have made of it."""

import contextlib
import datetime
import math
from typing import Any

import pytest

from opsbook.core.model.front import Drill, FrontMatter
from opsbook.settings import Ansible, Retention, _Check, _Content
from opsbook.shapes import DOUBTS, Misfit, Shape
from tools.reference import keys

SHAPES: list[type[Shape]] = [FrontMatter, Drill, _Content, Ansible, Retention, _Check]
TEXTS = ("", "0", "1.5", "3m", "90d", "365d", " ", "x\0", "\ud800", "deploy", "Deploy", "automatic", "true")
DATES = ("2026-11-20", " 2026-11-20", "2026-13-20", "20261120", "2026-W47-5", "2026-11-20T00:00:00", "٢٠٢٦-11-20")
OTHERS = (None, True, False, -1, 0, 1, 2**70, 1.0, math.inf, b"x", datetime.date(2026, 1, 1), datetime.timedelta())
SINGLE = (*TEXTS, *DATES, *OTHERS)
NAMES = ("name", "means", "respond", "call")
TABLES: tuple[dict[Any, Any], ...] = (
    *({name: value} for name in ("hints", "reads", "keep", "keep_last", "name", 1) for value in SINGLE),
    *({"hints": [value], "reads": [value]} for value in SINGLE),
    *({"hints": [value]} for value in SINGLE),
    *({"reads": [value]} for value in SINGLE),
    *(dict.fromkeys(NAMES, value) for value in SINGLE),
    *(dict.fromkeys(NAMES[:-1], value) for value in SINGLE),
)
PARTS = (*SINGLE, {}, *TABLES)
VALUES = (
    *PARTS,
    [],
    (),
    *([part] for part in PARTS),
    *((part,) for part in PARTS),
    *([["x"], part] for part in SINGLE),
)


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_say_the_same(shape: type[Shape]) -> None:
    taken = 0
    for value in ({name: value} for name in shape.names() for value in VALUES):
        with contextlib.suppress(*DOUBTS):
            plain = shape.plain(value)
            assert (plain, repr(plain)) == (found := shape.thorough(value), repr(found)), value
            taken += 1
    assert taken > len(shape.names())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_key_can_be_read_without_pydantic(shape: type[Shape]) -> None:
    assert tuple(keys.TEXTS[shape.__name__]) == shape.names()
    for name, told in keys.TEXTS[shape.__name__].items():
        for example in told.get("examples", ()):
            written = str(example) if isinstance(example, datetime.date) else example
            assert shape.plain({name: written}) == shape.thorough({name: written})


@pytest.mark.parametrize("value", [*SINGLE, [], ["x"], {1: 2}])
def test_what_is_no_table_is_left_to_pydantic(value: object) -> None:
    for shape in SHAPES:
        with pytest.raises(DOUBTS):
            shape.plain(value)
        with pytest.raises(Misfit):
            shape.read(value)


def test_everything_that_is_wrong_is_said() -> None:
    with pytest.raises(Misfit) as error:
        _Content.read({"records": "", "recrods": "x", "check": {"reads": [1]}, "retention": {"keep_last": -1}})
    assert [(each["loc"], each["type"]) for each in error.value.problems] == [
        (("records",), "string_too_short"),
        (("retention", "keep_last"), "greater_than_equal"),
        (("check", "reads", 0), "string_type"),
        (("recrods",), "extra_forbidden"),
    ]
