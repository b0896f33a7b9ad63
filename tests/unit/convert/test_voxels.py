"""Grids of voxels are told from transients."""

from __future__ import annotations

import shutil

import pytest

from fmrsflow.convert.reader import read
from fmrsflow.convert.voxels import refuse_rda_grid, refuse_spar_grid
from fmrsflow.errors import DataError
from fmrsflow.study import Site

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.035, 2.0, "own")


def test_a_real_spar_of_a_grid_is_refused_as_one(shared_data):
    with pytest.raises(DataError, match=r"csi.sdat: multi-voxel data \(4 x 4 x 1 voxels"):
        read(shared_data / "hostile/csi.sdat", SITE)


def test_an_rda_of_a_grid_is_refused_as_one(shared_data, tmp_path):
    content = (shared_data / "siemens-press-3t/SVS_30.rda").read_bytes()
    for axis in (0, 1):
        content = content.replace(b"CSIMatrixSize[%d]: 1" % axis, b"CSIMatrixSize[%d]: 8" % axis)
    head, mark, samples = content.partition(b">>> End of header <<<\r\n")
    (tmp_path / "csi.rda").write_bytes(head + mark + 64 * samples)
    with pytest.raises(DataError, match=r"csi.rda: multi-voxel data \(8 x 8 x 1 voxels"):
        read(tmp_path / "csi.rda", SITE)


@pytest.mark.parametrize(
    "entries",
    [
        {"dim2_pnts": "64", "phase_encoding_enable": '"no"', "dim3_pnts": "1"},
        {"SUN_dim2_pnts": "1", "phase_encoding_enable": '"yes"', "SUN_dim3_pnts": "1"},
        {"dim2_pnts": "damaged"},
        {},
    ],
)
def test_transients_of_one_voxel_are_no_grid(entries):
    assert refuse_spar_grid("a.SDAT", entries) is None  # and raises nothing


def test_old_rda_with_sizes_of_zero_are_no_grid():
    with pytest.raises(DataError, match="multi-voxel"):
        refuse_rda_grid("a.rda", b"CSIMatrixSize[0]: 2\r\nCSIMatrixSize[1]: 1\r\n")
    assert None is refuse_rda_grid("a.rda", b"CSIMatrixSize[0]: 0\r\nCSIMatrixSize[1]: 1\r\n")


def test_a_grid_in_nifti_is_refused_as_one(shared_data, tmp_path):
    import nibabel as nib
    import numpy as np

    image = nib.load(shared_data / "phantoms/ge_P1751_svs.nii.gz")
    data = np.tile(np.asarray(image.dataobj), (2, 3, 1, 1, 1))
    made = nib.Nifti2Image(data, image.affine, image.header)
    nib.save(made, tmp_path / "csi.nii.gz")
    with pytest.raises(DataError, match=r"multi-voxel data \(2 x 3 x 1 voxels"):
        read(shutil.move(tmp_path / "csi.nii.gz", tmp_path / "a.nii.gz"), SITE)
