"""Known secrets never get through, in any form, in any pieces."""

import base64
import html
import json
import shlex
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbook.core.model.redact import Redactor

SECRET = 'p4ss/wörd+"quo\'te"&<tag> x'


def redactor(*values: str) -> Redactor:
    made = Redactor()
    for number, value in enumerate(values or (SECRET,)):
        made.add(f"s{number}", value)
    return made


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps({"a": SECRET})),
        repr(SECRET),
        repr(SECRET.encode()),
        urllib.parse.quote(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        html.escape(SECRET),
        html.escape(SECRET, quote=False),
        shlex.quote(SECRET),
    ],
)
def test_forms(form: str) -> None:
    out = redactor().text(f"before {form} after")
    assert "p4ss" not in out
    assert "⟦secret:s0⟧" in out
    assert out.startswith("before ")


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_at_every_offset(before: str, encode: Callable[[bytes], bytes]) -> None:
    text = encode(f"{before}{SECRET}tail".encode()).decode()
    out = redactor().text(text)
    assert "⟦secret:s0⟧" in out
    longest = max(out.split("⟦secret:s0⟧"), key=len)
    assert len(longest) < 12


def test_each_line_of_a_key() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nab12\n-----END KEY-----\n"
    out = redactor(key).text("see MIIEvQIBADANBgkqhkiG here")
    assert "MIIE" not in out


def test_nested_values_and_keys() -> None:
    out = redactor().value({"a": [SECRET, {SECRET: 3}], "n": 5})
    assert SECRET not in json.dumps(out, ensure_ascii=False)
    assert out["n"] == 5


def test_short_secrets_are_refused_unless_weak() -> None:
    with pytest.raises(ValueError, match="fewer than 6"):
        Redactor().add("pin", "1234")
    weak = Redactor()
    weak.add("pin", "1234", weak=True)
    assert "1234" not in weak.text("pin 1234")


def test_longer_of_two_wins() -> None:
    stream = redactor("secret", "secret-and-more").stream()
    out = stream.feed("x secret") + stream.feed("-and-more y") + stream.flush()
    assert out == "x ⟦secret:s1⟧ y"


def test_short_last_line_of_a_key_in_pieces() -> None:
    stream = redactor("first-line-long\nend1").stream()
    out = stream.feed("first-line-long") + stream.feed("\nend1") + stream.flush()
    assert "end1" not in out


@settings(deadline=None)
@given(
    st.text(alphabet="ab s3cret-x", max_size=30),
    st.text(alphabet="ab s3cret-x", max_size=30),
    st.lists(st.integers(0, 100), max_size=6),
)
def test_split_anywhere(before: str, after: str, cuts: list[int]) -> None:
    secret = "s3cret-value"
    text = before + secret + after
    stream = redactor(secret).stream()
    out, last = "", 0
    for cut in sorted(cut for cut in cuts if cut < len(text)):
        out += stream.feed(text[last:cut])
        last = cut
    out += stream.feed(text[last:]) + stream.flush()
    assert secret not in out
    assert out == redactor(secret).text(text)
