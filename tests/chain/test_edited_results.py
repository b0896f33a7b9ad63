"""An edited table, record, array or image of any stage is refused by whoever reads it.

The cases come from a real run: every record names what its job opened, so each kind of file that
each reader opens is edited once, and the reader is called again.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fmrsflow.bundles import LEAVES
from fmrsflow.cli import main as fmrsflow
from fmrsflow.errors import DataError
from fmrsflow.report.read import peers, read_scan
from fmrsflow.results import Results, read_record
from fmrsflow.stages.synthetic import read_results
from fmrsflow.stages.verify import changes
from fmrsflow.study import STAGE_SETTINGS, Study


@pytest.fixture
def run(tiny_run, tmp_path, monkeypatch) -> Path:
    """The run again, to be damaged; files are written by renaming, so links keep the first whole.

    Its folder is the current one, as for a user.
    """
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder, copy_function=os.link, ignore=lambda *_: {".snakemake"})
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def study(tiny_run) -> Study:
    return Study.load(tiny_run / "results" / "study.json")


def edit(path: Path) -> None:
    """Change one value of a file, so that it can still be read."""
    content = path.read_bytes()
    if path.name.endswith(".nii.gz"):
        raw = bytearray(gzip.decompress(content))
        raw[-5] ^= 1
        changed = gzip.compress(bytes(raw), mtime=0)
    elif path.suffix == ".npz":
        with np.load(io.BytesIO(content)) as arrays:
            values = {name: arrays[name] for name in arrays}
        name = next(name for name, one in values.items() if one.dtype.kind in "fc" and one.size)
        values[name] = 1.1 * values[name]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **values)
        changed = buffer.getvalue()
    elif path.suffix in (".tsv", ".json"):
        place = max(n for n, byte in enumerate(content) if chr(byte).isalnum())
        new = b"2" if content[place : place + 1] != b"2" else b"3"
        changed = content[:place] + new + content[place + 1 :]
    else:
        changed = content[:-8] + b"\0" + content[-7:]
    assert changed != content
    path.unlink()
    path.write_bytes(changed)


def kind(name: str) -> str:
    """A file without its folder and scan: `desc-fit_result.npz`, `sites/meta.tsv`."""
    path = Path(name)
    own = re.search(r"desc-.*", path.name)
    return own[0] if own else f"{path.parent.name}/{path.name}"


def read_by(results: Path) -> dict[tuple[str, str], tuple[dict, str]]:
    """(stage that reads, kind of file) -> its record and the first such file."""
    found: dict[tuple[str, str], tuple[dict, str]] = {}
    for path in sorted(results.rglob("*record.json")):
        if "cache" in path.parts:
            continue
        record = read_record(path)
        reader = "multiverse" if path.parent.name == "multiverse" else record["stage"]
        for name in record["inputs"]:
            found.setdefault((reader, kind(name)), (record, name))
    return found


def again(record: dict, reader: str, study: Study) -> tuple[list[str], Path | None]:
    """The command of a record, and where it writes that of a scan."""
    if reader == "multiverse":
        return ["sites", "--multiverse"], None
    if "analysis" in record:
        option = ["--analysis"] if reader == "bold" else []
        return [reader, *option, record["analysis"]], None
    names = study.config["analyses"]["main"]
    own = {name: names[name] for name in STAGE_SETTINGS[reader]}
    entities = record["scan"]
    item = next(one for one in study.items(reader) if one.entities == entities)
    path = study.record_path(reader, own, item)
    return [reader, *(["-".join(own.values())] if own else []), item.key], path


GROUPS = {
    "sites": "sites/problems.tsv",
    "bold": "bold/concordance.tsv",
    "report": "report/*.html",
}
"""Stages over all scans, which go on without the scan, and where they say why."""


def jobs_of(cases: dict) -> list[tuple[str, dict, list[str]]]:
    """(reader, its record, files to edit before it runs once).

    A stage over all scans takes a file of one kind of each scan, so that it runs once for several
    kinds: `sites` takes 13 s whatever is edited.
    """
    found = []
    together: dict[str, list[tuple[dict, str]]] = {}
    for (reader, of), (record, name) in sorted(cases.items(), key=str):
        if reader in GROUPS and of.startswith("desc-") and "basis" not in of:
            together.setdefault(reader, []).append((record, of))
        else:
            found.append((reader, record, [name]))
    for reader, some in together.items():
        record = some[0][0]
        while some:
            files, scans = [], set()
            for one in list(some):
                names = (name for name in record["inputs"] if kind(name) == one[1])
                name = next((name for name in names if scan_of(name) not in scans), None)
                if name:
                    files.append(name)
                    scans.add(scan_of(name))
                    some.remove(one)
            found.append((reader, record, files))
    return found


def scan_of(name: str) -> str:
    """Site and stem of a file of a scan."""
    return "/".join(Path(name).parts[1:]).partition("_desc-")[0]


def test_every_stage_refuses_what_was_edited(tiny_run, study, tmp_path, capsys, monkeypatch):
    """Each kind of file that each stage opens; a scan is left without a record, and done again."""
    cases = read_by(tiny_run / "results")
    readers = {reader for reader, _ in cases}
    assert readers >= {"preprocess", "anatomy", "fit", "quantify", "response", "sites", "bold"}
    assert readers >= {"report", "multiverse"}
    opened = {of for _, of in cases}
    assert len(opened) > 25
    assert {Path(of).suffix for of in opened} >= {".json", ".tsv", ".npz", ".gz"}
    jobs = jobs_of(cases)
    edited = {(reader, kind(name)) for reader, _, names in jobs for name in names}
    assert edited == set(cases)
    believed = []
    for number, (reader, record, names) in enumerate(jobs):
        folder = tmp_path / str(number)
        shutil.copytree(
            tiny_run / "results", folder / "results", copy_function=os.link,
            ignore=lambda *_: {"logs", "cache"},
        )  # fmt: skip
        (folder / "data").symlink_to(tiny_run / "data")
        monkeypatch.chdir(folder)
        for name in names:
            edit(folder / "results" / name)
        command, written = again(record, reader, study)
        code = fmrsflow(command)
        said = capsys.readouterr().err
        # Pages are made of what is left, whatever was edited, and say what is not.
        goes_on = reader == "report" or (reader in GROUPS and "desc-" in names[0])
        texts = [said]
        if goes_on:
            made = (folder / "results" / "main").glob(GROUPS[reader])
            texts += [path.read_text() for path in made]
        told = code == (0 if goes_on else 1)
        told = told and all(any(Path(name).name in text for text in texts) for name in names)
        if written is not None:
            told = told and not (folder / written).exists()
        if not told:
            believed.append((reader, names, code, said[-300:]))
        shutil.rmtree(folder)
    assert believed == []


def test_the_page_of_a_scan_says_what_was_edited_and_shows_nothing_of_it(run, study):
    scan = next(scan for scan in study.scans)
    results = Results(study)
    read_scan(results, "main", scan, peers(results, "main"))
    files = {kind(name): name for name in sorted(results.inputs)}
    shown = {"desc-response_change.tsv", "desc-fit_result.npz", "desc-anatomy_voxel.png"}
    assert shown <= set(files)
    page = run / "results" / "main" / "report" / "scans" / scan.site / f"{scan.stem}.html"
    for of, name in files.items():
        path = run / "results" / name
        whole = path.read_bytes()
        edit(path)
        code = fmrsflow(["report", "main", scan.key])
        assert code == 0 and path.name in page.read_text(), of
        path.unlink()
        path.write_bytes(whole)


def test_a_bundle_never_packs_what_was_edited(run, study, capsys):
    results, names = Results(study), study.config["analyses"]["main"]
    for stage, kinds in LEAVES.items():
        if stage == "bold":  # the tiny study has no runs of it; tests/unit/test_bundles.py has
            continue
        item = next(one for one in study.items(stage) if one.site == "alpha")
        output = results.of(stage, names, item)
        for what in ("record.json", *(one for one in kinds if output.has(one))):
            path = run / output.place(what)
            whole = path.read_bytes()
            edit(path)
            assert fmrsflow(["bundle", "alpha", "--out", "a.zip"]) == 1, path
            assert path.name in capsys.readouterr().err
            assert not Path("a.zip").exists()
            path.unlink()
            path.write_bytes(whole)


def test_verify_sees_every_kind_of_edit(run, study):
    """Of each stage, analysis and multiverse: a file of each kind, and the record."""
    files: dict[tuple[str, str], Path] = {}
    for path in sorted((run / "results").rglob("*record.json")):
        record = read_record(path)
        folder = path.parent.name if path.name == "record.json" else "scans"
        for name in (path.name, *record["files"]):
            found = kind(name) if folder == "scans" else name
            files.setdefault((f"{folder} {record['stage']}", found), path.parent / name)
    stages = {stage for stage, _ in files}
    assert stages >= {f"scans {one}" for one in STAGE_SETTINGS if one != "bold"}
    assert stages >= {"sites sites", "bold bold", "report report", "multiverse sites"}
    # The files of an edited record are not known any more: those are edited last.
    for are_records in (False, True):
        some = [path for path in files.values() if ("record.json" in path.name) is are_records]
        assert len(some) > (10 if are_records else 80)
        for path in some:
            edit(path)
        seen = {path for path, _ in changes(Path("results"), study)}
        assert {str(path.relative_to(run)) for path in some} <= seen


@pytest.mark.parametrize(
    ("stage", "what", "read"),
    [
        ("preprocess", "average.nii.gz", lambda: read_results(Path("results"))),
        ("quantify", "concentrations.tsv", lambda: read_results(Path("results"))),
        ("fit", "record.json", lambda: read_results(Path("results"))),
    ],
)
def test_a_comparison_refuses_what_was_edited(run, study, stage, what, read):
    output = Results(study).of(stage, study.config["analyses"]["main"], study.scans[0])
    edit(output.place(what))
    with pytest.raises(DataError, match=re.escape(output.place(what).name)):
        read()


@pytest.mark.parametrize(("stage", "what"), [("fit", "result.npz"), ("preprocess", "svs.nii.gz")])
def test_view_and_plan_refuse_what_was_edited(run, study, stage, what, capsys):
    path = Results(study).of(stage, study.config["analyses"]["main"], study.scans[0]).place(what)
    assert fmrsflow(["view", str(path), "-o", "x.html"]) == 0
    edit(path)
    capsys.readouterr()
    assert fmrsflow(["view", str(path), "-o", "y.html"]) == 1
    assert path.name in capsys.readouterr().err and not Path("y.html").exists()
    edit(Results(study).group("sites", "main").place("power.tsv"))
    with pytest.raises(DataError, match=r"power\.tsv is not what was written"):
        Results(study).group("sites", "main").table("power")
    assert fmrsflow(["plan", "--study", "results/study.json", "--sites", "4"]) == 1
