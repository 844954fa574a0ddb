"""What the site makes of records: damaged ones, hidden ones, lost ones, and some that are from the future."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsbook import settings
from opsbook.core.model.redact import Redactor
from opsbook.core.record import page
from opsbook.core.record.journal import Journal
from opsbook.site import publishing
from opsbook.site.lists import Sources
from opsbook.site.publishing import publish, stale
from tests.support.project import HOSTS, POLICY, Project
from tests.support.site import config

FRONT = "title: One\nkind: maintenance\nowner: me\nreviewed: 2026-11-20\n"
PAGE = f"---\n{FRONT}---\n\n# One\n\n## Steps\n\n### Do it\nTurn.\n"
RUN = "20261120T100000Z-one-aaaa"


@pytest.fixture
def small(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("opsbook.toml", 'records = "records"\n')
    for name, more in (("dev", ""), ("quiet", "publish_records: none\n"), ("open", "publish_records: full\n")):
        made.write(f"playbooks/inventories/{name}/hosts.yml", HOSTS)
        made.write(f"playbooks/inventories/{name}/environment.yml", POLICY + more)
    made.write("runbooks/one.md", PAGE)
    made.write("mkdocs.yml", config())
    (made.root / "docs").mkdir()
    return made


def record(project: Project, run: str = RUN, text: str | None = None, **more: Any) -> Path:
    """A sealed record of a run that went well an hour ago."""
    started = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    told = {
        **{"run": run, "runbook": "one", "title": "One", "environment": "dev", "operator": "ann", "parameters": {}},
        **{"started": started, "ended": started, "outcome": "succeeded", "reason": "", "seconds": 4.0, "steps": []},
        **{"effects": [], "unknown": [], "gaps": 0, **more},
    }
    folder = f"records/2026/11/{run}"
    project.write(f"{folder}/seal.json", "{}")
    project.write(f"{folder}/record.json", json.dumps(told) if text is None else text)
    return project.root / folder


def lost(project: Project, run: str = RUN, place: str = "dev") -> None:
    told = {"run": run, "runbook": "one", "title": "One", "environment": place, "operator": "ann", "parameters": {}}
    folder = project.root / "records/2026/11" / run
    folder.mkdir(parents=True)
    journal = Journal(folder, Redactor())
    journal.put("run-started", told)
    journal.close()


def gathered(project: Project) -> Sources:
    found = settings.load(project.root, given=True)
    return publishing.gather(found, "Operations", publishing._runbooks(found))


STEP = {"step": "do-it", "title": "Do it", "section": "Steps", "status": "succeeded", "seconds": 1.0}
DAMAGE: list[dict[str, Any]] = [
    {"seconds": "abc"},
    {"seconds": float("nan")},
    {"steps": [{**STEP, "seconds": "x"}]},
    {"steps": [{**STEP, "step": ["a"]}]},
    {"reason": "\ud800"},
    {"text": "[" * 100_000},
    {"text": "{}"},
    {"started": "12:00"},
    {"started": "2026-11-20T10:00:00"},
    {"started": "0001-01-01T00:00:00+23:00"},
    {"run": "../../../x"},
]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_damaged_record_is_left_out_and_hides_no_other(small: Project, damage: dict[str, Any]) -> None:
    damaged = record(small, text=damage.pop("text", None))
    if damage:
        told = json.loads((damaged / "record.json").read_text()) | damage
        (damaged / "record.json").write_text(json.dumps(told))
    record(small, "20261120T110000Z-one-bbbb")
    assert [run.id for run in gathered(small).runs] == ["20261120T110000Z-one-bbbb"]
    assert publish(settings.load(small.root, given=True), "x").pages


@pytest.mark.slow
def test_freshness_is_told_beside_a_damaged_record(small: Project) -> None:
    record(small, text="[" * 100_000)
    done = small.opsbook("check", "--freshness")
    assert done.code == 1 and "never" in done.out


@pytest.mark.slow
def test_freshness_names_flags_that_should_be_gone(small: Project) -> None:
    def flag(**metadata: str) -> dict[str, object]:
        return {"state": "ENABLED", "variants": {"on": True, "off": False}, "metadata": metadata}

    def write(**flags: object) -> None:
        (small.root / "flags.json").write_text(json.dumps({"flags": flags}))

    config = (small.root / "opsbook.toml").read_text()
    (small.root / "opsbook.toml").write_text(f'{config}\n[services.game]\nflags = "flags.json"\n')
    write(hint=flag(owner="platform", expires="2026-01-31"), new=flag(owner="platform", expires="2999-01-31"))
    done = small.opsbook("check", "--freshness")
    assert done.code == 1
    assert "flag hint of game" in done.out and "expired 2026-01-31" in done.out and "new" not in done.out
    assert "flag hint" not in small.opsbook("check", "--freshness", "one").out
    page = publish(settings.load(small.root, given=True), "x").pages["freshness.md"]
    assert "Feature flags that should be gone" in page and "2026-01-31" in page
    wrongs: tuple[object, ...] = (flag(owner="platform"), flag(owner="platform", expires="soon"), {"metadata": 1}, [])
    for wrong in wrongs:
        write(hint=wrong)
        refused = small.opsbook("check", "--freshness")
        assert refused.code == 2 and "flags.json: hint: its metadata need an owner" in refused.err


def test_a_record_page_that_cannot_be_read_is_no_page(small: Project, tmp_path: Path) -> None:
    """Of an environment that publishes whole records."""
    whole, missing, linked = (f"20261120T1{n}0000Z-one-aaaa" for n in range(3))
    (record(small, whole, environment="open") / "index.html").write_text("all of it")
    record(small, missing, environment="open")
    (tmp_path / "secret").write_text("a secret")
    (record(small, linked, environment="open") / "index.html").symlink_to(tmp_path / "secret")
    pages = publish(settings.load(small.root, given=True), "x").pages
    assert [path for path in pages if path.endswith(".html")] == [f"records/{whole}/index.html"]
    data = json.loads(next(text for path, text in pages.items() if path.startswith("assets/")).partition(",")[2][:-3])
    assert {row[0]: row[-1] for row in data} == {whole: 1, missing: 0, linked: 0}


def test_what_an_environment_does_not_publish_counts_and_is_not_shown(small: Project) -> None:
    record(small, environment="quiet", operator="quiet-ann", reason="a quiet reason")
    lost(small, "20261120T100001Z-one-bbbb", "quiet")
    found = gathered(small)
    assert not found.runs and not found.under_way
    assert found.facts is not None and found.facts["one"].fresh and found.facts["one"].counted == 2
    everything = "".join(publish(settings.load(small.root, given=True), "x").pages.values())
    assert "proved by a run" in everything
    assert not any(word in everything for word in ("quiet-ann", "a quiet reason", RUN, "-one-bbbb"))
    assert stale(settings.load(small.root, given=True)) == []


def test_a_record_from_the_future_proves_nothing(small: Project) -> None:
    record(small, started=(datetime.now(UTC) + timedelta(days=300)).isoformat())
    assert [each.state for each in stale(settings.load(small.root, given=True))] == ["stale"]


@pytest.mark.parametrize("mode", ["session", "notebook"])
def test_a_notebook_proves_nothing_about_a_page(small: Project, mode: str) -> None:
    """Somebody chose its cells, and may have edited them."""
    record(small, mode=mode)
    found = gathered(small)
    assert [run.id for run in found.runs] == [RUN]
    assert found.facts is not None and found.facts["one"].state == "never"
    assert [each.state for each in stale(settings.load(small.root, given=True))] == ["never"]


def test_lost_runs_are_runs(small: Project) -> None:
    lost(small)
    record(small, "20261120T110000Z-one-bbbb")
    found = gathered(small)
    assert [run.outcome for run in found.runs] == ["lost", "succeeded"]
    assert found.facts is not None and found.facts["one"].rate == 0.5


def test_a_check_is_no_proof_and_no_last_run(small: Project) -> None:
    record(small, outcome="checked")
    facts = gathered(small).known(gathered(small).runbooks[0])
    assert (facts.state, facts.last) == ("never", None)


@pytest.mark.parametrize(
    ("started", "ended", "said"),
    [
        ("2026-11-20T10:00:00.123Z", "2026-11-20T10:01:05.999Z", "2026-11-20 10:00:00 to 10:01:05 UTC"),
        ("2026-11-20T23:59:00Z", "2026-11-21T00:01:00Z", "2026-11-20 23:59:00 UTC to 2026-11-21 00:01:00 UTC"),
        ("2026-11-20T10:00:00Z", None, "2026-11-20 10:00:00 UTC to no end"),
        ("<b>", "0001-01-01T00:00:00+23:00", "&lt;b&gt; to 0001-01-01T00:00:00+23:00"),
    ],
)
def test_the_page_of_a_record_says_times_for_people(started: str, ended: str | None, said: str) -> None:
    told = {"run": RUN, "title": "One", "environment": "dev", "started": started, "ended": ended, "outcome": "failed"}
    assert said in page.page(told, {})
