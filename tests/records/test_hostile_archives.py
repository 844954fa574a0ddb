"""Archives that nobody should have made: refused with one sentence, and not a byte outside the staging folder."""

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import archives, unpack
from opsbook.records import export as manifest
from tests.support.project import Project
from tests.support.sealed import make

RUN = "20261120T000000Z-page-abcd"
PLACE = f"2026/11/{RUN}"
NAMED = {"seal": "0" * 64, "signature": None}

Write = Callable[[tarfile.TarFile], None]


def member(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    for field, value in fields.items():
        setattr(header, field, value)
    return header, io.BytesIO(data)


def told(**records: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    content = {"format": 1, "exported": "2026-11-20T00:00:00.000Z", "by": "eve@host", "records": records}
    return member(manifest.NAME, json.dumps(content).encode())


def archive(path: Path, write: Write, *, named: bool = True) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as out:
        if named:
            out.addfile(*told(**{RUN: NAMED}))
        write(out)
    return path


def adding(name: str, data: bytes = b"x", **fields: object) -> Write:
    return lambda out: out.addfile(*member(name, data, **fields))


def twice(out: tarfile.TarFile) -> None:
    out.addfile(*member(f"{PLACE}/a"))
    out.addfile(*member(f"{PLACE}/a"))


def file_and_folder(out: tarfile.TarFile) -> None:
    out.addfile(*member(f"{PLACE}/a"))
    out.addfile(*member(f"{PLACE}/a/b"))


def huge_name(out: tarfile.TarFile) -> None:
    out.addfile(*member(f"{PLACE}/{'x' * 300}"))


def huge_header(out: tarfile.TarFile) -> None:
    out.addfile(*member(f"{PLACE}/a", pax_headers={"comment": "x" * 3_000_000}))


def claims(size: int) -> Write:
    """A header that promises more than follows."""

    def write(out: tarfile.TarFile) -> None:
        header, _ = member(f"{PLACE}/a")
        header.size = size
        assert out.fileobj is not None
        out.fileobj.write(header.tobuf(tarfile.GNU_FORMAT))

    return write


def negative(kind: bytes) -> Write:
    """A header with a size below zero: an old tarfile goes round in circles there."""

    def write(out: tarfile.TarFile) -> None:
        header, _ = member(f"{PLACE}/a", type=kind)
        raw = bytearray(header.tobuf(tarfile.USTAR_FORMAT))
        raw[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")
        raw[148:156] = b" " * 8
        raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
        assert out.fileobj is not None
        out.fileobj.write(bytes(raw))

    return write


def pax_size(out: tarfile.TarFile) -> None:
    header, _ = member(f"{PLACE}/a", b"", pax_headers={"size": "-5"})
    out.addfile(header)


def sparse(out: tarfile.TarFile) -> None:
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5", "GNU.sparse.name": "x"}
    out.addfile(*member(f"{PLACE}/a", b"0\n" + b"\0" * 510, pax_headers=fields))


HOSTILE: dict[str, tuple[Write, str]] = {
    "absolute": (adding("/etc/passwd"), "has a name that no file of a record has"),
    "up": (adding(f"{PLACE}/../../../../evil"), "has a name that no file of a record has"),
    "up at once": (adding("../evil"), "has a name that no file of a record has"),
    "dot": (adding(f"{PLACE}/./a"), "has a name that no file of a record has"),
    "two slashes": (adding(f"{PLACE}//a"), "has a name that no file of a record has"),
    "deep": (adding(f"{PLACE}/{'d/' * 900}a"), "has a name that no file of a record has"),
    "beside": (adding("2026/11/evil"), "does not lie in the folder of a record"),
    "said of nothing": (adding("reviews/evil.json", b"{}"), "does not lie in the folder of a record"),
    "said elsewhere": (adding(f"holds/{RUN}.json", b"{}"), "does not lie in the folder of a record"),
    "said otherwise": (adding(f"training/{RUN}.html", b"{}"), "does not lie in the folder of a record"),
    "said at length": (adding(f"reviews/{RUN}.sig", b"x" * 2**21), "is larger than anything that is said of a run"),
    "the log": (adding("pruned.jsonl", b"{}"), "does not lie in the folder of a record"),
    "hidden": (adding(".importing/x/y/z"), "does not lie in the folder of a record"),
    "no run": (adding("2026/11/../11/evil/a"), "has a name that no file of a record has"),
    "another month": (adding(f"2026/10/{RUN}/a"), "does not lie in the folder of a record"),
    "quarantine": (adding(f"quarantine/{RUN}/a/b"), "does not lie in the folder of a record"),
    "link": (adding(f"{PLACE}/a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is no plain file"),
    "hard link": (adding(f"{PLACE}/a", b"", type=tarfile.LNKTYPE, linkname="export.json"), "is no plain file"),
    "device": (adding(f"{PLACE}/a", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "is no plain file"),
    "pipe": (adding(f"{PLACE}/a", b"", type=tarfile.FIFOTYPE), "is no plain file"),
    "folder": (adding(f"{PLACE}/a", b"", type=tarfile.DIRTYPE), "is no plain file"),
    "unknown kind": (adding(f"{PLACE}/a", b"", type=b"Z"), "is no plain file"),
    "sparse": (sparse, "is no plain file"),
    "twice": (twice, "is in it twice"),
    "the manifest twice": (lambda out: out.addfile(*told()), "is in it twice"),
    "file and folder": (file_and_folder, "cannot be unpacked"),
    "long name": (huge_name, "cannot be unpacked: File name too long"),
    "large header": (huge_header, "a header is too large"),
    "larger than the disk": (claims(2**60), "needs more room than there is"),
    "shorter than it says": (claims(100_000), "it ends in the middle of a file"),
    "negative": (negative(tarfile.REGTYPE), "has a size that cannot be|damaged"),
    "negative header": (negative(tarfile.XHDTYPE), "a header is too large|damaged"),
    "negative long name": (negative(tarfile.GNUTYPE_LONGNAME), "a header is too large|damaged"),
    "size below zero": (pax_size, "has a size that cannot be|damaged"),
}


def refused(project: Project, path: Path) -> str:
    """The sentence; and nothing came in, nor stayed."""
    before = sorted(str(p) for p in project.root.parent.rglob("*"))
    with pytest.raises(InputError) as error:
        archives.import_records(settings.load(project.root, given=True), path, lambda _a, _b: None)
    left = {str(p) for p in project.root.parent.rglob("*")} - set(before)
    assert left <= {str(project.root / "records"), str(project.root / "records/.import-guard")}
    assert len(error.value.message) < 500
    assert error.value.hint
    return error.value.message


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused(project: Project, what: str) -> None:
    write, said = HOSTILE[what]
    message = refused(project, archive(project.root / "evil.tar.gz", write))
    assert pytest.RaisesExc(InputError, match=said).matches(InputError(message)), message


def test_too_many_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST", 20)

    def many(out: tarfile.TarFile) -> None:
        for number in range(21):
            out.addfile(*member(f"{PLACE}/{number}"))

    assert f"has more than 20 files of {RUN}" in refused(project, archive(project.root / "evil", many))


def test_what_is_no_archive(project: Project) -> None:
    good = archive(project.root / "good", adding(f"{PLACE}/a", os.urandom(5000)))
    packed = good.read_bytes()
    cases = {
        "empty": b"",
        "text": b"hello",
        "gzip of text": gzip.compress(b"hello" * 1000),
        "gzip of nothing": gzip.compress(b""),
        "a plain tar": gzip.decompress(packed),
        "cut": packed[: len(packed) // 2],
        "cut at the end": packed[:-4],
        "a wrong sum": packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "more behind it": packed + gzip.compress(b"more"),
        "zeros without end": gzip.compress(gzip.decompress(packed) + b"\0" * 3_000_000),
        "a header changed": gzip.compress(gzip.decompress(packed).replace(b"2026/11/", b"2026/12/")),
    }
    for what, data in cases.items():
        path = project.root / "evil"
        path.write_bytes(data)
        assert refused(project, path).startswith(f"{path} is"), what


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"format":2,"exported":"","by":"","records":{}}',
     b'{"format":1,"exported":"","by":"","records":{"a":{"seal":"x","signature":null}}}'],
)  # fmt: skip
def test_a_manifest_that_is_none(project: Project, data: bytes) -> None:
    path = archive(project.root / "evil", adding(manifest.NAME, data), named=False)
    assert "has an export.json that cannot be read" in refused(project, path)


def test_a_manifest_has_to_come_first(project: Project) -> None:
    path = archive(project.root / "evil", adding(f"{PLACE}/a"), named=False)
    assert "does not begin with export.json" in refused(project, path)
    nothing = archive(project.root / "nothing", lambda _: None, named=False)
    assert "is damaged, or no export" in refused(project, nothing)


def test_records_that_do_not_agree_are_refused_one_by_one(project: Project, tmp_path: Path) -> None:
    """The archive is well made, but its records are not what they say."""
    source = Project(tmp_path / "source")
    source.write("opsbook.toml", "")
    good, changed, unnamed, sealed, gone = (make(source, days) for days in range(1, 6))
    seals = {run.name: manifest.sealed(run).model_dump() for run in (good, changed, sealed, gone)}
    seals[sealed.name]["seal"] = "0" * 64
    (changed / "record.json").write_text("{}")

    def write(out: tarfile.TarFile) -> None:
        out.addfile(*told(**seals))
        for folder in (good, changed, unnamed, sealed):
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                name = f"{store.place(Path(), folder.name)}/{path.relative_to(folder)}"
                out.addfile(*member(name, path.read_bytes()))

    path = archive(tmp_path / "mixed", write, named=False)
    found = archives.import_records(settings.load(project.root, given=True), path, lambda _a, _b: None)
    assert {one.run: (one.result, one.why) for one in found} == {
        good.name: ("imported", ""),
        changed.name: ("refused", "it is not as it was sealed: record.json: was changed after the seal"),
        unnamed.name: ("refused", "export.json does not name it"),
        sealed.name: ("refused", "its seal is not the one that export.json names"),
        gone.name: ("refused", "export.json names it, but it is not in the archive"),
    }
    assert [path.name for path in project.records()] == [good.name]


@pytest.mark.slow
def test_a_bomb_takes_no_memory(project: Project) -> None:
    """Two gigabytes in a header, two megabytes packed."""
    path = project.root / "bomb"
    header, _ = member("x", type=tarfile.GNUTYPE_LONGNAME)
    header.size = 2 * 1024**3
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(2048):
            out.write(bytes(1024 * 1024))
    command = ["bash", "-c", 'ulimit -v 1000000; "$@"', "-", *project.command("records", "import", str(path))]

    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "a header is too large" in done.stderr
