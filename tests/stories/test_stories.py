"""Long stories of people, releases and environments on the real platform, one after the other.

The first can be told by itself, too: `python -m tests.stories.promotion`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories import pipelines, promotion
from tests.stories.pipelines import FILES, Host
from tests.stories.promotion import Environment
from tests.support.project import Result
from tests.support.team import Team

VERSION = "1.2.0"
SCHEMAS = {"github.yml": ("github-workflows",), "gitlab.yml": ("gitlab-ci", "--data-transform", "gitlab-ci")}

Story = tuple[Team, Environment, Environment, Environment]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Story]:
    with promotion.told(tmp_path_factory.mktemp("story"), keys) as found:
        yield found


@pytest.fixture(scope="module")
def host(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Host:
    return pipelines.made(story[0], tmp_path_factory.mktemp("ci"))


@pytest.mark.slow
def test_a_release_is_promoted_and_a_bad_one_is_not(story: Story) -> None:
    promotion.tell(*story)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_pipeline_is_as_its_ci_wants_it(name: str) -> None:
    schema, *more = SCHEMAS[name]
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", f"vendor.{schema}", *more, str(FILES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def acted(host: Host) -> tuple[Result, dict[str, str]]:
    """What act said of GitHub's whole file, and what served before."""
    before = served(host)
    return host.act(VERSION), before


@pytest.mark.slow
def test_act_ignores_the_protection_of_an_environment_and_opsbook_does_not(
    host: Host, acted: tuple[Result, dict[str, str]]
) -> None:
    """GitHub's whole file: nobody is asked before the job of production starts, and production stays as it is."""
    done, before = acted
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out)
    assert done.code == 1, said + done.err
    for name in ("check", "build", "dev", "staging", "request"):
        assert re.search(rf"\[Release/{name} *\] .*Job succeeded", said), said
    assert re.search(r"\[Release/production *\] .*Job failed", said), said
    assert re.search(r"\| +promote-release-[0-9a-f]{12} needs 1 approval, and has 0", said), said
    assert "::error::Production is unchanged" in said
    assert served(host) == {**before, "dev": VERSION, "staging": VERSION}
    kept_secret(host, done)

    # What "Re-run failed jobs" does is nothing that act can do: the same lines, with what the request handed on.
    plan = re.findall(r"::notice::.*opsbook approve (promote-release-[0-9a-f]{12})", said)[-1]
    job = pipelines.github_jobs()["production"]
    given = {"OPSBOOK_KEY": host.key.read_text(encoding="utf-8"), "PLAN": plan, "TICKET": "OPS-2"}
    assert set(job.given) <= set(given)
    approved_by_bob_only(host, plan)
    done = host.run(job, **given)
    assert done.code == 0, done.out + done.err
    assert served(host)["production"] == VERSION
    signed(host, "OPS-2")
    kept_secret(host, done)


SAME = ("build", "dev", "staging")
"""The jobs that have the same lines in both files: act runs them."""


@pytest.mark.parametrize("name", SAME)
def test_both_pipelines_have_the_same_lines(name: str) -> None:
    lines = pipelines.github_jobs()[name].script.strip().replace("$GITHUB_SHA", "$CI_COMMIT_SHA")
    assert pipelines.gitlab_jobs()[name].script.strip() == lines


@pytest.mark.slow
@pytest.mark.usefixtures("acted")
def test_the_lines_for_gitlab_end_at_the_approval_and_then_promote(host: Host) -> None:
    """Those that are not GitHub's, too: they go on where act has brought the release into staging."""
    known = {"CI_PROJECT_DIR": str(host.checkout), "CI_COMMIT_SHA": host.commit, "VERSION": VERSION, "TICKET": "OPS-3"}
    jobs = pipelines.gitlab_jobs()
    assert list(jobs) == pipelines.read("gitlab.yml")["stages"]
    for name in (each for each in jobs if each not in (*SAME, "production")):
        done = host.run(jobs[name], **known)
        assert done.code == 0, f"{name}\n{done.out}\n{done.err}"
    # GitLab makes variables of the file for the jobs after it.
    name, _, plan = (host.checkout / "plan.env").read_text(encoding="utf-8").strip().partition("=")
    assert name == "PLAN"
    assert f"opsbook approve {plan}" in done.out
    known |= {"PLAN": plan, "OPSBOOK_KEY": str(host.key)}

    done = host.run(jobs["production"], **known)
    assert done.code == 4, done.out + done.err
    assert "Production is unchanged" in done.out
    approved_by_bob_only(host, plan)
    done = host.run(jobs["production"], **known)
    assert done.code == 0, done.out + done.err
    signed(host, "OPS-3")
    kept_secret(host, done)
    # The approval was for one run.
    done = host.run(jobs["production"], **known)
    assert done.code == 4, done.out + done.err


def served(host: Host) -> dict[str, str]:
    """The release in each environment that has one."""
    told = json.loads(host.team.opsbook("releases", "where", "--json", check=True).out)
    return {each["environment"]: each["version"] for each in told if each["version"]}


def approved_by_bob_only(host: Host, plan: str) -> None:
    """The pipeline's key signs no approval that counts, Bob's does."""
    pipeline = host.team.by("pipeline").opsbook("approve", plan, "--yes")
    assert pipeline.code == 4, pipeline.out
    assert "Only ann@example.org, bob@example.org may decide that" in " ".join(pipeline.err.split())
    host.team.by("bob").opsbook("approve", plan, "--yes", check=True)


def signed(host: Host, ticket: str) -> None:
    """The newest record is the pipeline's run, which Bob approved, and both signed."""
    record = host.team.records()[-1].name
    assert host.team.summary()["labels"] == {"ticket": ticket}
    said = host.team.opsbook("records", "verify", record, check=True).out
    assert f"{record}: run by pipeline@example.org: signed" in said, said
    assert f"{record}: approved by bob@example.org: signed" in said, said


def kept_secret(host: Host, done: Result) -> None:
    """The private key is in no output and no record, and its file is gone."""
    lines = host.key.read_text(encoding="utf-8").splitlines()[1:-1]
    texts = [done.out, done.err]
    folders = (host.team.root / "records", host.team.root / ".opsbook/plans")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    texts += [path.read_text(encoding="utf-8", errors="replace") for path in files]
    assert not [text for text in texts if any(line in text for line in lines)]
    left = [path for path in host.temporary.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert not left
