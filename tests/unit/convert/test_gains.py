"""Receiver gains of vendors' headers."""

from __future__ import annotations

import ctypes

import numpy as np
import pydicom
import pytest

from fmrsflow.convert.gains import gain_of
from fmrsflow.convert.reader import read
from fmrsflow.study import Site


@pytest.mark.parametrize("revision", [14, 20, 26, 31])
@pytest.mark.parametrize("order", ["Little", "Big"])
def test_r1_and_r2_of_a_p_file_stand_before_the_frequency(tmp_path, revision, order):
    """Made after the layout of that revision, and four integers in a row as rdbm.h has them."""
    from spec2nii.GE.ge_hdr_fields import get_pfile_hdr_fields

    layout = {"_pack_": 1, "_fields_": get_pfile_hdr_fields(revision)}
    header = type("Header", (getattr(ctypes, f"{order}EndianStructure"),), layout)()
    header.rhr_rh_ps_mps_freq = 1_277_000_000
    content, place = bytearray(bytes(header)), type(header).rhr_rh_ps_mps_freq.offset
    sign = "<" if order == "Little" else ">"
    content[:4] = np.array([revision], f"{sign}f4").tobytes()
    content[place - 12 : place] = np.array([11, 15, 140], f"{sign}i4").tobytes()
    (tmp_path / "P1.7").write_bytes(content)
    assert gain_of(tmp_path / "P1.7", "pfile") == (11.0, 15.0)
    (tmp_path / "P1.7").write_bytes(content[:200])
    assert gain_of(tmp_path / "P1.7", "pfile") == ()


@pytest.mark.parametrize(
    ("protocol", "gain"),
    [
        (b"sRXSPEC.lGain = 1\nsRXSPEC.bGainValid = 1\n", (1.0,)),
        (b"sRXSPEC.lGain\t = \t0\n", (0.0,)),
        (b"sRXSPEC.bGainValid\t = \t1\n", (0.0,)),
        (b"lAverages = 64\n", ()),
    ],
)
def test_the_gain_of_siemens_is_that_of_the_protocol(tmp_path, protocol, gain):
    (tmp_path / "meas.dat").write_bytes(bytes(64) + protocol + bytes(64))
    assert gain_of(tmp_path / "meas.dat", "twix") == gain
    header = pydicom.Dataset()
    header.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
    header.add_new(0x00291120, "OB", protocol)
    header.save_as(tmp_path / "a.IMA", implicit_vr=False, little_endian=True)
    assert gain_of(tmp_path / "a.IMA", "dicom") == gain


def test_the_gain_of_a_measured_file(shared_data):
    site = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")
    found = read(shared_data / "siemens-press-3t" / "SVS_30.IMA", site)
    assert found.fids.told.gain == (1.0,)
    assert gain_of(shared_data / "siemens-press-3t" / "SVS_30.rda", "rda") == ()
