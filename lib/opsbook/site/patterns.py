"""Translate a Pattern to a JavaScript regular expression for the page's form, if there is an equivalent.

Only constructs with a known equivalent are translated. The command line checks every value anyway.
"""

import re
from collections.abc import Callable, Iterator

_WORD = r"[\p{L}\p{N}_]"
_CLASSES = {
    "w": _WORD,
    "d": r"\p{Nd}",
    "s": r"[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
}
_PLACES = {
    "^": "^",
    "$": r"(?=\n?$)",
    r"\A": "^",
    r"\Z": "$",
    r"\b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    ".": r"[^\n]",
}
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}

_LETTER = r"\\[0-3][0-7]{2}|\\0[0-7]?|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[nrtfv]|\\[^0-9A-Za-z]"
_MEMBER = re.compile(rf"(\\[wdsWDS])|({_LETTER}|[^\\\]\[])(?:-({_LETTER}|[^\\\]\[]))?")
_TOKEN = re.compile(
    rf"""(?P<place>\\[AZb]|[\^$.])
    | (?P<kind>\\[wdsWDS])
    | (?P<opens>\((?:\?(?:[:=!]|<[=!]|P<\w+>)|(?!\?)))
    | (?P<plain>[)|])
    | (?P<often>(?:[*+?]|\{{[0-9]*(?:,[0-9]*)?\}})\??(?![*+?]))
    | \[(?P<set>\^?(?:\]|{_LETTER}|\\[wdsWDS]|[^\\\]\[])(?:{_LETTER}|\\[wdsWDS]|[^\\\]\[])*)\]
    | (?P<letter>{_LETTER}|[^\\()|*+?\[{{])""",
    re.VERBOSE | re.DOTALL,
)


def in_browser(pattern: str) -> str | None:
    """The expression for `RegExp(…, "u")`, which has to match the whole text; None if there is no equivalent."""
    try:
        re.compile(pattern)
        return "".join(_parts(pattern))
    except (re.error, RecursionError, OverflowError, _Unknown):
        return None


class _Unknown(Exception):
    """A construct without a known equivalent."""


def _parts(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            raise _Unknown(pattern[at:])
        at = found.end()
        yield _WRITE[str(found.lastgroup)](str(found[str(found.lastgroup)]))


def _kind(written: str) -> str:
    found = _CLASSES[written[1].lower()]
    return found if written[1].islower() else f"(?!{found})[^]"


def _often(written: str) -> str:
    if written in ("{}", "{,}", "{}?", "{,}?"):
        raise _Unknown(written)
    return written.replace("{,", "{0,")


def _set(written: str) -> str:
    """A character class as alternatives, since a JavaScript class cannot contain a negated one."""
    inner = written.removeprefix("^")
    # A leading ] and a hyphen at either end are literal.
    members = [_letter(inner[0])] if inner[0] == "]" else []
    at = len(members)
    while at < len(inner):
        found = _MEMBER.match(inner, at)
        if found is None:
            raise _Unknown(written)
        if found[1]:
            members.append(_kind(found[1]))
        else:
            members.append(f"[{_letter(found[2])}-{_letter(found[3])}]" if found[3] else _letter(found[2]))
        at = found.end()
    choice = f"(?:{'|'.join(members)})"
    return f"(?!{choice})[^]" if written.startswith("^") else choice


def _letter(written: str) -> str:
    """One character, which may be escaped."""
    sign = written
    if written[0] == "\\":
        if written[1].isdigit():
            sign = chr(int(written[1:], 8))
        else:
            sign = chr(int(written[2:], 16)) if written[1] in "xu" else _CONTROL.get(written[1], written[1])
    return sign if sign.isascii() and sign.isalnum() else f"\\u{{{ord(sign):x}}}"


_WRITE: dict[str, Callable[[str], str]] = {
    "place": _PLACES.__getitem__,
    "kind": _kind,
    "opens": lambda written: "(?:" if written == "(" or written.startswith("(?P<") else written,
    "plain": str,
    "often": _often,
    "set": _set,
    "letter": _letter,
}
