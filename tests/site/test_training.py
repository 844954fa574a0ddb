"""The training matrix on the site: only where there is a plan, in the nav by itself, no more than may be shown."""

import contextlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from opsbook import files
from opsbook.core.model.approval import Identity
from opsbook.training import certificates, trained
from opsbook.training.certificates import Certificate, Counts
from opsbook.training.sign_offs import SignOffVerdict
from opsbook.training.trained import Drilled, Feedback
from tests.site.conftest import CHECK, SMALL_FRONT, SMALL_STEPS
from tests.support.project import Project
from tests.support.site import config

pytestmark = pytest.mark.slow

PLAN = """\
roles:
  on-call:
    title: On <b>call</b>
    drills: [down]
    runbooks: [check-it, one]
people:
  USER: {roles: [on-call]}
  zoe: {roles: [on-call], since: 2026-11-20}
"""
NAV = "\nnav:\n  - Home: index.md\n  - Freshness: freshness.md\n  - More:\n      - runbooks/index.md\n"


@pytest.fixture
def planned(small: Project) -> Project:
    """somebody ran a runbook in a sandbox, and did a drill that nobody signed off."""
    small.write("runbooks/check-it.md", SMALL_FRONT.format(title="Check it") + CHECK)
    front = SMALL_FRONT.format(title="Down").replace("kind:", "drill: {solved_by: [one]}\nkind:")
    small.write("runbooks/down.md", front + SMALL_STEPS)
    small.opsbook("run", "check-it", "-e", "dev", check=True)
    folder = small.records()[-1]
    told = json.loads((folder / "record.json").read_text())
    user = told["operator"].partition("@")[0]
    small.write("training.yml", PLAN.replace("USER", user))
    seal = files.sha256(folder / "seal.json")
    times = (told["started"], told["ended"], 60.0, None, 30.0, 0, ())
    run = "20261120T181203Z-down-7f3k"
    drilled = Drilled("training", run, seal, "down", "dev", user, told["operator"], *times)
    trained.write(small.root / "records", drilled)
    small.write("mkdocs.yml", config() + NAV)
    return small


def text(path: Path) -> str:
    return re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8"))


def test_the_matrix(planned: Project, tmp_path: Path) -> None:
    planned.opsbook("site", "build", check=True)
    site = planned.root / "site"
    shown = (site / "training-status.html").read_text()
    body = shown[shown.index("<article") : shown.index("</article")]
    run = planned.records()[-1].name
    assert re.search(r'<td data-label="down"><span class="ob-state ob-waiting">unsigned</span></td>', body)
    assert re.search(rf'data-label="check-it">.*?>passed</span><br>until \d{{4}}-\d\d-\d\d<br>.*?#{run}"', body)
    assert body.count(">missing</span>") == 4
    assert "On &lt;b&gt;call" in body or "On &#60;b&#62;call" in body
    assert "as of" in body
    assert '<a href="runbooks/down.html">down</a> (drill)' in body
    assert "Training" in text(site / "index.html"), "it is in the nav"
    # The tree has it too, and a nav of its own.
    planned.opsbook("site", "build", "--tree", str(tmp_path / "tree"), check=True)
    assert (tmp_path / "tree/docs/training-status.md").is_file()
    nav = yaml.safe_load((tmp_path / "tree/mkdocs.yml").read_text())["nav"]
    assert nav == [
        {"Home": "index.md"},
        {"Freshness": "freshness.md"},
        {"Training": "training-status.md"},
        {"More": ["runbooks/index.md"]},
    ]


def test_where_records_are_not_published_only_the_state_is(planned: Project) -> None:
    policy = planned.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "publish_records: none\n")
    planned.opsbook("site", "build", check=True)
    shown = (planned.root / "site/training-status.html").read_text()
    assert '<td data-label="check-it"><span class="ob-state ob-fresh">passed</span></td>' in shown
    assert planned.records()[-1].name not in shown


def test_a_plan_that_is_wrong_ends_the_build(planned: Project) -> None:
    planned.write("training.yml", "roles: {a: {drils: []}}\n")
    done = planned.opsbook("site", "build")
    assert done.code == 2 and "training.yml: roles.a: unknown key drils. Did you mean drills?" in done.err


def test_without_a_plan_there_is_no_page(small: Project) -> None:
    small.write("mkdocs.yml", config() + NAV)
    small.opsbook("site", "build", check=True)
    assert not (small.root / "site/training-status.html").exists()
    small.write("training.yml", "roles: {idle: {}}\n")
    small.write("mkdocs.yml", config() + NAV + "  - Who: training-status.md\n")
    small.opsbook("site", "build", check=True)
    assert "Nobody is in" in text(small.root / "site/training-status.html")
    assert "Training" not in text(small.root / "site/index.html"), "the author has placed it"


EVIL = "<img src=x onerror=window.bad=1><script>window.bad=1</script>"


def test_a_certificate_fits_one_sheet_and_a_phone(chromium: Any, tmp_path: Path) -> None:
    run = "20261120T181203Z-instance-down-7f3k"
    times = ("2026-11-20T18:12:10+00:00", "2026-11-20T18:14:10+00:00", 120.0, None, 150.5, 2, (run, run))
    feedback = Feedback(4, f"{EVIL} {'long ' * 400}")
    drilled = Drilled("training", run, "0" * 64, "instance-down", EVIL, "ann", "ann@host", *times, feedback)
    signer = Identity("bob@host", "bob@example.org", "SHA256:" + "x" * 43)
    verdict = SignOffVerdict(signer, f"{EVIL} {'note ' * 400}", "2026-11-20T19:00:00+00:00")
    counts = tuple(Counts(f"Role {number}", datetime(2027, 1, number, tzinfo=UTC)) for number in range(1, 6))
    file = tmp_path / "c.html"
    file.write_text(certificates.page(Certificate(drilled, EVIL, verdict, counts, "")), encoding="utf-8")
    with contextlib.closing(chromium.new_page(viewport={"width": 360, "height": 740})) as page:
        page.goto(file.as_uri())
        assert page.evaluate("window.bad") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert "bob@example.org" in page.inner_text("main")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1
