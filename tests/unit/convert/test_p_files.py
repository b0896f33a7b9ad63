"""P-files that are made after the converter's own layout: what goes in comes out."""

from __future__ import annotations

import numpy as np
import pytest
from p_files import Written, write_p_file

from convert_tools import converted
from fmrsflow.convert.reader import read
from fmrsflow.fids import Fids
from fmrsflow.study import Site

SITE = Site("north", "GE", 3.0, "PRESS", 0.03, 2.0, "own")


def pair(n: int = 8) -> tuple[Fids, Fids]:
    """Singlets with little water left, and water; a box that is turned about one axis."""
    time = np.arange(512) * 5e-4
    rng = np.random.default_rng(4)
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 127.7 * time) for ppm in (2.01, 3.03, 3.22))
    noise = rng.normal(size=(2, n + 1, 1, 512))
    noise = 0.01 * (noise[0] + 1j * noise[1])
    turn, size = np.deg2rad(20.0), np.array([20.0, 25.0, 30.0])
    axes = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]]
    )
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * size, (5.0, -12.0, 33.0)
    fids = Fids(lines * np.exp(-12 * time) + noise[:n], 5e-4, 127.7, 0.03, 2.0, affine)
    return fids, fids.with_data(300 * np.exp(-15 * time) + noise[n:])


@pytest.mark.parametrize(
    "how",
    [
        Written(),
        Written(revision=20.006),
        Written(revision=28.003),
        Written(revision=31.0, nex=2),
        Written(revision=30.0, psd="slaser", nex=2),
    ],
)
def test_fids_voxel_and_times_come_back(tmp_path, how):
    fids, water = pair()
    write_p_file(fids, tmp_path / "P1.7", water, how)
    found = read(tmp_path / "P1.7", SITE)
    scale = found.reference.data[0, 0, 0] / water.data[0, 0, 0]
    assert abs(scale.imag) < 1e-6 * scale.real
    # A step of the whole numbers is 4e-9 of the water.
    np.testing.assert_allclose(found.fids.data / scale, fids.data, atol=1e-5)
    np.testing.assert_allclose(found.reference.data[1] / scale, water.data[0], atol=1e-4)
    assert found.fids.told.gain == (11.0, 15.0)
    assert (found.fids.te_s, found.fids.tr_s) == pytest.approx((0.03, 2.0))
    assert found.fids.dwell_s == pytest.approx(5e-4)
    ours, theirs = (
        np.sort(np.abs(one[:3, :3]).ravel()) for one in (fids.affine, found.fids.affine)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_p_file_is_scan_and_reference_in_one(tmp_path):
    fids, water = pair()
    write_p_file(fids, tmp_path / "P1.7", water)
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "P1.7")
    assert record["status"] == "ok", record["reason"]
    assert record["reference"]["n_transients"] == 16 and record["reference"]["distrust"] == []
    assert record["excitations_per_transient"] == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Written(psd="jpress"), "edited spectra are not supported"),
        (Written(psd="research/mrs/gaba"), "edited spectra are not supported"),
        (Written(psd="probe-p-mega_rml"), "edited spectra are not supported"),
        (Written(psd="epi"), "pulse sequence that spec2nii does not know"),
    ],
)
def test_other_sequences_are_refused(tmp_path, how, words):
    fids, water = pair()
    write_p_file(fids, tmp_path / "P1.7", water, how)
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "P1.7")
    assert record["status"] == "failed" and words in record["reason"], record["reason"]


def test_a_reference_of_another_gain_is_told(tmp_path):
    """The scan of one P-file with that of another as its reference."""
    fids, water = pair()
    write_p_file(fids, tmp_path / "P1.7", water)
    write_p_file(fids.with_data(0.5 * water.data), tmp_path / "P2.7", water, Written(gains=(9, 15)))
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "P1.7", "P2.7")
    assert record["status"] == "ok", record["reason"]
    assert any("receiver gain of 9, 15" in one for one in record["reference"]["distrust"])


def test_a_cut_p_file_is_refused(tmp_path):
    fids, water = pair()
    write_p_file(fids, tmp_path / "P1.7", water)
    content = (tmp_path / "P1.7").read_bytes()
    for share in (0.3, 0.9, 0.99):
        (tmp_path / "P1.7").write_bytes(content[: int(share * len(content))])
        record, _ = converted(SITE, tmp_path, tmp_path / f"out{share}", "P1.7")
        assert record["status"] == "failed", share
