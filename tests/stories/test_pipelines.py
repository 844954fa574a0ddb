"""Pipelines of others: their lines on the real platform, GitHub's by act, and what no click can do."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories import pipelines
from tests.stories.pipelines import FILES, Host

SCHEMAS = {"github.yml": ("github-workflows",), "gitlab.yml": ("gitlab-ci", "--data-transform", "gitlab-ci")}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_is_one_as_its_ci_wants_it(name: str) -> None:
    schema, *more = SCHEMAS[name]
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", f"vendor.{schema}", *more, str(FILES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Host]:
    with pipelines.host(tmp_path_factory.mktemp("pipelines"), keys) as made:
        yield made
