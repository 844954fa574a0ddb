"""Lines as a terminal shows them, however their text arrives."""

import pytest

from opsbook.core.model.lines import LineBuffer, overwritten

SHOWN = (
    ("\rprogress 0%\rprogress 55%\rprogress 100%\ndone\n", "progress 100%\ndone\n"),
    ("one\r\ntwo\r\n", "one\ntwo\n"),
    ("abcdef\rxy\n", "xycdef\n"),
    ("abcdef\r\x1b[Kxy\n", "xy\n"),
    ("abcdef\x1b[2K\rxy\n", "xy    \n"),
    ("|\b/\b-\b\bdone\n", "done\n"),
    ("\x1b[32m 5%\x1b[0m\r\x1b[32m10%\x1b[0m\n", "10%\n"),
    ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
    ("a\n\r\n\rb", "a\n\nb"),
)


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_what_was_overwritten_is_gone(text: str, shown: str) -> None:
    assert overwritten(text) == shown
    for size in (1, 2, 3, 7, 100):
        buffer = LineBuffer()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        lines = [line for piece in pieces for line in buffer.feed(piece)]
        assert "\n".join([*lines, *buffer.end()]).rstrip("\n") == shown.rstrip("\n"), size
        assert buffer.end() == []


def test_a_line_that_is_overwritten_for_ever_stays_short() -> None:
    buffer = LineBuffer()
    for number in range(10_000):
        assert buffer.feed(f"\rprogress {number}") == []
        assert len(buffer.rest) < 50
    assert buffer.current == "progress 9999"
