"""dashboards/: what is written for Grafana is what the files say, and each plot leads to a page that is there."""

from opsbook.serve.dashboards import load
from tests.support import ROOT
from tools import dashboards


def test_what_grafana_gets_is_what_the_files_say() -> None:
    made = dict(dashboards.files())
    assert made and {path: path.read_text(encoding="utf-8") for path in made} == made
    assert sorted((ROOT / "dashboards/grafana").iterdir()) == sorted(made)


def test_each_plot_says_what_is_usual_and_leads_to_a_page() -> None:
    panels = [panel for path in (ROOT / "dashboards").glob("*.yml") for panel in load(path).panels]
    assert [panel.title for panel in panels if not panel.about or "$environment" not in panel.query] == []
    assert [panel.page for panel in panels if panel.page and not (ROOT / f"{panel.page}.md").is_file()] == []
