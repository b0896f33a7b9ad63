"""`fmrsflow init --bids` and `--files`: rows, guesses and what is left, on trees with made data.

The trees are those of the public BIDS examples mrs_fmrs, mrs_biggaba and mrs_2dmrsi (their names
and kinds of metadata), and what people do to such trees.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.cli import main as command
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.sheets import read_config, read_study
from fmrsflow.stages.init import main
from fmrsflow.synthetic.writers import write_rda, write_sdat
from fmrsflow.tables import read_table
from intake_tools import EVENTS, PAIN, notes, put, rows, spectra, svs


@pytest.fixture
def pain(tmp_path) -> Path:
    """Like mrs_fmrs: a baseline scan, then a pain scan with events, each with its reference."""
    root = tmp_path / "data" / "pain"
    put(root, "dataset_description.json", {"Name": "pain"})
    put(root, "participants.tsv", "participant_id\tsex\tage\nsub-01\tM\t35-40\nsub-02\tF\t25-30\n")
    put(root, "task-pain_events.tsv", "filename\tmin_2\nsub-01/mrs\t0\n")
    for sub in ("sub-01", "sub-02"):
        for task in ("baseline", "pain"):
            stem = f"{sub}/mrs/{sub}_task-{task}"
            water = {"ReferenceSignal": f"bids::{stem}_mrsref.nii.gz"}
            t1w = {"AnatomicalImage": f"bids::{sub}/anat/{sub}_T1w.nii.gz"}
            svs(root, stem, PAIN | water | t1w)
            svs(root, stem, PAIN, "mrsref")
        put(root, f"{sub}/mrs/{sub}_task-pain_events.tsv", EVENTS)
        put(root, f"{sub}/anat/{sub}_T1w.nii.gz")
    return root


def test_the_example_of_functional_spectroscopy(pain, tmp_path, capsys):
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(pain)]) == 0
    (site,) = rows(study, "sites")
    assert (site["site"], site["vendor"], site["field_t"]) == ("pain", "Philips", "3")
    assert (site["sequence"], site["te_s"], site["tr_s"]) == ("PRESS", "0.022", "4")
    found = rows(study)
    assert len(found) == 4
    first, second = found[:2]
    assert (first["task"], first["condition"], first["events"]) == ("baseline", "rest", "n/a")
    assert (second["task"], second["condition"]) == ("pain", "n/a")
    assert {row["unit"] for row in found} == {"all"}
    assert second["events"] == "pain/sub-01/mrs/sub-01_task-pain_events.tsv"
    assert first["ref"] == "pain/sub-01/mrs/sub-01_task-baseline_mrsref.nii.gz"
    assert {row["t1w"] for row in found[2:]} == {"pain/sub-02/anat/sub-02_T1w.nii.gz"}
    ages = {row["subject"]: row["age"] for row in rows(study, "participants")}
    assert ages == {"01": "35-40", "02": "25-30"}
    taken = notes(study, "taken")
    assert sum("unit all: one response" in one for one in taken) == 2
    assert sum("condition rest, from task-baseline" in one for one in taken) == 2
    assert sum("the middle of 35-40" in one for one in taken) == 1
    assert any("task-pain_events.tsv: no columns onset" in one for one in notes(study, "left out"))
    printed = capsys.readouterr().out
    assert "4 with ref, 4 with t1w, 2 with events" in printed and "fmrsflow run" in printed


def test_the_example_of_edited_spectra_names_what_it_leaves_out(tmp_path):
    root = tmp_path / "gaba"
    mega = PAIN | {"PulseSequenceType": "MEGA-PRESS", "EchoTime": 0.08, "EditPulse": {"ON": {}}}
    for n in (1, 2):
        svs(root, f"sub-0{n}/mrs/sub-0{n}_acq-megapress68", mega)
        svs(root, f"sub-0{n}/mrs/sub-0{n}_acq-press", PAIN | {"EchoTime": 0.035})
        svs(root, f"sub-0{n}/mrs/sub-0{n}_acq-press", PAIN, "mrsref")
        svs(root, f"sub-0{n}/mrs/sub-0{n}_acq-megapress68", PAIN, "mrsref")
    put(root, "sub-01/mrs/S01_GABA_68_svs.nii.gz")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    found = rows(study)
    assert [row["acq"] for row in found] == ["press", "press"]
    assert all(row["ref"].endswith("acq-press_mrsref.nii.gz") for row in found)
    left = notes(study, "left out")
    assert sum("edited spectra" in one for one in left) == 2
    assert any("no BIDS name" in one for one in left)


def test_the_example_of_imaging_has_no_scan(tmp_path, capsys):
    svs(tmp_path / "csi", "sub-01/mrs/sub-01_run-1", PAIN, "mrsi")
    assert command(["init", str(tmp_path / "study"), "--bids", str(tmp_path / "csi")]) == 1
    said = capsys.readouterr()
    assert "no sub-*" in said.err and "single voxels only" in said.out
    assert not (tmp_path / "study").exists()


def test_no_t1w_of_another_session_or_person_is_taken(tmp_path):
    root = tmp_path / "d"
    svs(root, "sub-01/ses-2/mrs/sub-01_ses-2")
    put(root, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")
    svs(root, "sub-02/mrs/sub-02")
    svs(root, "sub-03/mrs/sub-03")
    put(root, "sub-03/anat/sub-03_T1w.nii.gz")
    svs(root, "sub-04/ses-1/mrs/sub-04_ses-1")
    put(root, "sub-04/anat/sub-04_T1w.nii.gz")
    svs(root, "sub-05/mrs/sub-05")
    for run in (1, 2):
        put(root, f"sub-05/anat/sub-05_run-{run}_T1w.nii.gz")
    svs(root, "sub-06/mrs/sub-06", PAIN | {"AnatomicalImage": "anat/sub-06_run-2_T1w.nii.gz"})
    for run in (1, 2):
        put(root, f"sub-06/anat/sub-06_run-{run}_T1w.nii.gz")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root), "--site", "A"]) == 0
    found = {row["subject"]: row["t1w"].rpartition("/")[2] for row in rows(study)}
    assert found == {
        "01": "a",
        "02": "a",
        "03": "sub-03_T1w.nii.gz",
        "04": "sub-04_T1w.nii.gz",
        "05": "a",
        "06": "sub-06_run-2_T1w.nii.gz",
    }
    undone = notes(study, "to do")
    assert any("sub-01_ses-2" in one and "another place" in one for one in undone)
    assert any("sub-05_svs" in one and "2 T1w" in one for one in undone)
    assert any(
        "sub-04_ses-1" in one and "beside the sessions" in one for one in notes(study, "taken")
    )


def test_sidecars_and_events_are_inherited_by_entities(tmp_path):
    root = tmp_path / "d"
    put(root, "task-vis_svs.json", PAIN)
    put(root, "sub-02/sub-02_task-vis_svs.json", {"EchoTime": 0.03})
    put(root, "task-vis_events.tsv", EVENTS)
    put(root, "task-other_events.tsv", EVENTS)
    for n in (1, 2, 3):
        svs(root, f"sub-0{n}/mrs/sub-0{n}_task-vis", None)
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    found = rows(study)
    assert [row["subject"] for row in found] == ["01", "03"]  # the nearer sidecar has another TE
    assert {row["events"] for row in found} == {"d/task-vis_events.tsv"}
    assert any("echo time 30 ms, not 22 ms" in one for one in notes(study, "left out"))


def test_a_reference_that_may_be_one_of_two_is_not_taken(tmp_path):
    root = tmp_path / "d"
    svs(root, "sub-01/mrs/sub-01_task-vis")
    for run in (1, 2):
        svs(root, f"sub-01/mrs/sub-01_acq-w_run-{run}", PAIN, "mrsref")
    svs(root, "sub-02/mrs/sub-02_task-vis_voi-acc")
    svs(root, "sub-02/mrs/sub-02_voi-pcc", PAIN, "mrsref")
    svs(root, "sub-03/mrs/sub-03_task-vis")
    svs(root, "sub-03/mrs/sub-03", PAIN, "mrsref")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    refs = {row["subject"]: row["ref"] for row in rows(study)}
    assert refs == {"01": "n/a", "02": "n/a", "03": "d/sub-03/mrs/sub-03_mrsref.nii.gz"}
    assert any("2 water references may belong" in one for one in notes(study, "to do"))
    assert any(
        "sub-03" in one and "water reference of these" in one for one in notes(study, "taken")
    )


def test_two_voxels_of_a_session_are_two_scans(tmp_path):
    root = tmp_path / "d"
    for voi in ("acc", "pcc"):
        svs(root, f"sub-01/mrs/sub-01_task-vis_voi-{voi}")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    assert [(row["voi"], row["acq"]) for row in rows(study)] == [("acc", "n/a"), ("pcc", "n/a")]


def test_bold_of_the_same_task_comes_from_fmriprep(tmp_path):
    root = tmp_path / "d"
    svs(root, "sub-01/mrs/sub-01_task-vis")
    put(root, "sub-01/func/sub-01_task-vis_bold.nii.gz")
    put(root, "sub-01/func/sub-01_task-vis_events.tsv", EVENTS)
    done = "derivatives/fmriprep/sub-01/func/sub-01_task-vis"
    put(root, f"{done}_space-T1w_desc-preproc_bold.nii.gz")
    put(root, f"{done}_desc-confounds_timeseries.tsv")
    svs(root, "sub-02/mrs/sub-02_task-vis")
    put(root, "sub-02/func/sub-02_task-vis_bold.nii.gz")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    first, second = rows(study)
    assert first["bold"] == f"d/{done}_space-T1w_desc-preproc_bold.nii.gz"
    assert first["bold_events"] == "d/sub-01/func/sub-01_task-vis_events.tsv"
    assert first["bold_confounds"].endswith("confounds_timeseries.tsv")
    assert second["bold"] == "n/a"
    assert any("raw BOLD run" in one for one in notes(study, "left out"))


def test_a_second_site_is_added_and_edited_rows_stay(pain, tmp_path):
    study, other = tmp_path / "study", tmp_path / "data" / "two"
    assert main([str(study), "--bids", str(pain)]) == 0
    sheet = study / "config" / "scans.tsv"
    edited = sheet.read_text().replace("\trest\t", "\teyesclosed\t", 1)
    sheet.write_text(edited)
    config = (study / "config" / "config.yaml").read_bytes()
    svs(other, "sub-01/mrs/sub-01_task-pain", PAIN | {"Manufacturer": "SIEMENS"})
    assert main([str(study), "--bids", str(other), "--site", "B"]) == 0
    assert sheet.read_text().startswith(edited)
    assert [row["site"] for row in rows(study)] == ["pain"] * 4 + ["B"]
    assert [row["vendor"] for row in rows(study, "sites")] == ["Philips", "Siemens"]
    assert (study / "config" / "config.yaml").read_bytes() == config
    before = sheet.read_bytes()
    assert main([str(study), "--bids", str(pain)]) == 0
    assert sheet.read_bytes() == before
    told = read_table(study / "config" / "found.tsv")
    assert any("has other values" in row["note"] for row in told)
    study_ = read_study(
        read_config(study / "config" / "config.yaml")
        | {
            f"{name}_sheet": str(study / "config" / f"{name}.tsv")
            for name in ("sites", "scans", "participants")
        }
    )
    assert len(study_.scans) == 5


def test_data_elsewhere_are_refused_by_an_older_study(pain, tmp_path, capsys):
    assert command(["init", str(tmp_path / "study"), "--bids", str(pain)]) == 0
    svs(tmp_path / "elsewhere" / "x", "sub-01/mrs/sub-01")
    assert command(["init", str(tmp_path / "study"), "--bids", str(tmp_path / "elsewhere")]) == 2
    assert "data_root" in capsys.readouterr().err


def test_a_sequence_that_no_header_names_is_asked_for(tmp_path, capsys):
    root = tmp_path / "d"
    svs(root, "sub-01/mrs/sub-01", {k: v for k, v in PAIN.items() if k != "PulseSequenceType"})
    study = str(tmp_path / "study")
    assert command(["init", study, "--bids", str(root)]) == 0
    assert rows(tmp_path / "study", "sites")[0]["sequence"] == "n/a"
    assert any("no header says sequence" in one for one in notes(tmp_path / "study", "to do"))
    assert "to do before it runs: sequence" in capsys.readouterr().out
    scans = (tmp_path / "study" / "config" / "scans.tsv").read_bytes()
    assert command(["init", study, "--bids", str(root), "--protocol", "sequence=STEAM"]) == 0
    assert rows(tmp_path / "study", "sites")[0]["sequence"] == "STEAM"
    assert (tmp_path / "study" / "config" / "scans.tsv").read_bytes() == scans
    assert command(["init", study, "--bids", str(root), "--protocol", "sequence=PRESS"]) == 1
    assert rows(tmp_path / "study", "sites")[0]["sequence"] == "STEAM"
    assert command(["init", study, "--bids", str(root), "--protocol", "sequence=EPI"]) == 2


def test_headers_count_more_than_sidecars(tmp_path):
    root = tmp_path / "d"
    fids = Fids(
        np.ones((4, 1, 128), complex), 5e-4, 297.2, 0.026, 5.0, header={"Manufacturer": "SIEMENS"}
    )
    (root / "sub-01" / "mrs").mkdir(parents=True)
    nib.save(to_nifti(fids), root / "sub-01" / "mrs" / "sub-01_svs.nii.gz")
    put(root, "sub-01/mrs/sub-01_svs.json", PAIN)
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root)]) == 0
    (site,) = rows(study, "sites")
    assert (site["vendor"], site["field_t"], site["te_s"]) == ("Siemens", "7", "0.026")


def test_ages_above_89_and_in_another_unit_are_not_told(tmp_path):
    root, study = tmp_path / "d", tmp_path / "study"
    ages = {"01": "95-100", "02": "93", "03": "89+", "04": "80-90", "05": "70-75"}
    for sub in ages:
        svs(root, f"sub-{sub}/mrs/sub-{sub}")
    lines = [f"sub-{sub}\t{age}" for sub, age in ages.items()]
    put(root, "participants.tsv", "\n".join(["participant_id\tage", *lines, ""]))
    put(root, "participants.json", {"age": {"Units": "years"}})
    assert main([str(study), "--bids", str(root)]) == 0
    told = {row["subject"]: row["age"] for row in rows(study, "participants")}
    assert told == {"01": "89", "02": "89", "03": "89", "04": "85", "05": "70-75"}
    written = "".join(path.read_text() for path in (study / "config").glob("*.tsv"))
    assert "95" not in written and "93" not in written
    put(root, "participants.json", {"age": {"Units": "months"}})
    assert main([str(tmp_path / "other"), "--bids", str(root)]) == 0
    assert {row["age"] for row in rows(tmp_path / "other", "participants")} == {"n/a"}
    assert any("ages in months" in one for one in notes(tmp_path / "other", "left out"))


def test_stimulated_echoes_of_two_mixing_times_are_two_protocols(tmp_path, capsys):
    """Whatever stands first: the basis of a site has one mixing time."""
    root = tmp_path / "d"
    steam = PAIN | {"PulseSequenceType": "STEAM"}
    for number, mixing in enumerate((0.068, 0.01, 0.01), start=1):
        svs(root, f"sub-0{number}/mrs/sub-0{number}", steam | {"MixingTime": mixing})
    svs(root, "sub-04/mrs/sub-04", steam)
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root), "--site", "A"]) == 0
    assert [row["subject"] for row in rows(study)] == ["02", "03", "04"]
    assert rows(study, "sites")[0]["tm_s"] == "0.01"
    left = notes(study, "left out")
    assert any("sub-01" in one and "mixing time 68 ms, not 10 ms" in one for one in left)
    assert "--protocol tm_s=0.068" in capsys.readouterr().out
    assert any("sub-04" in one and "tm_s" in one for one in notes(study, "taken"))


# --- folders of vendor files


@pytest.fixture
def vendor(tmp_path) -> Path:
    """Three people's folders as a scanner leaves them, called after the people."""
    root = tmp_path / "scanner"
    for number, person in enumerate(("Doe_Jane", "Roe_Richard", "P07")):
        (root / person).mkdir(parents=True)
        write_sdat(spectra(number, False, 8), root / person / "press35_act.SDAT")
        write_sdat(spectra(10 + number, True), root / person / "press35_ref.SDAT")
    (root / "Doe_Jane" / "events.tsv").write_text(EVENTS)
    (root / "Doe_Jane" / "notes.txt").write_text("she slept")
    image = nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4))
    nib.save(image, root / "Doe_Jane" / "T1_mprage.nii.gz")
    return root


