"""The use cases. Only what is in here sees every stage; the edges (cli, web) call it and print.

A run, in order: read the runbook, load the environment, bind the parameters, resolve secrets, check that
every known question can be answered; only then is there a record; then the lock, then the engine, then
the seal. What is refused before the record exists leaves nothing behind.
"""

from opsbook.flow.allowing import needed
from opsbook.flow.anchoring import Anchored, Compared, against_anchor, anchor
from opsbook.flow.approving import Shown, decide, planned_again, request, waiting_plans, waits
from opsbook.flow.approving import show as show_request
from opsbook.flow.archives import Chosen, export_records, import_records
from opsbook.flow.certificates import certificate, write_certificate
from opsbook.flow.context import ansible_bin, operator
from opsbook.flow.control import send, unlock
from opsbook.flow.diagnosing import load as tree
from opsbook.flow.diagnosing import walk
from opsbook.flow.doctor import Check, project_checks, runbook_checks
from opsbook.flow.drafts import Draft, Request, draft, plan
from opsbook.flow.drill_clock import TRAINEE
from opsbook.flow.drill_clock import Progress as DrillProgress
from opsbook.flow.drill_clock import progress_of as drill_progress
from opsbook.flow.drilling import diagnose, hint
from opsbook.flow.drilling import finish as finish_drill
from opsbook.flow.drills import check_par, drill, drills, told
from opsbook.flow.lab import Lab, Lesson, lesson, opened_lab
from opsbook.flow.notebooks import run_notebook
from opsbook.flow.publishing import publish, stale
from opsbook.flow.recordings import find as find_recordings
from opsbook.flow.recordings import record as make_recording
from opsbook.flow.recordings import without as without_recording
from opsbook.flow.resuming import missing_secrets, resume, rollback, stopped
from opsbook.flow.retention import hold, prune, release
from opsbook.flow.reviewing import FollowUp, follow_ups, review
from opsbook.flow.running import Finished, Manner, OnStart, run
from opsbook.flow.scanning import Scanned, restore, scan
from opsbook.flow.scanning import redactor as secrets_of
from opsbook.flow.scanning import references as secrets_in
from opsbook.flow.sessions import replay_session, session
from opsbook.flow.sign_offs import sign_off
from opsbook.flow.signing import Verified, verified
from opsbook.flow.site_place import check_place, mark_place
from opsbook.flow.site_tree import write_tree
from opsbook.flow.standings import PLAN as TRAINING_PLAN
from opsbook.flow.standings import training
from opsbook.flow.testing import Tested
from opsbook.flow.testing import every as test_recordings
from opsbook.flow.watching import EVERY, Watched, under_way, watch
from opsbook.policy.requests import Request as WaitingPlan
from opsbook.run.engine import ACCEPT, Wishes
from opsbook.source.trees import names as trees

__all__ = [
    "ACCEPT",
    "EVERY",
    "TRAINEE",
    "TRAINING_PLAN",
    "Anchored",
    "Check",
    "Chosen",
    "Compared",
    "Draft",
    "DrillProgress",
    "Finished",
    "FollowUp",
    "Lab",
    "Lesson",
    "Manner",
    "OnStart",
    "Request",
    "Scanned",
    "Shown",
    "Tested",
    "Verified",
    "WaitingPlan",
    "Watched",
    "Wishes",
    "against_anchor",
    "anchor",
    "ansible_bin",
    "certificate",
    "check_par",
    "check_place",
    "decide",
    "diagnose",
    "draft",
    "drill",
    "drill_progress",
    "drills",
    "export_records",
    "find_recordings",
    "finish_drill",
    "follow_ups",
    "hint",
    "hold",
    "import_records",
    "lesson",
    "make_recording",
    "mark_place",
    "missing_secrets",
    "needed",
    "opened_lab",
    "operator",
    "plan",
    "planned_again",
    "project_checks",
    "prune",
    "publish",
    "release",
    "replay_session",
    "request",
    "restore",
    "resume",
    "review",
    "rollback",
    "run",
    "run_notebook",
    "runbook_checks",
    "scan",
    "secrets_in",
    "secrets_of",
    "send",
    "session",
    "show_request",
    "sign_off",
    "stale",
    "stopped",
    "test_recordings",
    "told",
    "training",
    "tree",
    "trees",
    "under_way",
    "unlock",
    "verified",
    "waiting_plans",
    "waits",
    "walk",
    "watch",
    "without_recording",
    "write_certificate",
    "write_tree",
]
