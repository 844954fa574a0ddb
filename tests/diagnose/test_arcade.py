"""The tree of arcade: what the health page finds leads to what mends it, and alerts agree with it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from opsbook.core.catalog import alerts
from opsbook.diagnose import diagnosing, trees
from opsbook.diagnose.diagnosing import Finding
from opsbook.settings import load
from tests.support import ROOT

TREE = trees.load(load(ROOT), "arcade")
(SAYS,) = [node for node in TREE.root.below() if node.check and node.check.what == "says"]
DATABASE = "arcade-1 is not ready (database); arcade-2 is not ready (database); players get 503"


@pytest.mark.parametrize(
    ("found", "page"),
    [
        (f"no instance reaches the database; {DATABASE}", "start-database"),
        (
            f"no instance reaches the database; {DATABASE}; the canary arcade-3 is not ready (database)",
            "start-database",
        ),
        ("arcade-1 is not ready (database); players get 503", "restore-configuration"),
        ("arcade-1 is not ready (messages); players get 507", "free-disk"),
        ("arcade-1 is not ready (fault); players get 503", "restart-instance"),
        ("arcade-1 is not in the pool; arcade-1 does not answer", "restart-instance"),
        ("arcade-1 is not in the pool", "restart-instance"),
        ("arcade-1 does not answer: the environment dev/x has its port", "platform-up"),
        ("players get 500; the canary arcade-3 answers Register with 500", "set-traffic"),
        ("arcade-1 answers Register with 500; players get 500", "rollback-service"),
        ("arcade-1 takes 612 ms for Info", "rollback-service"),
        (
            "the password of the database stands in logs/x; the API key of the partners stands in logs/x",
            "rotate-secret",
        ),
        ("the API key of the partners stands in logs/x", "rotate-api-key"),
        ("Validation, Players get in by TLS: AssertionError: nobody gets in by TLS: no", "renew-certificate"),
        (
            "Validation, Players get in by TLS: AssertionError: the certificate for TLS ends in 3 days",
            "renew-certificate",
        ),
        ("Diagnosis, Each instance: playbook status.yml: arcade-1 is unreachable", "service-health"),
    ],
)
def test_a_finding_leads_to_what_mends_it(found: str, page: str) -> None:
    leaf = dict(SAYS.answers)[diagnosing.said(SAYS, Finding(False, "", found))]
    assert next(leaf.pages()) == page


def test_no_answer_of_the_page_is_hidden_by_one_before_it() -> None:
    labels = [label for label, _ in SAYS.answers][:-1]
    assert [label for label in labels if diagnosing.said(SAYS, Finding(False, "", label)) != label] == []


def test_each_alert_leads_where_the_tree_leads() -> None:
    rules, problems = alerts.read(ROOT)
    urls = {each.name: each.url for each in rules or () if each.path != "alerts/monitoring.yml"}
    pages = {page for node in TREE.root.below() for page in node.pages()} | {SAYS.check.where if SAYS.check else ""}
    led = {name: Path(urlsplit(re.sub(r"\{\{.*", "", url or "")).path).stem for name, url in urls.items()}
    assert led and not problems
    assert {name: page for name, page in led.items() if page not in pages} == {}