def test_a_folder_of_vendor_files(vendor, tmp_path):
    study = tmp_path / "study"
    assert main([str(study), "--files", str(vendor)]) == 0
    found = {row["mrs"].split("/")[1]: row for row in rows(study)}
    assert {name: row["subject"] for name, row in found.items()} == {
        "Doe_Jane": "01",
        "P07": "P07",
        "Roe_Richard": "03",
    }
    for name, row in found.items():
        assert row["mrs"] == f"scanner/{name}/press35_act.SDAT"
        assert row["ref"] == f"scanner/{name}/press35_ref.SDAT"
    assert found["Doe_Jane"]["t1w"] == "scanner/Doe_Jane/T1_mprage.nii.gz"
    assert found["Doe_Jane"]["events"] == "scanner/Doe_Jane/events.tsv"
    assert found["P07"]["t1w"] == found["P07"]["events"] == "n/a"
    (site,) = rows(study, "sites")
    assert (site["vendor"], site["sequence"], site["te_s"]) == ("Philips", "PRESS", "0.035")


def test_water_is_told_by_its_content(tmp_path):
    """Names that say nothing, and one that lies."""
    root = tmp_path / "d" / "s1"
    root.mkdir(parents=True)
    write_rda(spectra(1, False), root / "meas_12.rda")
    write_rda(spectra(2, True), root / "meas_13.rda")
    study = tmp_path / "study"
    assert main([str(study), "--files", str(tmp_path / "d")]) == 0
    (row,) = rows(study)
    assert row["mrs"].endswith("meas_12.rda") and row["ref"].endswith("meas_13.rda")
    assert any("meas_13.rda, by folder, voxel and name" in one for one in notes(study, "taken"))


