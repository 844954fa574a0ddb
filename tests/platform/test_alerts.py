"""The alerts: each is tested, says what it must and leads to its page, and comes when it should."""

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from opsbook import settings
from opsbook.core.catalog import catalog
from tests.platform.monitored import ALERTS, installed, ran
from tests.support import ROOT

HOURS = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
SHORTER = {"1h": "5m", "6h": "30m", "1d": "2h", "3d": "6h"}
LIMIT = re.compile(r"_(?:bad|slow):ratio(\w+) > ([\d.]+) \* 30 \* 24 / (\d+) \* \(1 - ([\d.]+)\)")


def test_each_alert_is_tested_when_it_comes_and_when_it_does_not() -> None:
    tried: dict[str, set[bool]] = defaultdict(set)
    for path in ROOT.glob("alerts/tests/*.yml"):
        for scenario in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for each in scenario["alert_rule_test"]:
                tried[each["alertname"]].add(bool(each["exp_alerts"]))
    assert set(tried) == set(ALERTS)
    # Watchdog never ends.
    assert {name: each for name, each in tried.items() if each != {True, False}} == {"Watchdog": {True}}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_what_it_must(name: str) -> None:
    labels, annotations = ALERTS[name]["labels"], ALERTS[name]["annotations"]
    # It opens no incident, as long as it comes.
    assert labels["severity"] in (("none",) if name == "Watchdog" else ("critical", "high", "medium", "low"))
    assert labels["team"] == "platform"
    assert labels["service"] in ("arcade", "monitoring")
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert re.search("play|Player|nobody", annotations["description"])


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_leads_to_a_page_that_names_it(name: str) -> None:
    """And the page's form is given the values of its parameters."""
    url = urlsplit(re.sub(r"\{\{.*?\}\}", "value", ALERTS[name]["annotations"]["runbook_url"], flags=re.DOTALL))
    page = catalog.load(settings.load(ROOT), Path(url.path).stem)
    assert url.path == f"runbooks/{page.name}.html"
    assert name in page.front.alerts
    given = set(parse_qs(url.query, strict_parsing=True)) - {"environment"}
    assert given <= {parameter.name for parameter in page.parameters}
    assert "environment=value" in url.query


@pytest.mark.parametrize("name", [name for name in ALERTS if "Budget" in name])
def test_limits_are_computed_from_their_window(name: str) -> None:
    expression = ALERTS[name]["expr"]
    found = LIMIT.findall(expression)
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert len(pairs) == 2
    for (long, *limit), (short, *same) in pairs:
        assert limit == same
        assert (short, int(limit[1])) == (SHORTER[long], HOURS[long])
        assert re.search(rf"increase{long if long != '3d' else '3d|1d'} >= \d+", expression)
        assert limit[2] == ("0.999" if "Error" in name else "0.99")


@installed
@pytest.mark.slow
def test_the_alerts_come_when_they_should() -> None:
    files = sorted(ROOT.glob("alerts/tests/*.yml"))
    assert files
    with ThreadPoolExecutor() as executor:
        done = list(executor.map(lambda path: ran("promtool", "test", "rules", str(path)), files))
    assert all(each.returncode == 0 for each in done), "\n".join(each.stdout + each.stderr for each in done)
