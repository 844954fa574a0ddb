"""What machines read: JSON, GitHub's workflow commands, SARIF."""

import json
import os

import jsonschema
import pytest

from opsbook.core.source.problem import Problem
from opsbook.lint.commands import formats
from opsbook.lint.documented import rules
from tests.support.project import Project

ODD = Problem("runbooks/a,b: 50%.md", 3, 7, "C001", "50% of\r\n,: it::is", warning=True)


def test_github_reads_no_character_as_its_own() -> None:
    place = "file=runbooks/a%2Cb%3A 50%25.md,line=3,col=7,title=C001 not-python"
    assert formats.as_github([ODD], "") == f"::warning {place}::50%25 of%0D%0A,: it::is"
    assert formats.as_github([ODD], "ops/book").startswith("::warning file=ops/book/runbooks/a%2Cb")
    assert formats.as_github([], "") == ""


SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/definitions/run"}},
    },
    "definitions": {
        "run": {
            "required": ["tool", "results"],
            "properties": {
                "tool": {"required": ["driver"], "properties": {"driver": {"$ref": "#/definitions/component"}}},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/definitions/result"}},
            },
        },
        "component": {
            "required": ["name"],
            "properties": {
                "semanticVersion": {"type": "string"},
                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/definitions/descriptor"}},
            },
        },
        "descriptor": {
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "shortDescription": {"$ref": "#/definitions/text"},
                "fullDescription": {"$ref": "#/definitions/text"},
                "help": {"$ref": "#/definitions/text"},
                "defaultConfiguration": {"properties": {"level": {"$ref": "#/definitions/level"}}},
            },
        },
        "text": {
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}},
        },
        "level": {"enum": ["none", "note", "warning", "error"]},
        "result": {
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"$ref": "#/definitions/level"},
                "message": {"$ref": "#/definitions/text"},
                "locations": {"type": "array", "items": {"$ref": "#/definitions/location"}},
            },
        },
        "location": {
            "required": ["physicalLocation"],
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation", "region"],
                    "properties": {
                        "artifactLocation": {"required": ["uri"], "properties": {"uri": {"format": "uri-reference"}}},
                        "region": {
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            }
                        },
                    },
                }
            },
        },
    },
}
"""What the schema of SARIF 2.1.0 asks of the parts that are used here."""


def test_sarif_has_what_its_schema_asks_for() -> None:
    log = json.loads(formats.as_sarif([ODD, Problem("runbooks/x.md", 1, 1, "D001", "open")], "sub dir"))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    first, second = run["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "sub%20dir/runbooks/a%2Cb%3A%2050%25.md", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 3, "startColumn": 7}
    assert (first["level"], second["level"]) == ("warning", "error")
    assert [run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] for r in (first, second)] == ["C001", "D001"]
    assert len(run["tool"]["driver"]["rules"]) == len(rules())


def test_a_file_name_that_is_no_text() -> None:
    name = os.fsdecode(b"runbooks/\xff.md")
    log = json.loads(formats.as_sarif([Problem(name, 1, 1, "D007", "x")], ""))
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "runbooks/%FF.md"


@pytest.mark.parametrize("form", ["json", "github", "sarif", "text"])
def test_the_exit_code_is_the_same_in_every_form(project: Project, form: str) -> None:
    project.page("## Steps\n\n### One\nDo it.\n")
    done = project.opsbook("check", "--format", form)
    assert done.code == 0
    assert done.out == "" if form in ("github", "text") else json.loads(done.out) is not None
    project.page("## Steps\n\n### One\n```python\nx = (\n```\n")
    done = project.opsbook("check", "--format", form)
    assert done.code == 2
    assert "C001" in done.out


def test_json_is_the_same_by_both_names(project: Project) -> None:
    project.page("## Steps\n\n### One\n```python\nx = (\n```\n")
    (problem,) = json.loads(project.opsbook("check", "--json").out)
    assert json.loads(project.opsbook("check", "page", "--format=json").out) == [problem]
    assert {key: problem[key] for key in ("path", "code", "warning")} == {
        "path": "runbooks/page.md", "code": "C001", "warning": False,
    }  # fmt: skip


def test_paths_are_those_of_the_repository(project: Project) -> None:
    project.page("## Steps\n\n### One\n```python\nx = (\n```\n")
    for folder, prefix in ((project.root.parent, "project/runbooks"), (project.root / "runbooks", "runbooks")):
        done = Project(folder).opsbook("--project", str(project.root), "check", "--format", "github")
        assert done.out.startswith(f"::error file={prefix}/page.md,line=")
