"""Earlier runs that succeeded: several of one second are told apart by when they started, not by their ids."""

import json
from pathlib import Path

import pytest

from opsbook.cli import main
from opsbook.core.record import step_timings, store


def written(root: Path, name: str, started: str, **values: str) -> None:
    folder = root / "records/2026/11" / f"20261120T101010Z-page-{name}"
    folder.mkdir(parents=True)
    text = dict.fromkeys(("runbook", "title", "operator", "ended"), "page") | {"run": folder.name, "reason": ""}
    told = text | {"environment": "dev", "started": started, "outcome": "succeeded", "mode": "live", "seconds": 1.0}
    lists = {"steps": [], "effects": [], "unknown": [], "gaps": 0, "parameters": values}
    (folder / store.SUMMARY).write_text(json.dumps(told | lists))
    (folder / "journal.jsonl").write_text("")
    (folder / store.SEAL).write_text("{}")


def test_runs_of_one_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "zzzz", "2026-11-20T10:10:10.100Z", version="1")
    written(tmp_path, "aaaa", "2026-11-20T10:10:10.900Z", version="3")
    written(tmp_path, "mmmm", "2026-11-20T10:10:10.500Z", version="2")
    records = tmp_path / "records"
    assert step_timings.last_values(records, "page", "dev") == {"version": "3"}
    newest = store.exact(records, "20261120T101010Z-page-aaaa")
    assert newest is not None
    assert step_timings.last_good(records, "page", "dev", newest) == "20261120T101010Z-page-mmmm"
    (tmp_path / "opsbook.toml").write_text("")
    (tmp_path / "runbooks").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main.main(["records", "list", "--json"]) == 0
    told = [each["run"][-4:] for each in json.loads(capsys.readouterr().out)]
    assert told == ["aaaa", "mmmm", "zzzz"]
