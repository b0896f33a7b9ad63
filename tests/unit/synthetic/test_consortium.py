"""A study on disk: readable, complete, the same whoever makes it, and true."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pytest

from fmrsflow.cli import main as fmrsflow
from fmrsflow.concentration import TISSUES, Tissue, constants, molal
from fmrsflow.events import conditions
from fmrsflow.fids import from_nifti
from fmrsflow.sheets import read_study
from fmrsflow.stages import demo
from fmrsflow.synthetic.consortium import make, write_sheets
from fmrsflow.synthetic.plan import PRESETS, Participants, load_plan
from fmrsflow.tables import read_table

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "record.json"


def small(preset: str = "demo"):
    plan = load_plan(preset)
    sites = tuple(replace(site, transients=8, points=1024) for site in plan.sites[:2])
    people = Participants(per_site=1, spacing_mm=4.0)
    return replace(plan, sites=sites, participants=people)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    list(make(small(), root))
    return root


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_every_file_that_the_sheets_name_is_there(study):
    rows = read_table(study / "config" / "scans.tsv")
    assert len(rows) == 2
    for row in rows:
        for column in ("mrs", "ref", "t1w", "events"):
            assert (study / row[column]).is_file(), row[column]


def test_sheets_can_be_had_before_the_data_and_are_the_same(study, tmp_path):
    write_sheets(small(), tmp_path)
    for name in ("sites.tsv", "scans.tsv", "participants.tsv"):
        assert (tmp_path / name).read_bytes() == (study / "config" / name).read_bytes()


def test_processes_and_order_do_not_change_a_byte(study, tmp_path):
    plan = small()
    list(make(plan, tmp_path / "two", cores=2))
    assert digests(tmp_path / "two") == digests(study)
    turned = replace(plan, sites=plan.sites[::-1])
    list(make(turned, tmp_path / "turned"))
    ours, theirs = digests(study), digests(tmp_path / "turned")
    scans = [name for name in ours if name.split("/")[0] in ("philips3t", "siemens3t")]
    assert scans and all(ours[name] == theirs[name] for name in scans)


def test_the_record_follows_its_schema(study):
    record = json.loads((study / "record.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text()))
    for path in list(record["truth"].values())[:4]:
        assert (study / path).is_file()
    text = (study / "methods.md").read_text()
    for word in ("seed 2026", "Glu +3 %", "TE 30 ms", "CC0-1.0", "Voigt"):
        assert word in text


def test_events_fit_the_scan(study):
    row = read_table(study / "config" / "scans.tsv")[0]
    events = read_table(study / row["events"])
    assert [float(event["onset"]) for event in events] == [0.0]
    plan = replace(small(), sites=(replace(small().sites[0], transients=40),))
    assert plan.design.rest_s == 32
    from fmrsflow.synthetic.acquisition import blocks

    spans = [
        {"onset": onset, "duration": length, "trial_type": name}
        for onset, length, name in blocks(plan.design, 80.0)
    ]
    labels = conditions(spans, 40, 2.0)
    assert labels == ["rest"] * 16 + ["visual"] * 16 + ["rest"] * 8


def converted(study, row, folder):
    raw = study / row["mrs"]
    if raw.suffix != ".SDAT":
        return from_nifti(nib.load(raw))
    subprocess.run(
        ["spec2nii", "philips", str(raw), str(raw.with_suffix(".SPAR")), "-o", str(folder)],
        check=True,
    )
    return from_nifti(nib.load(next(folder.glob("*.nii.gz"))))


def test_signals_carry_the_true_concentrations(study, tmp_path):
    """Amplitude over water, by the molal formula, gives back the concentration."""
    truth = {row["site"]: row for row in read_table(study / "truth" / "scans.tsv")}
    sites = {row["site"]: row for row in read_table(study / "config" / "sites.tsv")}
    rows = read_table(study / "truth" / "concentrations.tsv")
    assert {row["site"] for row in rows} == set(sites)
    for row in rows:
        here, site = truth[row["site"]], sites[row["site"]]
        parts = {x: float(here[x]) for x in TISSUES}
        tissue = Tissue(**parts)
        relaxation = constants("osprey", float(site["field_t"]))
        times = float(site["te_s"]), float(site["tr_s"])
        found = molal(
            float(row["amplitude"]) / float(here["water_amplitude"]),
            tissue,
            {x: relaxation.water_factor(x, *times) for x in TISSUES},
            relaxation.metabolite_factor(row["metabolite"], tissue, *times),
        )
        assert found == pytest.approx(float(row["mmol_per_kg"]), rel=1e-6)


def test_scans_read_back_with_their_times_and_voxel(study, tmp_path):
    for number, row in enumerate(read_table(study / "config" / "scans.tsv")):
        folder = tmp_path / str(number)
        folder.mkdir()
        fids = converted(study, row, folder)
        assert fids.data.shape == (8, 1, 1024)
        assert fids.tr_s == 2.0
        assert np.linalg.norm(fids.affine[:3, :3], axis=0) == pytest.approx([25, 25, 25], abs=1e-3)
        spectrum = abs(fids.mean().spectra[0, 0])
        window = (fids.ppm > 1.8) & (fids.ppm < 2.2)
        assert fids.ppm[window][np.argmax(spectrum[window])] == pytest.approx(2.01, abs=0.05)


def test_the_voxel_lies_in_the_true_tissue_maps(study):
    row = read_table(study / "truth" / "scans.tsv")[0]
    assert float(row["coverage"]) > 0.95
    anat = study / "truth" / row["site"] / f"sub-{row['subject']}" / "anat"
    maps = [nib.load(path).get_fdata() for path in sorted(anat.glob("*_probseg.nii.gz"))]
    assert len(maps) == 3
    total = sum(maps)
    t1w = nib.load(study / row["site"] / f"sub-{row['subject']}/anat/sub-01_T1w.nii.gz").get_fdata()
    assert np.allclose(total[t1w > 0], 1, atol=0.01)


def test_the_command_writes_sheets_alone_and_tells_a_bad_plan(tmp_path, capsys):
    assert demo.main([str(tmp_path / "a"), "--sheets-only"]) == 0
    assert len(read_table(tmp_path / "a" / "config" / "scans.tsv")) == 12
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\ndescription: y\nsites: []\n")
    assert fmrsflow(["demo", str(tmp_path / "b"), "--preset", str(bad)]) == 1
    assert "line 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "preset", ["standardised-3t", "standardised-7t", "own-protocols", "null", "korotkov2026"]
)
def test_presets_make_scans(preset, tmp_path):
    plan = load_plan(preset)
    people = replace(plan.participants, per_site=1, travelling=0, spacing_mm=4.0)
    regions = plan.regions[:1]
    site = replace(plan.sites[-1], transients=4)
    responses = {name: replace(one, fixed={}) for name, one in plan.responses.items()}
    plan = replace(plan, sites=(site,), participants=people, regions=regions, responses=responses)
    assert len(list(make(plan, tmp_path))) == 1
    assert read_table(tmp_path / "truth" / "transients.tsv")
    record = json.loads((tmp_path / "record.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_the_workflow_accepts_the_sheets_of_every_preset(preset, tmp_path):
    plan = load_plan(preset)
    write_sheets(plan, tmp_path)
    names = ("preprocess", "basis", "fit", "concentration", "response")
    config = {
        "data_root": str(tmp_path),
        **{f"{sheet}_sheet": str(tmp_path / f"{sheet}.tsv") for sheet in ("sites", "scans")},
        "participants_sheet": str(tmp_path / "participants.tsv"),
        "analyses": {"main": dict.fromkeys(names, "plain")},
        "primary": "main",
        **{name: {"plain": {}} for name in names},
    }
    study = read_study(config)
    assert len(study.sites) == len(plan.sites)
    people = {study.person(scan) for scan in study.scans}
    per_site, travelling = plan.participants.per_site, plan.participants.travelling
    assert len(people) == per_site * len(plan.sites) + travelling
