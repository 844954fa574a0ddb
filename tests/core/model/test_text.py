"""Names made of titles."""

import pytest

from opsbook.core.model.text import nearest, slug


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
