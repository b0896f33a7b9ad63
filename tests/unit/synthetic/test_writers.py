"""Vendor files, read back by spec2nii."""

from __future__ import annotations

import subprocess

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fmrsflow.fids import Fids, from_nifti
from fmrsflow.synthetic import writers


def scan(n_transients: int = 3, n_coils: int = 1, angles=(20, -11, 35)) -> Fids:
    rng = np.random.default_rng(8)
    shape = (n_transients, n_coils, 256)
    data = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    # Values of very different size, zero among them.
    data = (data * 10.0 ** rng.uniform(-20, 20, shape)).astype(np.complex64)
    data[0, 0, 0] = 0
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * [25, 20, 30]
    affine[:3, 3] = [3.25, -80.5, 12.75]
    return Fids(data, 5e-4, 127.755264, te_s=0.03, tr_s=2.0, affine=affine)


def converted(folder, *arguments) -> Fids:
    subprocess.run(["spec2nii", *map(str, arguments), "-o", str(folder)], check=True)
    return from_nifti(nib.load(next(folder.glob("*.nii.gz"))))


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -11, 35), (-95, 40, 170)])
def test_sdat_comes_back_bit_for_bit_with_its_geometry(tmp_path, angles):
    wrote = scan(angles=angles)
    writers.write_sdat(wrote, tmp_path / "a.SDAT")
    read = converted(tmp_path, "philips", tmp_path / "a.SDAT", tmp_path / "a.SPAR")
    assert np.array_equal(read.data, wrote.data)
    assert np.allclose(read.affine, wrote.affine, atol=2e-5)
    assert (read.te_s, read.tr_s) == (0.03, 2.0)
    assert read.frequency_mhz == pytest.approx(wrote.frequency_mhz, rel=1e-8)
    assert read.dwell_s == pytest.approx(5e-4)


def test_rda_holds_the_average_and_its_geometry(tmp_path):
    wrote = scan()
    writers.write_rda(wrote, tmp_path / "a.rda")
    read = converted(tmp_path, "rda", tmp_path / "a.rda")
    assert np.allclose(read.data[0, 0], wrote.transients.mean(axis=0), rtol=1e-6)
    assert np.allclose(read.affine, wrote.affine, atol=2e-5)
    assert (read.te_s, read.tr_s) == (0.03, 2.0)


def test_nifti_keeps_coils_and_transients_and_gives_the_same_bytes_twice(tmp_path):
    wrote = scan(n_coils=4)
    for name in ("a.nii.gz", "b.nii.gz"):
        writers.write_nifti(wrote, tmp_path / name)
    read = from_nifti(nib.load(tmp_path / "a.nii.gz"))
    assert np.array_equal(read.data, wrote.data)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="coils"):
        writers.write_sdat(scan(n_coils=2), tmp_path / "a.SDAT")
    with pytest.raises(ValueError, match="affine"):
        writers.write_sdat(Fids(scan().data, 5e-4, 127.7, 0.03, 2.0), tmp_path / "a.SDAT")
    with pytest.raises(ValueError, match="VAX"):
        writers.write_sdat(scan().with_data(np.full((1, 1, 8), np.inf + 0j)), tmp_path / "a.SDAT")


def test_image_values_are_scaled_by_the_slope(tmp_path):
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    writers.write_image(volume, np.eye(4), tmp_path / "a.nii.gz", slope=1 / 255)
    image = nib.load(tmp_path / "a.nii.gz")
    assert np.allclose(image.get_fdata(), volume / 255)
