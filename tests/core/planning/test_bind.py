"""Binding: every problem at once, nothing guessed."""

import pytest

from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.parameter import Parameter
from opsbook.core.planning.bind import bind, pairs
from opsbook.errors import InputError

DEV = Environment("dev", Policy(), "inv", ("h",), {}, {"Release": ("1.0.0", "1.10")})
PARAMETERS = (
    Parameter("version", "str", 1, choice_of="Release"),
    Parameter("percent", "int", 2, low=1, high=50, required=False, default=10),
    Parameter("token", "secret", 3),
)


def test_values_defaults_and_references() -> None:
    bound = bind(PARAMETERS, {"version": ["1.10"], "token": ["env:T"]}, DEV).complete("page")
    assert bound.values == {"version": "1.10", "percent": 10}
    assert bound.secrets == {"token": "env:T"}


def test_all_problems_at_once() -> None:
    with pytest.raises(InputError) as caught:
        bind(PARAMETERS, {"versoin": "1", "percent": "99", "token": "hunter22"}, DEV).complete("page")
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "no parameter versoin. Did you mean version?" in text
    assert "99 is not between 1 and 50" in text
    assert "never the value itself" in text and "hunter22" not in text
    assert "version is missing" in text


def test_a_choice_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no release '1\.0\.1' in dev\. Did you mean 1\.0\.0"):
        bind(PARAMETERS[:1], {"version": "1.0.1"}, DEV).complete("page")


def test_a_default_outside_the_choices_is_refused() -> None:
    parameter = Parameter("version", "str", 1, choice_of="Release", required=False, default="0.9")
    with pytest.raises(InputError, match=r"no release '0\.9'"):
        bind([parameter], {}, DEV).complete("page")


def test_pairs() -> None:
    assert pairs(["a=1", "a=2", "b=x=y"]) == {"a": ["1", "2"], "b": ["x=y"]}
    with pytest.raises(InputError) as caught:
        pairs(["a", "=b", "c=1"])
    assert len(caught.value.problems) == 2
