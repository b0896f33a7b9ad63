"""A published dataset: what is in it, what is not, and that it is read as the study was."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import to_nifti
from fmrsflow.publish.dataset import Choices, publish
from fmrsflow.publish.names import names_of
from fmrsflow.results import Results
from fmrsflow.sheets import read_config, read_study
from fmrsflow.stages import init
from fmrsflow.study import Scan
from fmrsflow.tables import read_table
from publish_tools import (
    EVENTS,
    a_head,
    a_scan,
    a_study,
    contents,
    converted,
    maps_of,
    record,
    save,
    segmented,
    series,
    sidecar,
    with_scalp,
)

CHOICES = Choices("A set")
NAME = "JANEDOE"


def read_again(out, results) -> tuple:
    """The study that a dataset's own configuration describes, converted."""
    config = read_config(out / "code" / "config" / "config.yaml")
    sheets = {f"{one}_sheet": str(out / "code" / "config" / f"{one}.tsv") for one in
              ("sites", "scans", "participants")}  # fmt: skip
    places = {"data_root": str(out), "results": str(results)}
    return converted(read_study(config | sheets | places))


def test_the_files_are_those_of_the_standard(tmp_path):
    scans = [a_scan(tmp_path, "north", "01", session="a", run="2"), a_scan(tmp_path, "south")]
    people = (
        {"site": "north", "subject": "01", "person": "traveller", "age": "89", "sex": "F"},
        {"site": "south", "subject": "01", "person": "traveller", "age": "30-35"},
    )
    out, study = tmp_path / "out", a_study(tmp_path, scans, participants=people)
    study.config["sites"] |= {"covariates": ["age"], "groups": ["sex"]}
    made = publish(
        converted(study),
        out,
        replace(CHOICES, licence="CC0"),
    )
    assert made.left_out == {}
    names = [name for name, _ in contents(out)]
    stem = "sub-north01/ses-a/mrs/sub-north01_ses-a_task-visual_run-2"
    for name in ("svs.nii.gz", "svs.json", "mrsref.nii.gz", "mrsref.json", "events.tsv"):
        assert f"{stem}_{name}" in names
    assert len(names) == 20
    assert read_table(out / "participants.tsv") == [
        {"participant_id": "sub-north01", "site": "north", "person": "sub-north01", "age": "89",
         "sex": "F"},
        {"participant_id": "sub-south01", "site": "south", "person": "sub-north01", "age": "30-35",
         "sex": "n/a"},
    ]  # fmt: skip
    told = sidecar(out, f"{stem}_svs.json")
    assert told["ReferenceSignal"] == f"bids::{stem}_mrsref.nii.gz"
    assert (told["PulseSequenceType"], told["TaskName"], told["EchoTime"]) == (
        "PRESS",
        "visual",
        0.035,
    )
    described = sidecar(out, "dataset_description.json")
    assert described["License"] == "CC0" and "Authors" not in described
    text = (out / "README.md").read_text()
    assert "MRSinMRS checklist of south" in text and "| Acquisition | Echo time | 35 ms |" in text
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == sorted(set(names) - {"SHA256SUMS"})
    assert all(sha256((out / name).read_bytes()).hexdigest() == sums[name] for name in sums)


