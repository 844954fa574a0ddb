"""Print a link with which your browser acts as you on the pages of opsbook serve.

It is valid once, for 5 minutes; you stay signed in for 12 hours, or until the server ends. Whoever has the link acts as
you, so keep it to yourself.
"""

import argparse

from opsbook.console import common
from opsbook.core.planning import context
from opsbook.serve import sessions
from opsbook.serve.commands.serve import origin


def execute(options: argparse.Namespace) -> int:
    who, place = context.operator(), origin(options.address) or f"http://127.0.0.1:{options.port}"
    link = f"{place}/sign-in?key={sessions.make_link(common.project(options), who)}"
    return common.tell(options, {"link": link, "who": who}, f"As {who}, once, in the next 5 minutes:", f"  {link}")
