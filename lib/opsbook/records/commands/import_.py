"""Take the records of an export into this project's folder.

Each record is compared with its seal and with export.json, then moved in as a whole. A run that is here already is left
unchanged; one that is here with another seal is refused. Statements about a record (a review, a training record, a
sign-off) are imported too, unless different ones are here. Exit code 1 if any record was refused.
"""

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from opsbook.console import common
from opsbook.console.text import say
from opsbook.records import archives


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, metavar="FILE", help="what opsbook records export wrote")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    with common.progress("importing", quiet=options.json) as tell:
        found = archives.import_records(settings, options.archive, tell)
    count = Counter(one.result for one in found)
    if options.json:
        common.print_json([asdict(one) for one in found])
        return 1 if count["refused"] else 0
    for one in found:
        if one.result != "imported" or one.why:
            say(f"{one.run}: {one.result}{': ' if one.why else ''}{one.why}")
    say(f"{count['imported']} imported, {count['there already']} there already, {count['refused']} refused")
    return 1 if count["refused"] else 0