def test_no_word_of_a_header_a_name_or_a_column_leaves(tmp_path):
    """Planted wherever a scanner or a person may have put it, labels among them."""
    data = tmp_path / "data"
    free = ("PatientName", "ProtocolName", "SeriesDescription", "SequenceName", "Comments")
    for name, fids in (("act", series()), ("ref", series(2, (0, 1), 3))):
        image = to_nifti(fids, **dict.fromkeys(free, NAME))
        save(data / NAME / f"{NAME}_{name}.nii.gz", image, NAME)
    head = a_head()
    t1w = nib.Nifti1Image(with_scalp(head, 1.0), head.affine)
    t1w.header["aux_file"] = t1w.header["db_name"] = NAME.encode()
    t1w.header.extensions.append(nib.nifti1.Nifti1Extension("comment", NAME.encode()))
    save(data / NAME / f"{NAME}_t1w.nii.gz", t1w, NAME)
    events = EVENTS.replace("trial_type\n", "trial_type\tcomment\n").replace(
        "st\n", f"st\t{NAME}\n"
    )
    (data / f"{NAME}.tsv").write_text(events.replace("sk\n", f"sk\t{NAME}\n"))
    scan = Scan("north", NAME, f"{NAME}/{NAME}_act.nii.gz", f"{NAME}1980", "visual",
                ref=f"{NAME}/{NAME}_ref.nii.gz", t1w=f"{NAME}/{NAME}_t1w.nii.gz",
                events=f"{NAME}.tsv", **maps_of(head, tmp_path, NAME))  # fmt: skip
    lost = Scan("north", f"{NAME}2", f"{NAME}/lost.nii.gz", task="visual")
    people = ({"site": "north", "subject": NAME, "person": f"{NAME}X", "age": "30", "note": NAME},)
    study = converted(a_study(tmp_path, [scan, lost], participants=people))
    config = study.config | {"data_root": str(data)}
    config["fit"]["spline"]["joint_design"] = f"{NAME}/{{stem}}.tsv"
    study = replace(study, config=config)
    out = tmp_path / "out"
    made = publish(study, out, replace(CHOICES, relabel=True))
    assert [scan.t1w[-7:] for scan in made.scans] == [".nii.gz"] and "north" in made.words["sites"]
    assert NAME not in json.dumps(made.left_out) and len(made.left_out) == 1
    assert any(NAME in one for one in made.reasons), "the site is told by its own labels"
    searched = list(contents(out))
    assert len(searched) == 17
    for name, content in searched:
        assert NAME.encode() not in content and NAME not in name, name
        assert str(tmp_path).encode() not in content, name


def test_labels_that_are_no_names_stay_and_others_are_numbered(tmp_path):
    scans = [
        Scan("north", subject, f"{subject}{session}.nii.gz", session)
        for subject in ("Anna", "Bert", "Carla")
        for session in ("19800101", "19810101")
    ]
    study = a_study(tmp_path, scans)
    kept, made = names_of(study), names_of(study, True)
    assert kept.participant(("north", "Anna")) == "Anna"
    numbers = [made.subjects["north", one] for one in ("Anna", "Bert", "Carla")]
    assert sorted(numbers) == ["01", "02", "03"] != numbers, "not in the order of the labels"
    assert [made.in_bids(scan).session for scan in scans] == ["01", "02"] * 3
    assert made == names_of(study, True)


def test_labels_that_would_be_one_are_refused(tmp_path):
    scans = [Scan("north", "1a", "1.nii.gz"), Scan("north1", "a", "2.nii.gz")]
    study = replace(a_study(tmp_path, scans[:1]), scans=tuple(scans))
    with pytest.raises(DataError, match="people .* would both be called north1a"):
        names_of(study)


def test_a_label_of_a_run_that_is_no_number_stands_behind_acq(tmp_path):
    scan = Scan("north", "01", "1.nii.gz", task="", acq="x", run="late", events="e.tsv")
    called = names_of(a_study(tmp_path, [scan])).in_bids(scan)
    assert called.stem == "sub-01_task-task_acq-xlate"


@pytest.mark.parametrize(
    ("n", "water", "columns"),
    [
        (6, (), {}),
        (51, (0, 17, 34), {"ref": ""}),
        (6, (), {"water_transients": "each"}),
        (6, (), {"excitations_per_transient": 4}),
        (1, (), {"events": "", "condition": "rest"}),
    ],
)
def test_a_scan_is_read_as_it_was_measured(tmp_path, n, water, columns):
    """Spectra to the last bit, and when each transient was excited, also where the sheet alone
    said so."""
    scan = a_scan(tmp_path, fids=series(n, water), **columns)
    if scan.water_transients:
        save(tmp_path / "data" / scan.ref, to_nifti(series(n, range(n), 1)))
    study = converted(a_study(tmp_path, [scan]))
    out = tmp_path / "out"
    publish(study, out, CHOICES)
    again = read_again(out, tmp_path / "again")
    (read,) = again.scans
    first, second = record(study, scan), record(again, read)
    assert second["status"] == "ok" and read.water_transients == ""
    for key in ("excitations_per_transient", "n_transients", "te_s", "tr_s", "voxel_mm"):
        assert second[key] == first[key], key
    for what in ("svs", "mrsref"):
        one, other = (
            Results(of).of("convert", {}, its).fids(what)
            for of, its in ((study, scan), (again, read))
        )
        np.testing.assert_array_equal(one.data, other.data)
        assert one.header | {"WaterSuppressed": what == "svs"} == other.header | {
            "WaterSuppressed": what == "svs"
        }
    each = columns.get("water_transients") == "each"
    places = list(range(0, 2 * n, 2)) if each else first["water_transients"]
    assert second["water_transients"] == places
    over_time = {one["reference"]["over_time"] for one in (first, second)}
    assert over_time == {bool(each or water)}


