"""SPAR and RDA headers that lack entries or are written in another way."""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.convert.checks import against_site
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.study import Site
from fmrsflow.synthetic.writers import write_rda, write_sdat

SITE = Site("north", "Philips", 3.0, "PRESS", 0.03, 2.0, "own")


@pytest.fixture
def fids() -> Fids:
    rng = np.random.default_rng(3)
    t = np.arange(256) * 5e-4
    data = np.exp(-t * 20) * (1 + 0.01 * rng.normal(size=(4, 1, 256)))
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    affine[:3, 3] = (5, -6, 7)
    return Fids(data.astype(np.complex64), 5e-4, 123.2, 0.03, 2.0, affine)


@pytest.fixture
def spar(fids, tmp_path):
    """Writes the pair with an edited SPAR; the path of the SDAT."""
    write_sdat(fids, tmp_path / "a.SDAT")
    text = (tmp_path / "a.SPAR").read_text()

    def write(edit, encoding="utf-8"):
        (tmp_path / "a.SPAR").write_bytes(edit(text).encode(encoding))
        return tmp_path / "a.SDAT"

    return write


@pytest.fixture
def rda(fids, tmp_path):
    """Writes the RDA with an edited header; its path."""
    write_rda(fids, tmp_path / "a.rda")
    header, end, samples = (tmp_path / "a.rda").read_bytes().partition(b">>> End of header <<<\r\n")

    def write(edit, encoding="utf-8"):
        text = edit((header + end).decode())
        (tmp_path / "a.rda").write_bytes(text.encode(encoding) + samples)
        return tmp_path / "a.rda"

    return write


def without(*keys):
    """Leaves the lines of these entries out."""
    starts = tuple(f"{key}{colon}" for key in keys for colon in (":", " :"))
    return lambda text: "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(starts)
    )


def commas(text: str) -> str:
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text)


def same(found: Fids, fids: Fids) -> None:
    """Points, axis and voxel are as written."""
    np.testing.assert_allclose(found.data, fids.data, rtol=1e-6)
    assert found.dwell_s == pytest.approx(fids.dwell_s, rel=1e-6)
    assert found.frequency_mhz == pytest.approx(fids.frequency_mhz, rel=1e-6)
    np.testing.assert_allclose(found.affine, fids.affine, atol=1e-4)


@pytest.mark.parametrize(
    ("edit", "encoding"),
    [
        (commas, "utf-8"),
        (without("spectrum_inversion_time", "offset_frequency", "nucleus", "scan_id"), "utf-8"),
        (without("patient_position", "patient_orientation", "equipment_sw_verions"), "utf-8"),
        (lambda text: text.replace("patient_name :", "patient_name : Jürgen Groß"), "latin-1"),
        (lambda text: text.replace("scan_id : PRESS", "scan_id : 4711"), "utf-8"),
        (lambda text: text + "a line of the scanner without a colon\n", "utf-8"),
        (lambda text: "\ufeff" + text, "utf-8"),
        (lambda text: text, "utf-16"),
        (lambda text: text.replace("\n", "\r\n"), "utf-8"),
        (lambda text: re.sub(r"(?m)^(\w+_frequency : \S+)$", r"\1 Hz", text), "utf-8"),
        (lambda text: re.sub(r"(?m)^((samples|ap_size) : \S+)$", r"\1  ! as it is", text), "utf-8"),
    ],
)
def test_a_spar_of_another_release_is_read_as_it_is(spar, fids, edit, encoding):
    found = read(spar(edit, encoding), SITE)
    same(found.fids, fids)
    assert (found.fids.te_s, found.fids.tr_s) == (pytest.approx(0.03), pytest.approx(2.0))
    assert not found.notes


@pytest.mark.parametrize(
    ("keys", "times", "words"),
    [
        (["echo_time"], (0.03, 2.0), ""),  # spectrum_echo_time says it too
        (["echo_time", "spectrum_echo_time"], (None, 2.0), "no echo time in the file"),
        (["repetition_time"], (0.03, None), "no repetition time in the file"),
    ],
)
def test_times_that_a_spar_lacks_are_those_of_the_sheet_and_told(spar, keys, times, words):
    found = read(spar(without(*keys)), SITE).fids
    assert (found.te_s, found.tr_s) == times
    told = []
    checked = against_site(found, SITE, told.append)
    assert (checked.te_s, checked.tr_s) == (0.03, 2.0)
    assert words in " ".join(told) and bool(told) == bool(words)


