"""The training matrix: who has passed what, role by role, as far as each environment publishes it."""

from opsbook.html import render
from opsbook.site.lists import Sources, address

PATH = "training-status.md"


def training(sources: Sources) -> str:
    """People × requirements of their roles, as of the build."""
    return render(
        "site/training.md",
        sources=sources,
        training=sources.training,
        pages={runbook.name: address(runbook) for runbook in sources.runbooks},
        hidden={each.name for each in sources.environments if each.policy.publish_records == "none"},
        listed={run.id for run in sources.runs},
    )