def test_water_that_was_thrown_away_leaves_the_scan_out(tmp_path):
    """Nothing then says when the other transients were excited."""
    scans = [a_scan(tmp_path, fids=series(51, (0, 17, 34))), a_scan(tmp_path, subject="02")]
    made = publish(converted(a_study(tmp_path, scans)), tmp_path / "out", CHOICES)
    assert list(made.left_out) == ["sub-01_task-visual"]
    assert "nothing says when the others were excited" in made.reasons[0]
    assert [scan.subject for scan in made.scans] == ["02"]
    assert not (tmp_path / "out" / "sub-01").exists()


def test_init_finds_in_the_dataset_what_the_study_had(tmp_path):
    scans = [a_scan(tmp_path, subject=one, fids=series(seed=int(one))) for one in ("01", "02")]
    head = a_head()
    for scan in scans:
        image = nib.Nifti1Image(head.t1w, head.affine)
        save(tmp_path / "data" / f"{scan.subject}_t1w.nii.gz", image)
    maps = maps_of(head, tmp_path, "maps")
    scans = [replace(scan, t1w=f"{scan.subject}_t1w.nii.gz", **maps) for scan in scans]
    study = converted(a_study(tmp_path, scans))
    out = tmp_path / "out"
    assert publish(study, out, CHOICES).left_out == {}
    assert init.main([str(tmp_path / "new"), "--bids", str(out), "--site", "north"]) == 0
    found = read_table(tmp_path / "new" / "config" / "scans.tsv")
    assert [row["subject"] for row in found] == ["01", "02"]
    for row in found:
        for column, ending in (("ref", "_mrsref.nii.gz"), ("t1w", "_T1w.nii.gz"),
                               ("events", "_events.tsv")):  # fmt: skip
            assert f"sub-{row['subject']}" in row[column] and row[column].endswith(ending)
    (site,) = read_table(tmp_path / "new" / "config" / "sites.tsv")
    assert [site[one] for one in ("vendor", "field_t", "sequence", "te_s", "tr_s")] == [
        "Philips", "3", "PRESS", "0.035", "2"]  # fmt: skip
    assert read_table(tmp_path / "new" / "config" / "found.tsv") == [], "nothing was guessed"


def whole_heads(tmp_path, **columns):
    """A study of one scan with a whole head, which is segmented here."""
    scan = a_scan(tmp_path, **columns)
    head = a_head(0, 2.5)
    save(tmp_path / "data" / "t1w.nii.gz", nib.Nifti1Image(with_scalp(head, 1.0), head.affine))
    return head, replace(scan, t1w="t1w.nii.gz")


def test_a_t1w_is_given_without_what_is_in_front_of_the_brain(tmp_path):
    head, scan = whole_heads(tmp_path)
    out = tmp_path / "out"
    made = publish(segmented(a_study(tmp_path, [scan])), out, CHOICES)
    given = nib.load(out / made.scans[0].t1w)
    np.testing.assert_array_equal(given.affine, head.affine)
    before, after = with_scalp(head, 1.0), given.get_fdata(dtype=np.float32)
    kept = after != 0
    np.testing.assert_array_equal(after[kept], before[kept])
    assert kept[head.maps["gm"] + head.maps["wm"] > 0.5].all()
    front = np.flatnonzero((head.t1w > 0).any((0, 2))).max() + 12 // 2.5 + 1
    assert not kept[:, int(front) :].any() and (before[:, int(front) :] > 500).any()
    link = sidecar(out, made.scans[0].mrs.replace("nii.gz", "json"))["AnatomicalImage"]
    assert link == f"bids::{made.scans[0].t1w}"


