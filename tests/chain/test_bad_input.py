"""Bad input in a study of good scans: each is told with its mend, and every other scan goes on."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from chain_tools import read_records, snakemake, write_config

from digests import STAGES
from fmrsflow.definitions import Package
from fmrsflow.fids import from_nifti, to_nifti
from fmrsflow.provenance import PACKAGE, roots
from fmrsflow.tables import read_table

pytestmark = pytest.mark.slow

TRACED = Path(__file__).with_name("traced")


def _truncated(root, row):
    source = root / row["mrs"]
    (root / "short.SDAT").write_bytes(source.read_bytes()[:20_000])
    shutil.copy(source.with_suffix(".SPAR"), root / "short.SPAR")
    return {"mrs": "short.SDAT"}


def _other_dwell(root, row):
    spar = (root / row["ref"]).with_suffix(".SPAR").read_text()
    (root / "dwell.SPAR").write_text(
        spar.replace("sample_frequency : 2000", "sample_frequency : 2500")
    )
    shutil.copy(root / row["ref"], root / "dwell.SDAT")
    return {"ref": "dwell.SDAT"}


def _other_echo_time(root, row):
    spar = (root / row["mrs"]).with_suffix(".SPAR").read_text()
    (root / "te.SPAR").write_text(spar.replace("echo_time : 30", "echo_time : 68"))
    shutil.copy(root / row["mrs"], root / "te.SDAT")
    return {"mrs": "te.SDAT"}


def _no_event_in_time(root, row):
    (root / "late.tsv").write_text("onset\tduration\ttrial_type\n9000\t16\tvisual\n")
    return {"events": "late.tsv"}


def _one_condition(root, row):
    return {"events": "", "condition": "rest"}


def _no_geometry(root, row):
    return {"t1w": "", "gm": "", "wm": "", "csf": ""}


def _far_voxel(root, row):
    image = nib.load(root / row["t1w"])
    moved = image.affine.copy()
    moved[:3, 3] += 400
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), root / "far_T1w.nii.gz")
    return {"t1w": "far_T1w.nii.gz", "gm": "", "wm": "", "csf": ""}


CASES = {
    "missing": ("convert", "is not there", lambda root, row: {"mrs": "nothing.SDAT"}),
    "truncated": ("convert", "truncated", _truncated),
    "dwell": ("convert", "dwell time", _other_dwell),
    "echo": ("convert", "echo time 68 ms; sites.tsv says 30 ms", _other_echo_time),
    "events": ("preprocess", "no event lies within", _no_event_in_time),
    "single": ("response", "one condition only", _one_condition),
    "not1w": ("anatomy", "no T1w and no tissue maps", _no_geometry),
    "far": ("anatomy", "outside", _far_voxel),
    "noise": ("fit", "", lambda root, row: {"mrs": "noise.nii.gz", "ref": ""}),
}


def true_map(root, row, tissue: str) -> str:
    """Path of the map from which a scan was made, as a sheet names it."""
    truth = root / "truth" / row["site"]
    (path,) = truth.rglob(f"sub-{row['subject']}_*{tissue.upper()}*.nii.gz")
    return str(path.relative_to(root))


def own_files(root, row, name: str) -> dict:
    """A row whose files are copies of another's: no two people have one file. Scan and reference
    differ in the last bits of a value in their middle, since no two have one content either."""
    own = {}
    (root / "own").mkdir(exist_ok=True)
    for column in ("mrs", "ref", "t1w", "gm", "wm", "csf"):
        if source := row[column] and root / row[column]:
            ending = "".join(source.suffixes)
            own[column] = f"own/{name}-{column}{ending}"
            shutil.copy(source, root / own[column])
            if ending == ".SDAT":
                shutil.copy(source.with_suffix(".SPAR"), (root / own[column]).with_suffix(".SPAR"))
    for column in ("mrs", "ref"):
        content = bytearray((root / own[column]).read_bytes())
        content[len(content) // 8 * 4 + 2] ^= 1 + list(CASES).index(name)
        (root / own[column]).write_bytes(content)
    return {**row, **own}


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """The file in which `run` notes the functions that each command called."""
    return tmp_path_factory.mktemp("called") / "functions"


@pytest.fixture(scope="module")
def run(tiny_data, tmp_path_factory, called):
    """One good scan of site alpha and one scan for each kind of bad input."""
    folder = tmp_path_factory.mktemp("bad")
    root = folder / "data"
    shutil.copytree(tiny_data, root)
    sheet = root / "config" / "scans.tsv"
    good = next(row for row in read_table(sheet) if row["site"] == "alpha")
    good = {key: "" if value == "n/a" else value for key, value in good.items()}
    fids = from_nifti(nib.load(next((root / "beta").rglob("*_svs.nii.gz"))))
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(32, 1, 1024)) + 1j * rng.normal(size=(32, 1, 1024))
    noisy = replace(fids.with_data(noise), header={})  # of the other site's vendor
    nib.save(to_nifti(noisy), root / "noise.nii.gz")
    # Nearly all cases take the true maps, which spares their segmentation.
    maps = {tissue: true_map(root, good, tissue) for tissue in ("gm", "wm", "csf")}
    rows = [{**good, **dict.fromkeys(maps, "")}]
    for name, (_, _, change) in CASES.items():
        row = own_files(root, {**good, **maps}, name)
        rows.append({**row, "subject": name, **change(root, row)})
    text = ["\t".join(rows[0])] + ["\t".join(row.values()) for row in rows]
    sheet.write_text("\n".join(text) + "\n")
    # Most cases are copies of one scan with the same noise.
    write_config(folder, participants_sheet=None, batch=5, same_content=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMRSFLOW_CALLED", str(called))
        patch.setenv("PYTHONPATH", str(TRACED), prepend=os.pathsep)
        snakemake(folder, "--cores", "2")
    return folder / "results"


@pytest.fixture(scope="module")
def records(run):
    return {
        (one["stage"], one["scan"].get("subject")): one
        for one in read_records(run)
        if "scan" in one
    }


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_where_it_begins(records, name):
    stage, message, _ = CASES[name]
    record = records[stage, name]
    assert record["status"] == "failed"
    assert record["failed_at"] == stage
    assert message in record["reason"]


def test_the_good_scan_reaches_the_answer(run, records):
    assert {record["status"] for (_, who), record in records.items() if who == "01"} == {"ok"}
    assert (run / "main" / "report" / "scans" / "alpha" / "sub-01_task-visual.html").exists()
    assert (run / "main" / "report" / "index.html").exists()


def test_no_geometry_costs_the_tissue_correction_alone(records):
    """Without a T1w the change of ratios and amplitudes is still there."""
    assert records["response", "not1w"]["status"] == "ok"


def test_every_problem_stands_in_one_table(run):
    text = "\n".join(row["text"] for row in read_table(run / "main" / "sites" / "problems.tsv"))
    for stage, message, _ in CASES.values():
        assert message in text, (stage, message)


def test_every_function_that_ran_counts_for_the_digest_of_its_stage(run, called):
    """What a stage calls is among what its digest reaches, whatever way the call took."""
    lines = {tuple(line.split("\t")) for line in called.read_text().splitlines()}
    # What Snakemake calls is no stage, and a lambda has no name of its own: its constant has one.
    lines = {line for line in lines if line[0] in STAGES and "<lambda>" not in line[2]}
    stages = {stage for stage, _, _ in lines}
    assert {"convert", "segment", "anatomy", "basis", "preprocess", "fit", "quantify"} <= stages
    assert {"response", "sites", "report"} <= stages
    assert len(lines) > 500
    package = Package(PACKAGE)
    reached = {stage: package.reached(*roots(stage)) for stage in stages}
    # The command itself chooses the stage and settles what `roots` name.
    called = {line for line in lines if line[1] not in ("fmrsflow.cli", "fmrsflow.__main__")}
    assert {line for line in called if line[1:] not in reached[line[0]]} == set()