def test_water_of_another_voxel_is_not_taken(tmp_path):
    root = tmp_path / "d" / "s1"
    root.mkdir(parents=True)
    far = np.diag([20.0, 20.0, 20.0, 1.0])
    far[0, 3] = 40.0
    write_rda(spectra(1, False), root / "a.rda")
    write_rda(replace(spectra(2, True), affine=far), root / "a_ref.rda")
    study = tmp_path / "study"
    assert main([str(study), "--files", str(tmp_path / "d")]) == 0
    assert rows(study)[0]["ref"] == "n/a"
    assert any("water that belongs to no scan" in one for one in notes(study, "left out"))


def test_scans_of_one_person_are_runs(tmp_path):
    root = tmp_path / "d" / "S3"
    root.mkdir(parents=True)
    for number, name in enumerate(("a_rest", "b_vis")):
        write_rda(spectra(number, False), root / f"{name}.rda")
    (root / "vis_events.tsv").write_text("onset\tno\n")
    study = tmp_path / "study"
    assert main([str(study), "--files", str(tmp_path / "d")]) == 0
    found = rows(study)
    assert [(row["run"], row["condition"]) for row in found] == [("1", "rest"), ("2", "n/a")]
    assert {row["unit"] for row in found} == {"n/a"}
    assert any("a_rest" in one and "the same unit" in one for one in notes(study, "to do"))
    sheet = study / "config" / "scans.tsv"
    header, *lines = sheet.read_text().splitlines()
    column = header.split("\t").index("unit")
    cells = [line.split("\t") for line in lines]
    for one in cells:
        one[column] = "u"
    sheet.write_text("\n".join([header, *map("\t".join, cells), ""]))
    assert main([str(study), "--files", str(tmp_path / "d")]) == 0
    assert {row["unit"] for row in rows(study)} == {"u"}
    assert not any("the same unit" in one for one in notes(study, "to do"))


