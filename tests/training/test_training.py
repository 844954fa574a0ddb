"""What a drill was worth, and training records that were changed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from opsbook.core.model.drill import lacks
from opsbook.core.source import notebook
from opsbook.errors import InputError
from opsbook.training import trained
from tests.support.trained import GOOD


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, 100),
        ({"hints": 2}, 80),
        ({"wrong": ("a", "b")}, 70),
        ({"diagnosed": None}, 90),
        ({"diagnosed": 101.0}, 90),
        ({"mended": 240.0}, 80),
        ({"mended": 360.0}, 60),
        ({"mended": 500.0, "hints": 3, "wrong": ("a", "b", "c")}, 0),
        ({"mended": None}, 0),
    ],
)
def test_points(changes: dict[str, object], points: int) -> None:
    assert replace(GOOD, **changes).points == points  # type: ignore[arg-type]


def test_a_training_record_that_was_changed_is_none(tmp_path: Path) -> None:
    file = trained.write(tmp_path, GOOD)
    assert trained.read(file) == GOOD
    assert list(trained.every(tmp_path)) == [GOOD]
    text = file.read_text()
    wrong = ('"hints":-1', '"par":NaN', '"par":-1.0', '"mended":Infinity', '"mended":1e300', '"key":6')
    changes = [re.sub(rf'"{each.split(chr(34))[1]}":[^,}}]+', each, text) for each in wrong]
    assert text not in changes
    changes += [text.replace('"hints":0', '"hints": 0'), text[:-1], "{}", json.dumps({"kind": "training"})]
    for changed in changes:
        file.write_text(changed)
        with pytest.raises(InputError):
            trained.read(file)
    file.write_text(text)
    file.rename(file.with_name("20261120T181203Z-instance-down-aaaa.json"))
    assert list(trained.every(tmp_path)) == []


# -- what makes a page a drill

DRILL = """\
---
title: Down
kind: training
drill: {solved_by: [mend]}
---

# Down

## Parameters

```python tags=["parameters"]
from opsbook.params import Duration, Secret

par: Duration = "5m"  # Par time
```

## Validation

### The fault shows
```python
1
```

### It is mended
```python
2
```
"""


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("par:", "par:", ""),
        ("par: Duration", "limit: Duration", "no par time"),
        ('par: Duration = "5m"', "par: Duration", "no par time"),
        ('par: Duration = "5m"', "par: Duration | None = None", "no par time"),
        ("5m", "0s", "no par time"),
        ("5m", "20000d", "no par time"),
        ('par: Duration = "5m"  # Par time', "", "no par time"),
        ('Duration = "5m"', 'str = "soon"', "no par time"),
        ('Duration = "5m"', "int = 5", "no par time"),
        ('Duration = "5m"', "Secret", "no par time"),
        ("## Validation\n", "## Diagnosis\n", "does not show its fault"),
        ("\n### It is mended", "\n## Diagnosis\n\n### It is mended", "does not show its fault"),
    ],
)
def test_what_a_drill_lacks(before: str, after: str, says: str) -> None:
    page, _ = notebook.parse(DRILL.replace(before, after), "runbooks/down.md")
    assert page is not None
    assert says in lacks(page) if says else lacks(page) == ""
