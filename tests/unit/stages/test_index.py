"""`fmrsflow index`: a BIDS dataset becomes a sheet."""

from __future__ import annotations

from fmrsflow.stages.index import main
from fmrsflow.tables import read_table


def test_a_dataset_becomes_a_sheet_with_its_companions(tmp_path):
    mrs = tmp_path / "sub-01" / "ses-2" / "mrs"
    anat = tmp_path / "sub-01" / "ses-2" / "anat"
    for folder in (mrs, anat):
        folder.mkdir(parents=True)
    for name in ("svs.nii.gz", "mrsref.nii.gz", "events.tsv"):
        (mrs / f"sub-01_ses-2_task-vis_run-1_{name}").touch()
    (anat / "sub-01_ses-2_T1w.nii.gz").touch()
    sheet = tmp_path / "scans.tsv"
    assert main([str(tmp_path), "--site", "A", "--out", str(sheet)]) == 0
    (row,) = read_table(sheet)
    assert row["mrs"] == "sub-01/ses-2/mrs/sub-01_ses-2_task-vis_run-1_svs.nii.gz"
    assert row["ref"].endswith("_mrsref.nii.gz")
    assert row["events"].endswith("_events.tsv")
    assert row["t1w"] == "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"
    assert (row["subject"], row["session"], row["task"], row["run"]) == ("01", "2", "vis", "1")


def test_a_dataset_without_spectroscopy_is_told(tmp_path, capsys):
    assert main([str(tmp_path), "--site", "A"]) == 1
    assert "no sub-*" in capsys.readouterr().err


def test_no_t1w_of_another_session_or_person_is_guessed(tmp_path):
    for scan in ("sub-01/ses-2", "sub-02", "sub-03"):
        (tmp_path / scan / "mrs").mkdir(parents=True)
        (tmp_path / scan / "mrs" / f"{scan.replace('/', '_')}_svs.nii.gz").touch()
    for place in ("sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-03/anat/sub-03_T1w"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / f"{place}.nii.gz").touch()
    sheet = tmp_path / "scans.tsv"
    assert main([str(tmp_path), "--site", "A", "--out", str(sheet)]) == 0
    found = {row["subject"]: row["t1w"] for row in read_table(sheet)}
    assert found == {"01": "n/a", "02": "n/a", "03": "sub-03/anat/sub-03_T1w.nii.gz"}
