"""Stage bold on files: what it writes, and what it says of bad input."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bold_fixture as made
import nibabel as nib
import numpy as np
import pytest

from fmrsflow.batch import faults, run_jobs
from fmrsflow.edge import Job
from fmrsflow.files import read_json
from fmrsflow.results import Results, Writer
from fmrsflow.stages.bold import process
from fmrsflow.stages.bold_group import main as group_main
from fmrsflow.study import Study
from fmrsflow.tables import columns_of, read_table, write_table


def run(study: Study, scan=None) -> dict:
    scan = scan or study.scans[0]
    assert not faults(run_jobs([Job("bold", study, scan, {})], process))
    return read_json(study.record_path("bold", {}, scan))


def output(study: Study, what: str) -> Path:
    return study.path("bold", study.scans[0], f"desc-bold_{what}")


@pytest.fixture(scope="module")
def bold_data():
    return made.small_run(ppi=3.0)


@pytest.fixture(scope="module")
def done(bold_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("bold")
    atlas = np.zeros(bold_data.data.shape[:3], np.int16)
    atlas[10:14, 10:14, 6:10], atlas[4:8, 14:18, 6:10] = 1, 2
    made.write_image(root / "data" / "atlas.nii.gz", atlas, bold_data.affine, 0)
    write_table(
        root / "data" / "atlas.tsv", [{"index": 1, "name": "one"}, {"index": 2, "name": "two"}]
    )
    study = made.make_study(root, bold_data, atlas="atlas.nii.gz", atlas_labels="atlas.tsv")
    return study, run(study)


def test_area_has_the_true_sign_and_lies_within_its_interval(done, bold_data):
    study, record = done
    assert record["status"] == "ok", record["reason"]
    rows = {row["condition"]: row for row in read_table(output(study, "area.tsv"))}
    (truth,) = bold_data.truths
    true = {**truth["area_percent_s"], "sum": truth["area_sum_percent_s"]}
    for name, row in rows.items():
        assert row["sign"] == "-1"
        error = abs(float(row["area_mean"]) - true[name]) / float(row["area_mean_se"])
        assert error < 3
    assert record["sign"] == -1 and record["negative_share"] > 0.9
    assert float(rows["sum"]["area_total"]) == pytest.approx(
        float(rows["sum"]["area_mean"]) * record["n_voxels"], rel=1e-4
    )


def test_mask_lies_where_the_mrs_voxel_is(done):
    study, record = done
    image = nib.load(output(study, "mask.nii.gz"))
    inside = np.argwhere(image.get_fdata() > 0)
    centre = (inside @ image.affine[:3, :3].T + image.affine[:3, 3]).mean(axis=0)
    np.testing.assert_allclose(centre, made.MRS_AFFINE[:3, 3], atol=1.0)
    volume = len(inside) * 64
    assert volume == pytest.approx(abs(np.linalg.det(made.MRS_AFFINE[:3, :3])), rel=0.1)
    assert record["covered"] > 0.99


def test_every_output_is_there_and_in_the_record(done):
    study, record = done
    for what in (
        "area.tsv", "response.tsv", "voxels.tsv", "histogram.tsv", "clusters.tsv", "roi.tsv",
        "mask.nii.gz", "area.nii.gz", "areaz.nii.gz", "ppi-easy-hard_z.nii.gz",
        "ppi-easy-hard_effect.nii.gz", "ppi-easy-hard_clusters.nii.gz", "response.png",
        "histogram.png", "mask.png", "ppi-easy-hard.png", "roi-easy-hard.png",
    ):  # fmt: skip
        assert output(study, what).exists(), what
        assert output(study, what).name in record["files"]
    assert len(read_table(output(study, "response.tsv"))) == 2 * 31
    assert {row["seed"] for row in read_table(output(study, "roi.tsv"))} == {"MRS", "one", "two"}


def test_interaction_of_the_target_region_has_the_true_sign(done):
    study, _ = done
    effect = nib.load(output(study, "ppi-easy-hard_effect.nii.gz"))
    z = nib.load(output(study, "ppi-easy-hard_z.nii.gz")).get_fdata()
    points = np.indices(z.shape).reshape(3, -1).T @ effect.affine[:3, :3].T + effect.affine[:3, 3]
    ball = (np.linalg.norm(points - made.TARGET_MM, axis=1) < 8).reshape(z.shape)
    # Three times stronger in `hard`.
    assert effect.get_fdata()[ball].mean() < -1
    assert z[ball].mean() < -1.5


def test_an_oblique_run_in_another_orientation_gives_the_same_area(done, bold_data, tmp_path):
    _, record = done
    image = nib.Nifti1Image(bold_data.data, bold_data.affine)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(("I", "R", "P")))
    other = dataclasses.replace(bold_data, data=np.asarray(turned.dataobj), affine=turned.affine)
    found = run(made.make_study(tmp_path, other, connectivity=False))
    assert found["area_mean_percent_s"] == pytest.approx(record["area_mean_percent_s"], rel=1e-6)
    assert found["n_voxels"] == record["n_voxels"]


BAD = {
    "no events": "scans.tsv names no file in column bold_events",
    "single volume": "single volume",
    "tr in ms": "seems to be in ms",
    "events of another run": "no block of condition",
    "events in ms": "onsets seem to be in ms",
    "other confounds": "rows and the BOLD run",
    "gap in confounds": "no value in column",
    "outside": "outside the field of view",
    "no image": "not readable",
    "no signal": "no positive signal",
    "cut image": "ends before its last volume",
    "missing file": "is not there",
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_fails_its_scan_with_a_clear_reason(fault, bold_data, tmp_path):
    study = made.make_study(tmp_path, bold_data, connectivity=False)
    scan, data = study.scans[0], tmp_path / "data"
    if fault == "no events":
        scan = dataclasses.replace(scan, bold_events="")
    elif fault == "single volume":
        made.write_image(data / "bold.nii.gz", bold_data.data[..., 0], bold_data.affine, 2.0)
    elif fault == "tr in ms":
        made.write_image(data / "bold.nii.gz", bold_data.data, bold_data.affine, 2000.0)
    elif fault == "events of another run":
        rows = [{**row, "onset": row["onset"] + 1000} for row in bold_data.events]
        write_table(data / "events.tsv", rows)
    elif fault == "events in ms":
        rows = [{**row, "onset": 1000 * row["onset"]} for row in bold_data.events]
        write_table(data / "events.tsv", rows)
    elif fault == "other confounds":
        write_table(data / "confounds.tsv", bold_data.confounds[:-3])
    elif fault == "gap in confounds":
        rows = [dict(row) for row in bold_data.confounds]
        rows[7]["rot_x"] = None
        write_table(data / "confounds.tsv", rows)
    elif fault == "outside":
        affine = bold_data.affine.copy()
        affine[2, 3] += 500
        made.write_image(data / "bold.nii.gz", bold_data.data, affine, 2.0)
    elif fault == "no image":
        (data / "bold.nii.gz").write_bytes(b"this is no image")
    elif fault == "cut image":
        whole = (data / "bold.nii.gz").read_bytes()
        (data / "bold.nii.gz").write_bytes(whole[: len(whole) // 2])
    elif fault == "no signal":
        made.write_image(data / "bold.nii.gz", 0 * bold_data.data, bold_data.affine, 2.0)
    else:
        (data / "bold.nii.gz").unlink()
    study = dataclasses.replace(study, scans=(scan,))
    record = run(study, scan)
    assert record["status"] == "failed" and record["failed_at"] == "bold"
    assert BAD[fault] in record["reason"]


def test_a_failed_conversion_travels_on(bold_data, tmp_path):
    study = made.make_study(tmp_path, bold_data)
    job = Job("convert", study, study.scans[0], {})
    job.finish("failed", "no such coil", "convert", {})
    record = run(study)
    assert (record["status"], record["failed_at"]) == ("failed", "convert")


def test_a_voxel_with_little_data_is_not_used(bold_data, tmp_path):
    study = made.make_study(tmp_path, bold_data, connectivity=False, min_coverage=0.5)
    data = bold_data.data.copy()
    points = np.indices(data.shape[:3]).reshape(3, -1).T @ bold_data.affine[:3, :3].T
    data[(points[:, 0] + bold_data.affine[0, 3] > -22).reshape(data.shape[:3])] = 0
    made.write_image(tmp_path / "data" / "bold.nii.gz", data, bold_data.affine, 2.0)
    record = run(study)
    assert record["status"] == "ok"
    assert "of the MRS voxel holds BOLD data, limit 50%" in record["not_used"]


def test_short_gaps_are_warned_of(tmp_path):
    from fmrsflow.synthetic.bold import BoldRegion, BoldTruth, block_design, bold_run

    brain = np.full((14, 14, 12), 0.8)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-46, -34, -20]
    events = block_design(("a",), 8, 10.0, 33.0)
    region = BoldRegion(BoldTruth({"a": 1.0}), made.MRS_AFFINE, made.TARGET_MM)
    close = bold_run(np.random.default_rng(0), brain, affine, [region], events)
    record = run(made.make_study(tmp_path, close, connectivity=False))
    assert record["status"] == "ok", record["reason"]
    assert any("blocks begin 33.0 s after each other" in text for text in record["warnings"])


@pytest.fixture(scope="module")
def sessions():
    """Three runs of one person: another noise level each, one response."""
    return [
        made.small_run(seed, noise_percent=noise) for seed, noise in ((3, 0.8), (4, 0.8), (5, 3.2))
    ]


def make_sessions(root, runs, **settings):
    """A study of one scan that names these runs, each with its events and confounds."""
    study = made.make_study(root, runs[0], **settings)
    data = root / "data"
    for number, one in enumerate(runs):
        made.write_image(data / f"{number}.nii.gz", one.data, one.affine, one.tr_s)
        write_table(data / f"{number}_events.tsv", one.events)
        write_table(data / f"{number}_confounds.tsv", one.confounds)

    def names(ending):
        return "; ".join(f"{number}{ending}" for number in range(len(runs)))

    scan = dataclasses.replace(
        study.scans[0],
        bold=names(".nii.gz"),
        bold_events=names("_events.tsv"),
        bold_confounds=names("_confounds.tsv"),
    )
    return dataclasses.replace(study, scans=(scan,))


def test_three_runs_give_one_area_with_a_smaller_error(sessions, tmp_path):
    study = make_sessions(tmp_path, sessions)
    record = run(study)
    assert record["status"] == "ok", record["reason"]
    assert (record["n_runs"], record["n_runs_named"]) == (3, 3)
    rows = columns_read(study, "runs.tsv")
    shares = [row["weight"] for row in rows]
    assert sum(shares) == pytest.approx(1) and shares[2] < 0.6 * min(shares[:2])
    alone = [row["area_mean_se"] for row in rows]
    combined = record["area_mean_se_percent_s"]
    # The runs are independent.
    assert combined**2 == pytest.approx(
        sum((share * se) ** 2 for share, se in zip(shares, alone)), rel=1e-4
    )
    assert combined < min(alone)
    truth = sessions[0].truths[0]["area_sum_percent_s"]
    assert abs(record["area_mean_percent_s"] - truth) < 3 * record["area_mean_se_percent_s"]
    assert record["runs_differ_p"] > 1e-3
    assert record["n_volumes"] == 3 * sessions[0].data.shape[3]
    # The connectivity of three runs has the freedom of three.
    one = run(made.make_study(tmp_path / "one", sessions[0]))
    assert record["connectivity"]["dof"] == 3 * one["connectivity"]["dof"]
    assert one["n_runs"] == 1 and one["runs_differ_p"] is None


def columns_read(study, what):
    return [
        {name: float(value) if name in ("weight", "area_mean", "area_mean_se") else value
         for name, value in row.items()}
        for row in read_table(output(study, what))
    ]  # fmt: skip


BAD_RUN = {
    "cut image": "ends before its last volume",
    "other grid": "its grid are not those of the other runs",
    "other conditions": "its conditions are not those of the other runs",
    "no coverage": "of the MRS voxel holds BOLD data",
    "missing file": "is not there",
}


@pytest.mark.parametrize("fault", BAD_RUN)
def test_a_bad_run_is_left_out_and_the_others_are_used(fault, sessions, tmp_path):
    study = make_sessions(tmp_path, sessions, connectivity=False)
    data, bad = tmp_path / "data", sessions[1]
    if fault == "cut image":
        whole = (data / "1.nii.gz").read_bytes()
        (data / "1.nii.gz").write_bytes(whole[: len(whole) // 2])
    elif fault == "other grid":
        made.write_image(data / "1.nii.gz", bad.data[1:], bad.affine, 2.0)
    elif fault == "other conditions":
        rows = [{**row, "trial_type": "easy"} for row in bad.events]
        write_table(data / "1_events.tsv", rows)
    elif fault == "no coverage":
        holes = bad.data.copy()
        points = np.indices(holes.shape[:3]).reshape(3, -1).T @ bad.affine[:3, :3].T
        holes[(points[:, 0] + bad.affine[0, 3] > -22).reshape(holes.shape[:3])] = 0
        made.write_image(data / "1.nii.gz", holes, bad.affine, 2.0)
    else:
        (data / "1.nii.gz").unlink()
    record = run(study)
    assert record["status"] == "ok", record["reason"]
    assert (record["n_runs"], record["n_runs_named"]) == (2, 3)
    assert any("BOLD run 2 left out" in one and BAD_RUN[fault] in one for one in record["warnings"])
    rows = read_table(output(study, "runs.tsv"))
    assert [row["used"] for row in rows] == ["true", "false", "true"]
    assert BAD_RUN[fault] in rows[1]["reason"] and rows[1]["area_mean"] == "n/a"


def test_runs_of_unlike_areas_are_warned_of(sessions, tmp_path):
    other = made.small_run(6, sign=1.0)
    record = run(make_sessions(tmp_path, [sessions[0], other], connectivity=False))
    assert record["runs_differ_p"] < 1e-6
    assert any("differ by more than their errors" in one for one in record["warnings"])


def test_no_run_that_can_be_used_is_a_failure_with_each_reason(sessions, tmp_path):
    study = make_sessions(tmp_path, sessions[:2], connectivity=False)
    for number in (0, 1):
        (tmp_path / "data" / f"{number}.nii.gz").write_bytes(b"this is no image")
    record = run(study)
    assert record["status"] == "failed"
    assert "run 1: " in record["reason"] and "run 2: " in record["reason"]


NAMES = {"preprocess": "p", "basis": "b", "fit": "f", "concentration": "c", "response": "r"}


def test_accord_over_an_analysis_from_records_alone(bold_data, tmp_path):
    """Two persons, glutamate falling with the area; one scan failed in the BOLD stage."""
    from fmrsflow.study import Scan

    scans = [
        Scan("north", f"0{i}", "x", task="t", bold="b.nii.gz", events="e.tsv") for i in (1, 2, 3)
    ]
    study = made.study_of(tmp_path, scans)
    config = study.config | {
        "analyses": {"main": NAMES},
        "sites": {"metabolite": "Glu", "estimator": "blocks", "quantity": "molal"},
        **{stage: {name: {}} for stage, name in NAMES.items()},
        "response": {"r": {"rest": "rest"}},
    }
    study = dataclasses.replace(study, config=config)
    (tmp_path / "study.json").write_text(study.save_text())
    rng = np.random.default_rng(0)
    for scan, area, change in zip(scans, (-20.0, 15.0, None), (-6.0, 5.0, 1.0)):
        job = Job("bold", study, scan, {})
        if area is None:
            job.finish("failed", "no events", "bold", {})
        else:
            body = {"area_mean_percent_s": area, "area_mean_se_percent_s": 3.0}
            job.finish("ok", None, None, body)
        job = Job("preprocess", study, scan, NAMES)
        rows = [
            {"kept": True, "condition": ("rest", "t")[j // 16 % 2], "time_s": 2.0 * j,
             "linewidth_hz": 6 - 0.3 * (j // 16 % 2) + 0.2 * rng.standard_normal()}
            for j in range(128)
        ]  # fmt: skip
        job.save("transients", rows, columns_of("preprocess", "transients"))
        job.finish("ok", None, None, {})
        unit = next(one for one in study.units() if one.scans == (scan,))
        job = Job("response", study, unit, NAMES)
        row = {
            "metabolite": "Glu", "estimator": "blocks", "matched": True, "quantity": "molal",
            "contrast": "t-rest", "change_percent": change, "se_percent": 1.5,
        }  # fmt: skip
        rows = [row, {**row, "metabolite": "GABA", "change_percent": 99.0}]
        job.save("change", rows, columns_of("response", "change"))
        job.finish("ok", None, None, {})
    assert group_main(["--study", str(tmp_path / "study.json"), "--analysis", "main"]) == 0
    folder = tmp_path / "results" / "main" / "bold"
    rows = read_table(folder / "concordance.tsv")
    areas = [row for row in rows if row["measure"] == "area"]
    assert [row["same_sign"] for row in areas] == ["true", "true", "n/a"]
    assert [row["used"] for row in areas] == ["true", "true", "false"]
    assert "no events" in areas[2]["note"]
    widths = [float(row["bold"]) for row in rows if row["measure"] == "linewidth"]
    # 64 against 64 transients of 0.2 Hz each: SE 0.035 Hz.
    np.testing.assert_allclose(widths, 0.3, atol=0.12)
    test = {row["measure"]: row for row in read_table(folder / "concordance_test.tsv")}
    assert test["area"]["n"] == "2" and test["area"]["p_value"] == "n/a"
    assert test["linewidth"]["n"] == "3"
    assert (folder / "concordance_area.png").exists()
    assert read_json(folder / "record.json")["group"]["status"] == "absent"


def test_group_maps_where_runs_are_in_mni_space(tmp_path):
    from fmrsflow.stages.bold_group import _group
    from fmrsflow.study import Scan

    scans = [
        Scan("north", f"0{i}", "x", voi="left", bold=f"{i}_space-MNI152_bold.nii.gz")
        for i in range(1, 8)
    ]
    study = made.study_of(tmp_path, scans, permutations=100)
    rng = np.random.default_rng(0)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    for scan in scans:
        effect = rng.standard_normal((9, 9, 9))
        effect[2:5, 2:5, 2:5] += 12
        job = Job("bold", study, scan, {})
        job.save("ppi-a-b_effect", nib.Nifti1Image(effect, affine))
        job.save("area", nib.Nifti1Image(rng.standard_normal((9, 9, 9)), affine))
        job.finish("ok", None, None, {"connectivity": {"contrasts": {"a-b": {}}}})
    writer = Writer(Results(study).group("bold", "main"), {}, {})
    rows, note = _group(Results(study), writer)
    assert note["status"] == "ok", note
    best = next(row for row in rows if row["contrast"] == "a-b")
    assert (best["region"], best["n_persons"], best["sign"]) == ("left", 7, 1)
    assert best["n_voxels"] >= 20 and 6 <= best["x_mm"] <= 12
    # Seven persons have 128 patterns of signs, two of them as extreme.
    assert best["p_fwe"] < 0.06
    assert (study.results / "main" / "bold" / "group_left_ppi-a-b_t.nii.gz").exists()
    mixed = dataclasses.replace(scans[0], bold="native_bold.nii.gz")
    rows, note = _group(Results(dataclasses.replace(study, scans=(mixed, *scans[1:]))), writer)
    assert not rows and "MNI" in note["reason"]


def activation_study(root, n_persons, height, seed=0, **settings):
    """Area maps of persons with two voxels in the same runs; some respond in 5 x 5 x 5 voxels."""
    from fmrsflow.study import Scan

    runs = "{0}_run-1_space-MNI152_bold.nii.gz; {0}_run-2_space-MNI152_bold.nii.gz"
    scans = [
        Scan("north", f"0{i}", f"{i}{acq}", acq=acq, bold=runs.format(i))
        for i in range(1, n_persons + 1)
        for acq in ("left", "right")
    ]
    study = made.study_of(root, scans, permutations=100, **settings)
    rng = np.random.default_rng(seed)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-20.0, -60.0, 10.0]
    for first, second in zip(scans[::2], scans[1::2]):
        area = 5 * rng.standard_normal((14, 14, 14))
        area[2:7, 2:7, 2:7] += height
        for scan in (first, second):
            job = Job("bold", study, scan, {})
            job.save("area", nib.Nifti1Image(area, affine))
            job.finish("ok", None, None, {})
    return study


def test_whole_brain_activation_of_a_group_is_found_where_it_is(tmp_path):
    from fmrsflow.stages.bold_group import _group

    study = activation_study(tmp_path, 7, 12.0)
    writer = Writer(Results(study).group("bold", "main"), {}, {})
    rows, note = _group(Results(study), writer)
    assert note["status"] == "ok", note
    best = rows[0]
    # Two voxels of a person are one person, whose map counts once.
    assert (best["contrast"], best["region"], best["n_persons"]) == ("activation", "", 7)
    assert best["sign"] == 1 and best["p_fwe"] < 0.06
    # Peak inside the blob: indices 2 to 6, 3 mm each.
    assert -14 <= best["x_mm"] <= -2 and -54 <= best["y_mm"] <= -42 and 16 <= best["z_mm"] <= 28
    folder = study.results / "main" / "bold"
    assert (folder / "group_area.png").exists() and (folder / "group_area_t.nii.gz").exists()


def test_four_persons_have_no_group_map_and_are_told_why(tmp_path):
    from fmrsflow.stages.bold_group import _group

    study = activation_study(tmp_path, 4, 12.0)
    writer = Writer(Results(study).group("bold", "main"), {}, {})
    rows, note = _group(Results(study), writer)
    assert not rows and note["status"] == "absent"
    assert note["reason"].startswith("activation: 4 persons: group inference by sign flips needs 5")


def test_activation_of_noise_is_significant_as_rarely_as_stated(tmp_path):
    """Family-wise: the share of studies with any cluster at p < 0.1."""
    from fmrsflow.bold import group

    rng = np.random.default_rng(1)
    setting, wrong = {"voxel_p": 0.01, "permutations": 100}, 0
    for _ in range(40):
        noise = [nib.Nifti1Image(rng.standard_normal((10, 10, 10)), np.eye(4)) for _ in range(6)]
        maps = {str(i): [group.smoothed(one, 2.0)] for i, one in enumerate(noise)}
        rows = group.group_map(maps, "", group.ACTIVATION, setting).rows
        wrong += any(row["p_fwe"] < 0.1 for row in rows)
    # 4 expected, SD 1.9.
    assert wrong <= 10
