"""Releases go from dev to staging to production as the same bytes; records prove it, and say what is where."""

import json
import shutil
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsbook import settings
from opsbook.site.publishing import publish
from tests.support.project import HOSTS, Project, Result, until

pytestmark = pytest.mark.slow

CHOICES = 'choices: {Service: [arcade], Release: {glob: "releases/arcade/*.tar.gz"}}\n'
POLICIES = {
    "dev": "order: 1\nsandbox: true\n",
    "staging": "order: 2\npromotion: {after: dev}\n",
    "production": "order: 3\npromotion: {after: staging}\n",
}
PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Release
    version: Release
    ```

    ## Prerequisites

    ### Be here
    ```python
    from opsbook import command, here
    ```

    ## Steps

    ### Do it
    ```python
    {code}
    ```

    ## Validation

    ### It is there
    ```python
    command(["true"], changes=False)
    ```

    ## Rollback

    ### Take it back
    ```python
    command(["sh", "-c", "echo back >> .opsbook/" + here.environment])
    ```
"""
HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//a//b//EN\n"
EVENT = "BEGIN:VEVENT\nUID:{uid}@example.org\nDTSTAMP:20260101T000000Z\n{lines}\nEND:VEVENT\n"
ASKED = ("deploy", "-e", "production", "-p", "version=1.0.0")
PUT = 'command(["sh", "-c", f"echo {version} >> .opsbook/{here.environment}; test ! -e .opsbook/broken"])'
LOOK = 'command(["sh", "-c", "test ! -e .opsbook/broken"], changes=False)'


@pytest.fixture
def chain(project: Project) -> Project:
    """A project with three environments, two releases, and pages that deploy, go back and look."""
    for name, policy in POLICIES.items():
        project.write(f"playbooks/inventories/{name}/hosts.yml", HOSTS)
        project.write(f"playbooks/inventories/{name}/environment.yml", policy + CHOICES)
    for version in ("1.0.0", "1.1.0"):
        project.write(f"releases/arcade/{version}.tar.gz", version)
    pages = {"deploy": ("deploy", PUT), "back": ("recovery", PUT), "validate": ("check", LOOK)}
    for name, (kind, code) in pages.items():
        project.page(PAGE.replace("{code}", code), name)
        path = project.root / f"runbooks/{name}.md"
        front = f"kind: {kind}" if kind != "deploy" else "kind: deploy\nrollback: automatic"
        path.write_text(path.read_text().replace("kind: maintenance", front))
    return project


def run(chain: Project, page: str, environment: str, version: str, *more: str) -> Result:
    return chain.opsbook("run", page, "-e", environment, "-p", f"version={version}", "--yes", *more)


def went(chain: Project, *places: str, version: str = "1.0.0") -> None:
    for place in places:
        done = run(chain, "deploy", place, version)
        assert done.code == 0, done.out + done.err


def refused(done: Result, sentence: str) -> None:
    assert done.code == 4, done.out + done.err
    said = " ".join((done.out + done.err).split())
    assert sentence in said, said


def allowed(chain: Project) -> dict[str, Any]:
    """Why the newest run could begin, as its journal says."""
    events = [json.loads(line) for line in (chain.records()[-1] / "journal.jsonl").read_text().splitlines()]
    return dict(next(each["data"] for each in events if each["type"] == "allowed"))


def where(chain: Project) -> dict[str, str]:
    told = json.loads(chain.opsbook("releases", "where", "--json", check=True).out)
    return {each["environment"]: each["version"] for each in told}


def test_a_release_goes_from_one_environment_to_the_next(chain: Project) -> None:
    none = chain.opsbook("releases", "where", check=True).out
    assert none == "No run has put a release anywhere yet.\n"
    refused(run(chain, "deploy", "production", "1.0.0"), "was never put into staging")
    refused(run(chain, "deploy", "staging", "1.0.0"), "was never put into dev")
    plan = chain.opsbook("plan", "deploy", "-e", "staging", "-p", "version=1.0.0", check=True).out
    assert "needs: a release that was promoted: releases/arcade/1.0.0.tar.gz" in plan
    went(chain, "dev", "staging")
    staging = chain.records()[-1]
    went(chain, "production")
    (proof,) = allowed(chain)["promotion"]
    assert (proof["after"], proof["run"], proof["validated"]) == ("staging", staging.name, staging.name)
    trees = json.loads((chain.records()[-1] / "plan.json").read_text())["trees"]
    assert trees["release releases/arcade/1.0.0.tar.gz"] == proof["sha256"]
    assert where(chain) == dict.fromkeys(POLICIES, "1.0.0")
    went(chain, "dev", "staging", version="1.1.0")
    assert where(chain) == {"dev": "1.1.0", "staging": "1.1.0", "production": "1.0.0"}
    told = chain.opsbook("releases", "where", check=True).out
    assert "production has arcade 1.0.0, staging has 1.1.0." in told
    listed = json.loads(chain.opsbook("releases", "list", "--json", check=True).out)
    assert [(each["version"], each["in"]) for each in listed] == [
        ("1.0.0", ["production"]),
        ("1.1.0", ["dev", "staging"]),
    ]
    runs = json.loads(chain.opsbook("releases", "show", "1.0.0", "--json", check=True).out)["runs"]
    assert [each["environment"] for each in runs if each["outcome"] == "succeeded"] == ["production", "staging", "dev"]
    assert "Did you mean 1.1.0" in chain.opsbook("releases", "show", "1.1.1").err


KEEPS = """
    import json
    from hashlib import sha256
    from opsbook import attach
    if here.environment == "dev":
        said = {"needs": {"postgresql": ">=14"}, "schema": {"to": 2}, "files": {"a": "b"}}
        attach("release.json", json.dumps({"sha256": sha256(version.encode()).hexdigest(), "manifest": said}))
    attach("gates.json", json.dumps({"smoke <b>test": "3 of 3\\n<script>", here.environment: "good"}))
"""


def test_what_runs_keep_of_a_release_is_shown(chain: Project) -> None:
    """Who built it, what it needs, and what the gates of each run found; nothing of an environment that is hidden."""
    path = chain.root / "runbooks/deploy.md"
    path.write_text(path.read_text().replace(PUT, PUT + textwrap.dedent(KEEPS)))
    policy = chain.root / "playbooks/inventories/staging/environment.yml"
    policy.write_text(policy.read_text() + "publish_records: none\n")
    went(chain, "dev", "staging")
    dev, staging = chain.records()[-2:]
    text = chain.opsbook("releases", "show", "1.0.0", check=True).out
    assert f": {dev.name}\n  needs: postgresql >=14\n" in text
    assert "files" not in text
    assert r"staging: smoke <b>test: 3 of 3" in text
    told = json.loads(chain.opsbook("releases", "show", "1.0.0", "--json", check=True).out)
    assert told["built"][0]["build"]["run"] == dev.name
    assert [each["gates"]["smoke <b>test"] for each in told["runs"]] == ["3 of 3\n<script>"] * 2
    page = publish(settings.load(chain.root, given=True), "x").pages["released.md"]
    assert "postgresql &gt;=14" in page
    assert "dev: good" in page
    assert "smoke &lt;b&gt;test: 3 of 3" in page
    assert "<script>" not in page
    assert staging.name not in page
    assert "staging: good" not in page
    # What somebody made of it by hand is left out.
    (kept,) = dev.glob("effects/*-release.json")
    kept.write_text("[")
    assert "No record says who built it." in chain.opsbook("releases", "show", "1.0.0", check=True).out


def test_other_bytes_are_another_release(chain: Project) -> None:
    went(chain, "dev")
    chain.write("releases/arcade/1.0.0.tar.gz", "built anew")
    refused(run(chain, "deploy", "staging", "1.0.0"), "was never put into dev: what has this name there is")
    assert "other bytes" in chain.opsbook("releases", "show", "1.0.0", check=True).out


def test_a_run_that_stopped_goes_on_with_the_same_bytes_only(chain: Project) -> None:
    chain.write(".opsbook/broken", "")
    text = (chain.root / "runbooks/deploy.md").read_text()
    chain.write("runbooks/deploy.md", text.replace("rollback: automatic", "rollback: ask"))
    assert run(chain, "deploy", "dev", "1.0.0").code == 3
    assert "what serves there may be another release" in chain.opsbook("releases", "where", check=True).out
    (chain.root / ".opsbook/broken").unlink()
    chain.write("releases/arcade/1.0.0.tar.gz", "built anew")
    refused(chain.opsbook("resume", "last", "--yes"), "releases/arcade/1.0.0.tar.gz")
    chain.write("releases/arcade/1.0.0.tar.gz", "1.0.0")
    assert chain.opsbook("resume", "last", "--yes").code == 0
    assert where(chain) == {"dev": "1.0.0"}


def test_a_later_failure_takes_the_proof_away(chain: Project) -> None:
    went(chain, "dev")
    chain.write(".opsbook/broken", "")
    assert run(chain, "validate", "dev", "1.0.0").code == 1
    refused(run(chain, "deploy", "staging", "1.0.0"), "did not do well in dev")
    (chain.root / ".opsbook/broken").unlink()
    assert run(chain, "validate", "dev", "1.0.0").code == 0
    went(chain, "staging")
    chain.write(".opsbook/broken", "")
    assert run(chain, "deploy", "dev", "1.0.0").code == 1
    assert chain.summary()["outcome"] == "rolled-back"
    assert where(chain)["dev"] == "1.0.0"
    refused(run(chain, "deploy", "staging", "1.0.0"), "is rolled-back")


def test_a_recovery_goes_back_to_what_was_there(chain: Project) -> None:
    went(chain, "dev", "staging")
    went(chain, "dev", version="1.1.0")
    chain.write(".opsbook/broken", "")
    assert run(chain, "validate", "dev", "1.0.0").code == 1
    assert run(chain, "validate", "dev", "1.1.0").code == 1
    (chain.root / ".opsbook/broken").unlink()
    assert run(chain, "back", "staging", "1.0.0").code == 0
    refused(run(chain, "back", "staging", "1.1.0"), "did not do well in dev")


RULES = {
    "after: dev, soak: 1h": "has to be in dev for 1h: until",
    "after: dev, fresh: 1ms": "which is more than 1ms ago",
    "after: dev, soak: soon": "is not a duration",
    "after: nowhere": "was never put into nowhere",
}


def test_rules_of_a_promotion(chain: Project) -> None:
    went(chain, "dev")
    for rule, said in RULES.items():
        chain.write("playbooks/inventories/staging/environment.yml", f"promotion: {{{rule}}}\n{CHOICES}")
        done = run(chain, "deploy", "staging", "1.0.0")
        assert done.code in (2, 4)
        assert said in " ".join((done.out + done.err).split())


def test_nothing_is_deployed_during_a_freeze(chain: Project) -> None:
    went(chain, "dev", "staging")
    now = datetime.now(UTC)
    begin, end = (f"{now + timedelta(days=days):%Y%m%d}" for days in (-1, 2))
    event = f"SUMMARY:Tournament\nDTSTART;VALUE=DATE:{begin}\nDTEND;VALUE=DATE:{end}"
    chain.write("playbooks/freezes.ics", f"{HEAD}{EVENT.format(uid=1, lines=event)}END:VCALENDAR\n")
    policy = POLICIES["production"] + "freezes: [playbooks/freezes.ics]\n" + CHOICES
    chain.write("playbooks/inventories/production/environment.yml", policy)
    refused(run(chain, "deploy", "production", "1.0.0"), "production is frozen until")
    assert "Tournament (playbooks/freezes.ics)" in chain.opsbook("plan", *ASKED, check=True).out
    assert run(chain, "deploy", "production", "1.0.0", "--emergency", "the old one leaks").code == 0
    assert run(chain, "back", "production", "1.0.0").code == 0


def test_a_deploy_that_names_no_file_is_refused_where_releases_are_promoted(chain: Project) -> None:
    text = (chain.root / "runbooks/deploy.md").read_text()
    chain.write(
        "runbooks/deploy.md", text.replace("version: Release", "version: str").replace("import Release", "import Host")
    )
    refused(run(chain, "deploy", "staging", "1.0.0"), "come to staging from dev, and deploy names no file")
    went(chain, "dev")


def test_a_release_may_be_a_link_to_where_it_is_kept(chain: Project, tmp_path: Path) -> None:
    kept = tmp_path / "kept.tar.gz"
    kept.write_text("1.2.0")
    (chain.root / "releases/arcade/1.2.0.tar.gz").symlink_to(kept)
    went(chain, "dev", "staging", version="1.2.0")
    kept.write_text("built anew")
    refused(run(chain, "deploy", "production", "1.2.0"), "what has this name there is")


def test_a_run_waits_until_a_release_has_been_there_long_enough(chain: Project) -> None:
    chain.write("playbooks/inventories/staging/environment.yml", f"promotion: {{after: dev, soak: 6s}}\n{CHOICES}")
    went(chain, "dev")
    waited = run(chain, "deploy", "staging", "1.0.0", "--wait")
    assert waited.code == 0, waited.out + waited.err
    assert [each["type"] for each in chain.events()].count("waiting-for-approval") == 1


def test_a_file_that_was_changed_while_a_run_waited_is_not_deployed(chain: Project) -> None:
    # Longer than a busy machine takes to begin the run: otherwise nothing waits.
    chain.write("playbooks/inventories/staging/environment.yml", f"promotion: {{after: dev, soak: 20s}}\n{CHOICES}")
    went(chain, "dev")
    waiting = chain.start("run", "deploy", "-e", "staging", "-p", "version=1.0.0", "--yes", "--wait")
    until(lambda: any(each["type"] == "waiting-for-approval" for each in chain.events()), "the run that waits")
    chain.write("releases/arcade/1.0.0.tar.gz", "built anew")
    said = waiting.communicate(timeout=180)[0]
    assert waiting.returncode == 4, said
    assert "releases/arcade/1.0.0.tar.gz is not what was planned" in " ".join(said.split())


def test_an_emergency_proves_nothing_until_it_is_reviewed(chain: Project) -> None:
    assert run(chain, "deploy", "staging", "1.0.0", "--emergency", "it burns").code == 0
    refused(run(chain, "deploy", "production", "1.0.0"), "was an emergency, and nobody has reviewed it")


def test_pages_that_only_read_run_always(chain: Project) -> None:
    look = "## Validation\n\n### Look\n```python\ncommand(['true'], changes=False)\n```\n"
    path = chain.page(textwrap.dedent(PAGE).partition("## Steps")[0] + look, "look")
    path.write_text(path.read_text().replace("kind: maintenance", "kind: check"))
    assert run(chain, "look", "production", "1.0.0").code == 0


def test_an_emergency_passes_and_says_what_was_missing(chain: Project) -> None:
    assert run(chain, "deploy", "production", "1.0.0", "--emergency", "players cannot log in").code == 0
    assert "was never put into staging" in allowed(chain)["not_promoted"]
    assert chain.records()[-1].name in chain.opsbook("review", check=True).out


def test_a_changed_record_proves_nothing(chain: Project) -> None:
    went(chain, "dev")
    (chain.records()[-1] / "plan.json").write_text(
        (chain.records()[-1] / "plan.json").read_text().replace('"hosts"', '"hosts" ')
    )
    refused(run(chain, "deploy", "staging", "1.0.0"), "proves nothing: plan.json")
    shutil.rmtree(chain.root / "records")
    refused(run(chain, "deploy", "staging", "1.0.0"), "was never put into dev")


def test_a_sandbox_has_no_promotion(chain: Project) -> None:
    chain.write("playbooks/inventories/dev/environment.yml", f"sandbox: true\npromotion: {{after: staging}}\n{CHOICES}")
    done = run(chain, "deploy", "dev", "1.0.0")
    assert done.code == 2
    assert "a sandbox is open to everybody" in done.err


def test_a_file_that_a_value_names_is_in_the_plan_of_any_page(chain: Project) -> None:
    first = json.loads(chain.opsbook("plan", "validate", "-e", "dev", "-p", "version=1.0.0", "--json", check=True).out)
    chain.write("releases/arcade/1.0.0.tar.gz", "built anew")
    second = json.loads(chain.opsbook("plan", "validate", "-e", "dev", "-p", "version=1.0.0", "--json", check=True).out)
    assert first["id"] != second["id"]
