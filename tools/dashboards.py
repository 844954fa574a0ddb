"""Write dashboards/grafana for those who have Grafana, from dashboards/*.yml: part of `make reference`.

It needs the packages for development; `opsbook serve` plots the same files without them.
"""

from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

from opsbook.serve.dashboards import Dashboard, Panel, load

FOLDER = Path(__file__).resolve().parent.parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
"""A variable: each Grafana has its own name for its Prometheus."""


def files() -> Iterator[tuple[Path, str]]:
    """Each file, and what it has to hold."""
    for path in sorted(FOLDER.glob("*.yml")):
        made = written(load(path), path.stem).build()
        yield FOLDER / "grafana" / f"{path.stem}.json", JSONEncoder(sort_keys=True, indent=2).encode(made) + "\n"


def written(found: Dashboard, name: str) -> dashboard.Dashboard:
    """The dashboard, two panels in a row."""
    made = dashboard.Dashboard(found.title).uid(f"opsbook-{name}").refresh("15s").time("now-1h", "now").readonly()
    made.with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    environments = dashboard.QueryVariable("environment").datasource(SOURCE).query("label_values(up, environment)")
    made.with_variable(environments.label("Environment").refresh(VariableRefresh.ON_DASHBOARD_LOAD))
    for panel in found.panels:
        made.with_panel(plotted(panel))
    return made


def plotted(panel: Panel) -> timeseries.Panel:
    """One plot, with what is usual and the runbook that helps as its description."""
    query = prometheus.Dataquery().expr(panel.query).legend_format(panel.legend).range().ref_id("A")
    helps = f" opsbook run {panel.page.rpartition('/')[2]} -e $environment" if panel.page else ""
    made = timeseries.Panel().title(panel.title).description(panel.about + helps).unit(panel.unit)
    return made.datasource(SOURCE).with_target(query.datasource(SOURCE)).min(0).span(12).height(8)
