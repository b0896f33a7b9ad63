"""The stage on measured files that converters refuse: read, told, and valid when written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from convert_tools import converted
from fmrsflow.convert.reader import read
from fmrsflow.study import Site

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")
CHALLENGE = "fitting-challenge/"


def convert(data: Path, results: Path, mrs: str, ref: str = "", **site) -> tuple[dict, Path]:
    """Record of the stage for one scan, and the folder of its files."""
    return converted(replace(SITE, **site), data, results, mrs, ref)


def validate(folder: Path) -> int:
    """Number of NIfTI-MRS files, all of which pass the standard's validator (it raises)."""
    from nifti_mrs.validator import validate_hdr_ext, validate_nifti_header, validate_spectralwidth

    paths = sorted(folder.glob("*.nii.gz"))
    for path in paths:
        image = nib.load(path)
        text = image.header.extensions[0].get_content()
        validate_nifti_header(image.header)
        validate_hdr_ext(text, image.shape)
        validate_spectralwidth(text, image.header["pixdim"][4])
    return len(paths)


@pytest.mark.parametrize(
    ("mrs", "ref", "site", "files"),
    [
        (
            "hostile/philips_mrs_storage_1.5T_press_te32.dcm",
            "",
            {"vendor": "Philips", "field_t": 1.5, "te_s": 0.0319},
            2,
        ),
        ("hostile/xa60_blank_weight.dcm", "", {}, 1),
        ("hostile/dicom_mac", "", {}, 1),
        ("siemens-press-3t/SVS_30.IMA", "", {}, 1),
        ("siemens-press-3t/SVS_30.rda", "", {}, 1),
        ("hostile/jmrui_latin1_name.txt", f"{CHALLENGE}jmrui/dataset1_nWS.txt", {}, 2),
    ],
)
def test_what_was_refused_is_read_and_what_is_written_is_valid(
    shared_data, tmp_path, mrs, ref, site, files
):
    record, folder = convert(shared_data, tmp_path, mrs, ref, **site)
    assert record["status"] == "ok", record["reason"]
    assert validate(folder) == files


def test_no_personal_detail_of_a_measured_header_reaches_an_output(shared_data, tmp_path):
    source = shared_data / "hostile/xa60_blank_weight.dcm"
    header = pydicom.dcmread(source)
    planted = {
        "PatientName": "Muster^Erika",
        "PatientID": "ID4711",
        "PatientBirthDate": "19640812",
        "InstitutionName": "Hospital Musterstadt",
        "StationName": "STATION77",
        "ReferringPhysicianName": "Doktor^Who",
        "StudyDescription": "Muster study",
        "SeriesDescription": "Erikas protocol",
        "ProtocolName": "Erikas protocol",
        "ImageComments": "calls herself Riki",
    }
    for key, value in planted.items():
        setattr(header, key, value)
    data = tmp_path / "data"
    data.mkdir()
    header.save_as(data / "a.dcm")
    record, folder = convert(data, tmp_path / "results", "a.dcm")
    assert record["status"] == "ok"
    content = b"".join(
        nib.load(path).to_bytes() if path.suffix == ".gz" else path.read_bytes()
        for path in folder.iterdir()
    ).lower()
    for word in ("muster", "erika", "4711", "1964", "station77", "doktor", "riki", "164208"):
        assert word.encode() not in content


def test_times_that_a_file_lacks_are_those_of_the_sheet_with_a_warning(shared_data, tmp_path):
    record, _ = convert(shared_data, tmp_path, f"{CHALLENGE}jmrui/dataset1_WS.txt")
    assert (record["te_s"], record["tr_s"]) == (0.03, 2.0)
    said = " ".join(record["warnings"])
    assert "no echo time in the file; that of sites.tsv, 0.03 s, is used" in said
    assert "no repetition time in the file" in said


def test_a_jmrui_file_of_the_other_sign_is_turned_and_an_rda_refused(shared_data, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    lines = (shared_data / CHALLENGE / "jmrui/dataset1_WS.txt").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Signal 1"))
    turned = [
        "\t".join([real, imaginary.lstrip("-") if imaginary[0] == "-" else f"-{imaginary}"])
        for real, imaginary, *_ in map(str.split, lines[start + 1 :])
    ]
    (data / "a.txt").write_text("\n".join([*lines[: start + 1], *turned]))
    record, folder = convert(data, tmp_path / "a", "a.txt")
    assert record["status"] == "ok" and "turned round" in " ".join(record["warnings"])
    right, other = convert(shared_data, tmp_path / "b", f"{CHALLENGE}jmrui/dataset1_WS.txt")
    assert right["status"] == "ok"
    values = [
        np.asarray(nib.load(next(one.glob("*svs.nii.gz"))).dataobj) for one in (folder, other)
    ]
    np.testing.assert_allclose(*values)

    header, end, samples = (
        (shared_data / "siemens-press-3t/SVS_30.rda")
        .read_bytes()
        .partition(b">>> End of header <<<\r\n")
    )
    conjugate = np.conj(np.frombuffer(samples, "<c16")).tobytes()
    (data / "a.rda").write_bytes(header + end + conjugate)
    record, _ = convert(data, tmp_path / "c", "a.rda")
    assert record["status"] == "failed" and "other sign of frequency" in record["reason"]


@pytest.mark.parametrize(
    ("mrs", "site", "averages"),
    [
        ("hostile/press35_sub02_act.sdat", {"vendor": "Philips", "te_s": 0.035}, 64),
        ("siemens-press-3t/SVS_30.rda", {}, 64),
        ("hostile/xa60_blank_weight.dcm", {}, 80),
        ("drift-series/philips_spar_sdat_WS.SDAT", {"vendor": "Philips"}, 128),
    ],
)
def test_averages_are_those_of_the_header(shared_data, tmp_path, mrs, site, averages):
    """SPAR, RDA and enhanced DICOM of three scanners: what their converters leave out."""
    assert read(shared_data / mrs, replace(SITE, **site)).fids.told.averages == averages