@pytest.mark.parametrize("key", ["lr_angulation", "cc_size", "ap_off_center"])
def test_a_voxel_of_which_a_number_is_missing_is_none(spar, key):
    found = read(spar(without(key)), SITE)
    assert found.fids.affine is None
    assert "no voxel geometry" in found.notes[0]


@pytest.mark.parametrize("key", ["synthesizer_frequency", "sample_frequency"])
def test_a_spar_without_a_frequency_axis_is_refused_by_its_entry(spar, key):
    with pytest.raises(DataError, match=rf"a\.SPAR: its header lacks a number for {key}"):
        read(spar(without(key)), SITE)


@pytest.mark.parametrize(
    ("edit", "encoding"),
    [
        (without("TM", "TI", "FlipAngle"), "utf-8"),
        (without("SoftwareVersion[0]", "InstitutionName", "DeviceSerialNumber"), "utf-8"),
        (without("ModelName", "TransmitCoil", "Nucleus", "PatientName"), "utf-8"),
        (without("CSIMatrixSize[0]", "CSIMatrixSize[1]", "CSIMatrixSize[2]"), "utf-8"),
        (without("VOIPositionSag", "VOIPositionCor", "VOIPositionTra"), "utf-8"),
        (lambda text: text.replace("\r\n", "\n"), "utf-8"),
        (commas, "utf-8"),
        (lambda text: text.replace("PatientName: synthetic", "PatientName: Jürgen"), "latin-1"),
        (lambda text: text.replace("TR:", "Comment of somebody\r\nTR:"), "utf-8"),
    ],
)
def test_an_rda_of_another_release_is_read_as_it_is(rda, fids, edit, encoding):
    found = read(rda(edit, encoding), SITE)
    same(found.fids, fids.mean())
    assert (found.fids.te_s, found.fids.tr_s) == (pytest.approx(0.03), pytest.approx(2.0))
    assert not found.notes


def test_an_rda_without_times_or_voxel_goes_on_with_words(rda):
    found = read(rda(without("TE", "TR", "RowVector[1]")), SITE)
    assert (found.fids.te_s, found.fids.tr_s, found.fids.affine) == (None, None, None)
    assert "no voxel geometry" in found.notes[0]


def test_an_rda_without_a_frequency_is_refused_by_its_entry(rda):
    with pytest.raises(DataError, match=r"a\.rda: its header lacks a number for MRFrequency"):
        read(rda(without("MRFrequency")), SITE)


def test_the_ending_of_an_rda_does_not_count(rda, fids, tmp_path):
    shutil.move(rda(lambda text: text), tmp_path / "exported")
    found = read(tmp_path / "exported", SITE)
    same(found.fids, fids.mean())
    assert found.format == "rda"


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["", "_ref"], 1),
        (["", "_ref_ecc"], 1),
        (["", "_ref_ecc", "_ref_no_ovs"], 2),
        (["_quant", "_ecc", ""], 0),
    ],
)
def test_references_of_a_ge_pfile_by_the_names_that_spec2nii_gives(
    fids, tmp_path, monkeypatch, names, taken
):
    """Where there are two, that for concentrations."""
    from fmrsflow.convert import reader
    from fmrsflow.convert.child import Ended
    from fmrsflow.synthetic.writers import write_nifti

    scans = [replace(fids, data=fids.data * (n + 1)) for n in range(len(names))]

    def converter(arguments, *rest):
        assert arguments[0] == "ge"
        out = tmp_path / arguments[arguments.index("-o") + 1]
        for name, one in zip(names, scans):
            write_nifti(one, out / f"svs{name}.nii.gz")
        return Ended()

    monkeypatch.setattr(reader, "run_spec2nii", converter)
    (tmp_path / "P12345.7").write_bytes(struct.pack("<f", 30.0) + bytes(400))
    found = read(tmp_path / "P12345.7", SITE)
    np.testing.assert_array_equal(found.fids.data, scans[names.index("")].data)
    np.testing.assert_array_equal(found.reference.data, scans[taken].data)
    assert bool(found.notes) == (len(names) > 2)