def test_measured_files_of_one_person_are_its_runs(shared_data, tmp_path):
    """Three scans and their references; one has another echo time than the others."""
    study = tmp_path / "study"
    assert main([str(study), "--files", str(shared_data / "philips-press-3t"), "--site", "P"]) == 0
    found = {row["mrs"].rpartition("/")[2]: row["ref"].rpartition("/")[2] for row in rows(study)}
    assert found == {
        "sub-01_ses-01_PRESS_raw-act_noID.SDAT": "sub-01_ses-01_PRESS_raw-ref_noID.SDAT",
        "sub-01_ses-01_PRESS-Inverted_TI-600_raw-act_noID.SDAT": (
            "sub-01_ses-01_PRESS-Inverted_TI-600_raw-ref_noID.SDAT"
        ),
    }
    assert {row["subject"] for row in rows(study)} == {"01"}
    left = notes(study, "left out")
    assert any("PRESS_35_act" in one and "35 ms, not 30 ms" in one for one in left)


def test_other_measured_files_are_read_or_left_with_a_reason(shared_data, tmp_path):
    study = tmp_path / "study"
    assert main([str(study), "--files", str(shared_data / "hostile"), "--site", "H"]) == 0
    left = notes(study, "left out")
    for name, words in (
        ("csi.sdat", "multi-voxel"),
        ("mega_editpulse_in_header.nii.gz", "editing pulses"),
        ("press35_sub02_act.sdat", "35 ms, not 30 ms"),
    ):
        assert any(name in one and words in one for one in left), name


def test_an_inverted_scan_is_no_scan_of_metabolites(tmp_path):
    root = tmp_path / "d" / "s1"
    root.mkdir(parents=True)
    nib.save(to_nifti(replace(spectra(1, False), header={"InversionTime": 0.6})), root / "a.nii.gz")
    write_rda(spectra(2, False), root / "b.rda")
    study = tmp_path / "study"
    assert main([str(study), "--files", str(tmp_path / "d"), "--protocol", "vendor=Siemens"]) == 0
    assert [row["mrs"] for row in rows(study)] == ["d/s1/b.rda"]
    assert any("inversion (TI 0.6)" in one for one in notes(study, "left out"))
