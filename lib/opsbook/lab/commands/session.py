"""Serve the gate of a notebook that was opened outside a run. The notebook's kernel starts it."""

import argparse

from opsbook.console import common
from opsbook.core.catalog import catalog
from opsbook.core.planning import bind
from opsbook.lab import session_run


def execute(options: argparse.Namespace) -> int:
    secrets = {name: given[-1] for name, given in bind.pairs(options.secret).items()}
    settings = common.project(options)
    if options.replay:
        session_run.replay_session(settings, options.socket, options.replay, asks=options.asks)
    else:
        page = catalog.load(settings, options.page) if options.page else session_run.page_of(settings, options.notebook)
        session_run.session(settings, options.socket, options.environment, secrets, page)
    return 0
