"""Excitations of a transient by headers, and what the sheet says of them."""

from __future__ import annotations

import ctypes
import json
import re
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from convert_tools import converted
from fmrsflow.convert.excitations import Excitations, excitations
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.study import Site
from fmrsflow.synthetic.writers import write_sdat

SITE = Site("north", "Philips", 3.0, "PRESS", 0.035, 2.0, "own")


@pytest.fixture
def fids() -> Fids:
    """Sixteen transients with the three singlets upright."""
    rng = np.random.default_rng(3)
    t = np.arange(512) * 5e-4
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * t) for ppm in (2.01, 3.03, 3.22))
    data = lines * np.exp(-15 * t) * 1e3 + rng.normal(size=(16, 1, 512))
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    return Fids(data.astype(np.complex64), 5e-4, 123.2, 0.035, 2.0, affine)


def sdat(fids: Fids, folder, averages: str):
    """The pair with that entry of its SPAR."""
    write_sdat(fids, folder / "a.SDAT")
    spar = folder / "a.SPAR"
    spar.write_text(re.sub(r"(?m)^averages : .*$", f"averages : {averages}", spar.read_text()))
    return folder / "a.SDAT"


@pytest.mark.parametrize(
    ("averages", "each"),
    [("1", 1), ("8", 8), ("8  ", 8), ("8,0", 8), ("", 1), ("many", 1), ("0", 1), ("-4", 1)],
)
def test_averages_of_a_spar_are_those_of_a_row(fids, tmp_path, averages, each):
    assert excitations(sdat(fids, tmp_path, averages), "sdat", fids).each == each


@pytest.mark.parametrize("averages", ["16", "512"])
def test_averages_that_may_be_those_of_the_scan_are_not_guessed(fids, tmp_path, averages):
    """As many as rows, or more than two hours of them."""
    told = excitations(sdat(fids, tmp_path, averages), "sdat", fids)
    assert told.each is None and "SPAR" in told.entry


def test_one_transient_has_no_timing(fids, tmp_path):
    one = fids.mean()
    assert excitations(sdat(one, tmp_path, "64"), "sdat", one) == Excitations()


@pytest.mark.parametrize(
    ("stated", "each", "words"),
    [
        (128, 8, "8 excitations"),
        (16, 1, ""),
        ("128", 1, ""),
        (True, 1, ""),
        (1, 1, ""),
        (20, 1, "counts as 1 excitation (NumberOfTransients in its header (20 for 16"),  # stopped
        (100, None, "(100 for 16 transients) may count"),
        (8, None, "(8 for 16 transients) may count"),
    ],
)
def test_number_of_transients_of_nifti_is_that_of_the_scan(fids, tmp_path, stated, each, words):
    image = to_nifti(fids)
    code = [one for one in image.header.extensions if one.get_code() == 44][0]
    header = json.loads(code.get_content()) | {"NumberOfTransients": stated}
    image.header.extensions.clear()
    image.header.extensions.append(nib.nifti1.Nifti1Extension(44, json.dumps(header).encode()))
    nib.save(image, tmp_path / "a.nii.gz")
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "a.nii.gz")
    assert record["status"] == "ok" and record["excitations_per_transient"] == each
    assert any(words in one for one in record["warnings"] if words) == bool(words)
    assert any("excitation" in one for one in record["warnings"]) == bool(words)


@pytest.mark.parametrize(
    ("averages", "each"), [(None, 1), (1.0, 1), (16.0, 1), (4.0, 4), (64.0, None), (2.5, 1)]
)
def test_averages_of_dicom_are_those_of_a_file_or_of_the_protocol(fids, tmp_path, averages, each):
    fids = replace(fids, told=replace(fids.told, averages=averages))
    assert excitations(tmp_path, "dicom", fids).each == each


@pytest.mark.parametrize("revision", [14.3, 16.0, 24.0, 26.0])
def test_a_p_file_counts_the_excitations_of_the_scan(fids, tmp_path, revision):
    """A header made after the layout of that revision: no measured file of these is at hand."""
    from spec2nii.GE.ge_hdr_fields import get_pfile_hdr_fields

    layout = {"_pack_": 1, "_fields_": get_pfile_hdr_fields(int(revision))}
    header = type("Header", (ctypes.LittleEndianStructure,), layout)()
    header.rhr_rh_user4 = 128.0
    content = np.float32(revision).tobytes() + bytes(header)[4:]
    (tmp_path / "P1.7").write_bytes(content)
    assert excitations(tmp_path / "P1.7", "pfile", fids) == Excitations(
        8, "rhuser4 in its header (128 for 16 transients)", 128
    )


def test_the_sheet_is_believed_and_the_difference_told(fids, tmp_path):
    sdat(fids, tmp_path, "8")
    record, _ = converted(SITE, tmp_path, tmp_path / "a", "a.SDAT")
    assert record["excitations_per_transient"] == 8
    assert any("column excitations_per_transient" in one for one in record["warnings"])
    record, _ = converted(SITE, tmp_path, tmp_path / "b", "a.SDAT", excitations_per_transient=4)
    assert record["excitations_per_transient"] == 4
    assert any("of 4 excitations, as scans.tsv says" in one for one in record["warnings"])


@pytest.mark.parametrize(("each", "fits"), [(8, True), (7, False), (1, False)])
def test_excitations_of_the_sheet_that_the_header_contradicts_are_told(each, fits):
    """128 of the scan are 16 of 8, and neither 16 of 7 nor of 1."""
    assert Excitations(8, "NumberOfTransients", 128).agrees(each, 16) == fits
    assert Excitations(None, "NumberOfTransients", 100).agrees(each, 16) is False
    assert Excitations().agrees(each, 16)


def test_a_measured_pair_of_one_row_says_nothing(shared_data, tmp_path):
    act, ref = (f"hostile/press35_sub02_{name}.sdat" for name in ("act", "ref"))
    record, _ = converted(replace(SITE), shared_data, tmp_path, act, ref)
    assert record["excitations_per_transient"] == 1 and record["warnings"] == []


@pytest.mark.parametrize(("named", "told"), [(None, True), (64, False)])
def test_the_sheet_says_of_how_many_excitations_one_average_is(fids, tmp_path, named, told):
    """A mean of 64 whose header says 1: its reference has eight times its noise."""
    rng = np.random.default_rng(3)
    parts = rng.normal(size=(2, 2, 1, fids.n_points))
    noise = 1e-3 * np.abs(fids.data).max() * (parts[0] + 1j * parts[1])
    water = 1e3 * np.abs(fids.data).max() * np.exp(-15 * fids.time_s)
    one = fids.mean().broadened(10.0)  # nothing is left of the lines where the noise is read
    for name, each in (("a", one.data + noise[:1] / 8), ("w", water + noise[1:])):
        image = to_nifti(one.with_data(each))
        (code,) = (each for each in image.header.extensions if each.get_code() == 44)
        header = json.loads(code.get_content()) | {"NumberOfTransients": 1}
        image.header.extensions[:] = [nib.nifti1.Nifti1Extension(44, json.dumps(header).encode())]
        nib.save(image, tmp_path / f"{name}.nii.gz")
    columns = {} if named is None else {"excitations_per_transient": named}
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "a.nii.gz", "w.nii.gz", **columns)
    assert record["status"] == "ok", record["reason"]
    assert bool(record["reference"]["distrust"]) == told, record["warnings"]