@pytest.mark.parametrize("why", ["other", "moved", "none", "template"])
def test_a_t1w_whose_face_is_not_known_stays_and_the_scan_goes(tmp_path, why):
    """Replaced since it was segmented, maps of another place, no maps, another space."""
    head, scan = whole_heads(tmp_path)
    study = a_study(tmp_path, [scan])
    path = tmp_path / "data" / "t1w.nii.gz"
    if why == "moved":
        scan = replace(scan, **maps_of(head, tmp_path, "maps", shift_mm=30.0))
        study = converted(replace(study, scans=(scan,)))
    elif why == "none":
        save(path, nib.Nifti1Image(np.ones((40, 40, 40), np.float32), head.affine))
        study = segmented(study)
    else:
        study = segmented(study)
        image = nib.load(path)
        changed = nib.Nifti1Image(image.get_fdata(dtype=np.float32)[::-1], image.affine)
        changed.set_sform(image.affine, 4 if why == "template" else 1)
        save(path, changed)
    made = publish(study, tmp_path / "out", CHOICES)
    assert list(made.left_out) == ["sub-01_T1w.nii.gz"] and len(made.scans) == 1
    words = {"other": "another file", "moved": "lie elsewhere", "none": "", "template": "MNI"}
    assert words[why] in made.reasons[0]
    assert not list((tmp_path / "out").rglob("*T1w*"))


def test_it_is_written_whole_or_not_at_all(tmp_path):
    scan = a_scan(tmp_path)
    study = a_study(tmp_path, [scan])
    out = tmp_path / "sets" / "out"
    with pytest.raises(DataError, match="no scan can be given"):
        publish(study, out, CHOICES)  # not converted
    assert list(out.parent.iterdir()) == []
    out.mkdir()
    publish(converted(study), out, CHOICES)
    assert [one.name for one in out.parent.iterdir()] == ["out"]
    before = sorted(out.rglob("*"))
    with pytest.raises(DataError, match="not empty"):
        publish(study, out, CHOICES)
    assert sorted(out.rglob("*")) == before


def test_scans_that_failed_or_are_excluded_stay_unless_asked_for(tmp_path):
    import report_fixture as made_up
    from fmrsflow.edge import Job

    scans = [
        a_scan(tmp_path, subject=one, fids=series(seed=int(one))) for one in ("01", "02", "03")
    ]
    study = converted(a_study(tmp_path, scans))
    analysis = made_up.ANALYSIS
    Job("preprocess", study, scans[0], analysis).finish("failed", "odd", "preprocess", {})
    for scan, snr in zip(scans[1:], (4.0, 30.0)):
        body = {"snr_tcr": snr, "fwhm_tcr_hz": 5.0, "fwhm_tcr_ppm": 0.04}
        Job("preprocess", study, scan, analysis).finish("ok", None, None, body)
    made = publish(study, tmp_path / "out", CHOICES)
    assert made.left_out["sub-01_task-visual"] == "failed at preprocess"
    assert "tCr SNR 4.0 < 10" in made.left_out["sub-02_task-visual"]
    assert "tCr SNR 4.0" in (tmp_path / "out" / "README.md").read_text()
    assert [scan.subject for scan in made.scans] == ["03"]
    made = publish(study, tmp_path / "all", replace(CHOICES, with_excluded=True))
    assert len(made.scans) == 3 and made.left_out == {}


def test_the_same_study_gives_the_same_bytes(tmp_path):
    study = converted(a_study(tmp_path, [a_scan(tmp_path)]))
    for name in ("one", "two"):
        publish(study, tmp_path / name, CHOICES)
    one, two = ((tmp_path / name / "SHA256SUMS").read_bytes() for name in ("one", "two"))
    assert one == two
