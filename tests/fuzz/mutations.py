"""How texts and files are damaged, and how often that is tried.

A hundred examples of each, the same each time, unless FUZZ_EXAMPLES says how many: then by chance, and what was found
once is tried first.
"""

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from opsbook.errors import InputError

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

ODD = ("\0", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\ufeff", "\u200b", "\x1b[31m", "ü", "😀", "\U000f0000", "١")
"""Characters that end lines, terminals or tables for some programs and not for others."""

ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from((*ODD, "a", " ", "\n", "'", '"')), max_size=8).map("".join)


def joined(words: Sequence[str], most: int = 30) -> st.SearchStrategy[str]:
    """Text made of these words, and of odd characters."""
    return st.lists(st.sampled_from((*words, *words, *ODD)), max_size=most).map("".join)


@st.composite
def edited(draw: st.DrawFn, texts: Sequence[str], words: Sequence[str]) -> str:
    """One of the texts after up to six edits: pieces cut out, doubled, moved, replaced or put in."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from((0, 0, 1, 2, 5, 40))))
        lines = text.split("\n")
        line = draw(st.integers(0, len(lines) - 1))
        word = draw(st.sampled_from((*words, *ODD)) | st.text(max_size=3))
        text = draw(
            st.sampled_from(
                (
                    text[:start] + text[end:],
                    text[:start] + word + text[end:],
                    text[:end] + text[start:],
                    "\n".join([*lines[:line], word, *lines[line:]]),
                    "\n".join([*lines[:line], word, *lines[line + 1 :]]),
                    "\n".join([*lines[:line], *lines[line + 1 :], lines[line]]),
                    "\n".join([*lines[: line + 1], *lines[line:]]),
                )
            )
        )
    return text


def is_sentence(text: str) -> bool:
    """Whether somebody who reads this learns anything."""
    return any(sign.isalpha() for sign in text)


def assert_clear(error: InputError) -> None:
    """A refusal says in at least one sentence what is wrong."""
    assert error.problems
    assert all(map(is_sentence, error.problems)), error.problems
