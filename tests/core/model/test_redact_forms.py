"""A secret in every form that tools print is replaced: whole, in pieces, in files; ordinary text is left alone."""

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from opsbook.core.model.redact import Redactor
from tests.support import forms

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDZ6+xO/4q\nab12=\n-----END KEY-----"
SECRETS = [
    'p4ss/wörd+"quo\'te"&<tag> x',
    "ghp_a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuV",
    "a'b\"c\\d$e",
    "ab%41c&amp;d\\ne'f",
    "first line of it\nsecond: 'quoted'\nend1",
    KEY,
]
DOCS = Path(__file__).parents[3] / "docs"


def knowing(*secrets: str) -> Redactor:
    made = Redactor()
    for number, secret in enumerate(secrets):
        made.add(f"s{number}", secret)
    return made


def kept_out(redactor: Redactor, printed: str, other: str, cuts: Sequence[int]) -> None:
    """What was printed reveals nothing of the secret, as a text and as a stream that is cut there."""
    text = f"x={printed}\n"
    stream, edges = redactor.stream(), [0, *sorted({cut % len(text) for cut in cuts}), len(text)]
    streamed = "".join(stream.feed(text[start:stop]) for start, stop in pairwise(edges))
    for written in (redactor.text(text), streamed + stream.flush()):
        assert "⟦secret:s0⟧" in written
        assert not forms.leaked(printed, other, written), written
    assert redactor.holds(text)


@pytest.mark.parametrize("name", forms.FORMS)
def test_forms(name: str) -> None:
    form, chosen = forms.FORMS[name], random.Random(name)
    for secret in SECRETS:
        kept_out(knowing(secret), form(secret), form(forms.turned(secret)), chosen.sample(range(3000), 2))


@pytest.mark.parametrize("name", forms.TOOLS)
def test_tools(name: str) -> None:
    command, chosen = forms.TOOLS[name], random.Random(name)
    for secret in (SECRETS[1], KEY):
        printed, other = forms.printed(command, secret), forms.printed(command, forms.turned(secret))
        kept_out(knowing(secret), printed, other, chosen.sample(range(3000), 2))


_SIGNS = st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 '\"\\$&<>%+/=#;:!?-_.\näß€😀")


@example("000000ß$", "JSON of HTML", [])
@example("00\n\n00000000", "HTML, hex", [19])
@settings(deadline=None)
@example("0000000000000000000000000000 ", "base64, coloured", [])
@given(st.text(_SIGNS, min_size=8, max_size=60), st.sampled_from(sorted(forms.FORMS)), st.lists(st.integers(0, 2000)))
def test_any_secret_in_any_form_in_any_pieces(secret: str, name: str, cuts: list[int]) -> None:
    assume(len(re.sub(r"[\s'\"\\]", "", secret)) >= 6)
    form = forms.FORMS[name]
    kept_out(knowing(secret), form(secret), form(forms.turned(secret)), cuts)


def test_ordinary_text_is_left_alone() -> None:
    chosen = random.Random(4711)
    letters, signs = "etaoinshrdlucmfwyp", "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_+/="
    short = ["".join(chosen.choices(letters, k=chosen.randint(6, 9))) for _ in range(20)]
    long = ["".join(chosen.choices(signs, k=chosen.randint(6, 60))) for _ in range(20)]
    redactor = knowing(*short, *long, "correct horse battery", KEY.replace("KEY", "UNUSUAL KEY"))
    for page in sorted(DOCS.rglob("*.md")):
        assert not redactor.spans(page.read_text()), page
    near = "the rap\tist\ncorrect answers; a horse, a battery\ncor rect horse%20bat tery 3 apples, 13 pears\n"
    assert knowing("therapist", "correcthorse battery").text(near) == near


def test_lines_in_a_list() -> None:
    redactor, secret = knowing(SECRETS[0]), SECRETS[0]
    lines = [*forms.FORMS["base64, 64"](secret * 2).split("\r\n"), "end"]
    short = [secret.encode().hex()[:40], secret.encode().hex()[40:], "end"]
    for given_lines in (lines, short):
        written = redactor.value({"stdout_lines": given_lines})["stdout_lines"]
        assert len(written) == len(given_lines)
        assert written[-1] == "end"
        assert all(line.startswith("⟦secret:s0⟧") for line in written[:-1])
        assert not redactor.exact(given_lines)


def test_only_the_value_itself_can_be_put_back() -> None:
    for secret in (*SECRETS, " 'quoted at its ends' \n"):
        redactor = knowing(secret)
        assert redactor.exact({"a": [f"before {secret} after", 3]})
        assert redactor.text(f"before {secret} after") == "before ⟦secret:s0⟧ after"
        for name in ("base64", "hex, colons", "HTML, hex", "wrapped after 13"):
            if (printed := forms.FORMS[name](secret)) != secret:
                assert not redactor.exact([printed])


def test_a_stream_holds_back_no_more_than_its_limit() -> None:
    redactor = knowing(SECRETS[1])
    stream, given_signs, written = redactor.stream(), 0, 0
    for piece in (SECRETS[1][:20], *["'\n" * 500] * 40):
        given_signs += len(piece)
        written += len(stream.feed(piece))
        assert given_signs - written <= redactor.longest + len(piece)
    assert redactor.stream().feed("Waiting for the lock\n") == "Waiting for the lock\n"
