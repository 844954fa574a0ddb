"""Names made of titles, and text of other people on one line."""

import pytest

from opsbook.core.model.text import flat, nearest, quoted, slug


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Unpack the release", "unpack-the-release"),
        ("1. Stop_it: C++ / now!", "1-stop-it-c-now"),
        ("Café, Überprüfung, Straße", "cafe-uberprufung-straße"),
        ("e\u0301tape", "etape"),
        ("停止する", "停止する"),
        ("が が", "が-が"),
        ("Перезапуск Ё", "перезапуск-ё"),
        ("إعادة التشغيل", "إعادة-التشغيل"),
        ("हिन्दी में", "हिन्दी-में"),
        ("한국어", "한국어"),
        ("🚀 Deploy", "deploy"),
        ("🚀", "rocket"),
        ("!!!", "x"),
        ("\x1b]0;evil\x07", "0-evil"),
        ("a\u202eb\u200bc\u2028d", "a-b-c-d"),
    ],
)
def test_a_name_of_a_title(title: str, name: str) -> None:
    assert slug(title) == name


def test_a_long_list_of_names_is_not_said() -> None:
    assert nearest("zzz", [f"page-{number}" for number in range(400)]).startswith("There are 400, such as page-")
    assert nearest("pgae", ["page", "other"]) == "Did you mean page?"
    assert nearest("zzz", ["one", "two"]) == "There is: one, two."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1.9.0-f8a9", "1.9.0-f8a9"),
        ("web-1,web-2", "web-1,web-2"),
        ("日本 語", "日本 語"),
        (5, "5"),
        ("", '""'),
        ("1.0, an OLDER one", '"1.0, an OLDER one"'),
        ("x\n  checked: found nothing", r'"x\n \u0020checked: found nothing"'),
        ('a" -> "b', r'"a\" -> \"b"'),
        ("a\\nb", r'"a\\nb"'),
        ("\x1b[2K\r\x85", r'"\u001b[2K\r\u0085"'),
    ],
)
def test_a_value_for_a_decision(value: object, shown: str) -> None:
    assert quoted(value) == shown


@pytest.mark.parametrize(
    "sign",
    [
        *"\n\r\t\v\f\x1c\x85\u2028\u2029\xa0\u3000\u200a\xad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200f\u202a\u202e",
        *"\u2060\u2066\u2069\u206a\u2800\u3164\ufe0f\ufe00\ufeff\uffa0\ufff9\U000e0001\U000e0041\U000e0100",
    ],
)
def test_what_cannot_be_seen_is_escaped(sign: str) -> None:
    assert flat(f"prod{sign}uction").isascii()
    assert quoted(f"prod{sign}uction").startswith('"prod\\')


def test_emoji_stay_as_they_are() -> None:
    assert flat("⚠️ Café 🚀") == "⚠️ Café 🚀"
