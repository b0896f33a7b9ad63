"""Twix files that are made after what their reader looks at: what goes in comes out."""

from __future__ import annotations

import numpy as np
import pytest
from twix_files import Written, adjusted, measurement, twix_file, write_twix

from convert_tools import converted
from fmrsflow.convert.reader import read
from fmrsflow.convert.twix import STOPPED_SCAN
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.study import Site

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")


def scan(n: int = 6, coils: int = 3) -> Fids:
    """Singlets in coils of several phases; a box that is turned about two axes."""
    time = np.arange(256) * 5e-4
    rng = np.random.default_rng(4)
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * time) for ppm in (2.01, 3.03, 3.22))
    gains = np.exp(1j * np.arange(coils)) / (1 + np.arange(coils))
    noise = rng.normal(size=(2, n, coils, 256))
    data = lines * np.exp(-12 * time) * gains[:, None] + 0.01 * (noise[0] + 1j * noise[1])
    a, b = np.deg2rad([20.0, 15.0])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]])
    about_x = np.array([[1.0, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z * (20.0, 25.0, 30.0)
    affine[:3, 3] = (5.0, -12.0, 33.0)
    return Fids(data, 5e-4, 123.2, 0.03, 2.0, affine)


@pytest.mark.parametrize(
    "how",
    [
        Written(),
        Written(counter="Rep", gain=0),
        Written(line="VB", counter="Set"),
        Written(line="VB", counter="Rep", gain=0),
    ],
)
def test_fids_voxel_and_times_come_back(tmp_path, how):
    fids = scan()
    write_twix(fids, tmp_path / "meas.dat", how)
    found = read(tmp_path / "meas.dat", SITE).fids
    np.testing.assert_allclose(found.data, fids.data, atol=1e-6)
    assert (found.te_s, found.tr_s, found.dwell_s) == pytest.approx((0.03, 2.0, 5e-4))
    assert found.told.gain == (how.gain,) and found.told.family == "PRESS"
    # The axes may have another sense: those of the box are the same lines.
    turned = found.affine[:3, :3].T @ fids.affine[:3, :3]
    np.testing.assert_allclose(np.abs(turned), np.diag([400.0, 625.0, 900.0]), atol=0.05)
    np.testing.assert_allclose(found.affine[:3, 3], fids.affine[:3, 3], atol=1e-3)


@pytest.mark.parametrize("before", [1, 2])
def test_the_last_measurement_is_the_scan(tmp_path, before):
    """Adjustments stand before it, with another signal and gain."""
    fids = scan(coils=1)
    (tmp_path / "meas.dat").write_bytes(adjusted(fids, before))
    found = read(tmp_path / "meas.dat", SITE).fids
    np.testing.assert_allclose(found.data, fids.data, atol=1e-6)
    assert found.told.gain == (1.0,)


@pytest.mark.parametrize("line", ["VB", "VD"])
def test_a_cut_twix_file_is_refused_wherever_it_is_cut(tmp_path, line):
    """Also between two transients, where the converter takes those before."""
    fids = scan(coils=1)
    whole = twix_file(fids, Written(line=line))
    readout = 128 + 8 * 256 if line == "VB" else 192 + 32 + 8 * 256
    end = len(whole) - (-(-128 // 512) * 512 if line == "VB" else 192)
    for cut in (4, 5000, len(whole) // 2, end - 2 * readout, end - 100):
        (tmp_path / "meas.dat").write_bytes(whole[:cut])
        record, _ = converted(SITE, tmp_path, tmp_path / f"out{cut}", "meas.dat")
        assert record["status"] == "failed", cut
        assert "truncated" in record["reason"], record["reason"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Written(sequence="svs_edit", file="%CustomerSeq%\\svs_edit_859f"), "not supported"),
        (Written(sequence="svs_st", file="%SiemensSeq%\\svs_st"), "STEAM"),
    ],
)
def test_other_sequences_are_refused(tmp_path, how, words):
    write_twix(scan(coils=1), tmp_path / "meas.dat", how)
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "meas.dat")
    assert record["status"] == "failed" and words in record["reason"], record["reason"]


def test_a_reference_of_low_gain_is_told(tmp_path):
    fids = scan()
    water = 1e3 * np.exp(-12 * fids.time_s) + scan(coils=3).select([0]).data
    write_twix(fids, tmp_path / "a.dat")
    write_twix(fids.with_data(water), tmp_path / "b.dat", Written(gain=0))
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "a.dat", "b.dat")
    assert record["status"] == "ok", record["reason"]
    assert any("receiver gain of 0, the scan's of 1" in one for one in record["warnings"])


def test_a_stopped_scan_of_vb_is_read_whole_and_told(tmp_path):
    """Without its end the converter leaves the last transient out."""
    fids, how = scan(), Written(line="VB", counter="Rep")
    whole = measurement(fids, how)
    readout = fids.n_coils * (128 + 8 * fids.n_points)
    for lost in (0, 2):
        (tmp_path / "meas.dat").write_bytes(whole[: len(whole) - 128 - lost * readout])
        found = read(tmp_path / "meas.dat", SITE)
        np.testing.assert_allclose(found.fids.data, fids.data[: 6 - lost], atol=1e-6)
        assert found.notes == (STOPPED_SCAN,)
    (tmp_path / "meas.dat").write_bytes(whole[: len(whole) - 128 - readout // 2])
    with pytest.raises(DataError, match="ends before its measurement does"):
        read(tmp_path / "meas.dat", SITE)
