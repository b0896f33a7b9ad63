"""Images of others: read to the checksum at their end, bounded before memory is taken."""

from __future__ import annotations

import gzip
import resource

import nibabel as nib
import numpy as np
import pytest

from fmrsflow import images
from fmrsflow.errors import DataError


def write(path, values, dtype=np.float32, level=6):
    """A NIfTI image as a gzip file."""
    image = nib.Nifti1Image(values.astype(dtype), np.eye(4))
    path.write_bytes(gzip.compress(image.to_bytes(), level, mtime=0))
    return path


def test_a_damaged_map_that_nibabel_reads_is_refused(tmp_path):
    rng = np.random.default_rng(4)
    path = write(tmp_path / "gm.nii.gz", rng.integers(0, 255, (40, 40, 40)), np.uint8, 1)
    whole = bytearray(path.read_bytes())
    assert images.values(images.load(path), path).shape == (40, 40, 40)
    believed = 0
    for place in range(2000, 60_000, 3000):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        try:
            nib.load(path).get_fdata()
            believed += 1
        except Exception:  # not every flip leaves a stream that can be unpacked
            pass
        with pytest.raises(DataError, match=r"^gm\.nii\.gz ends before .* or is damaged"):
            images.load(path)
    assert believed > 3


@pytest.mark.parametrize("zipped", [True, False])
def test_a_header_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path, zipped):
    header = nib.Nifti1Header()
    header.set_data_shape((600, 600, 600, 7))
    header.set_data_dtype(np.float32)
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(4) + np.random.default_rng(1).bytes(3 << 20)
    path = tmp_path / ("t1w.nii.gz" if zipped else "t1w.nii")
    path.write_bytes(gzip.compress(content, 1) if zipped else content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"^t1w\.nii.*its header claims 6048000352 bytes"):
        images.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path):
    path = tmp_path / "t1w.nii.gz"
    with gzip.open(path, "wb", 6) as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"0\.\d+ MB that unpack to more than 0\.27 GB"):
        images.load(path)


def test_an_image_larger_than_any_volume_is_refused(tmp_path):
    with pytest.raises(DataError, match="more than a scan can have"):
        images.check_size((1000, 1000, 1000), 1)
    images.check_size((512, 512, 512), 4)
    images.check_size((104, 104, 72, 1200), 4)
