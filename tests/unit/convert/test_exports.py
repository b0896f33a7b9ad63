"""One measurement in two formats is an error of check."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.convert.exports import MOST_FILES, not_compared, same_exports
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.study import Scan, Site, Study
from fmrsflow.synthetic.writers import write_rda

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")


def scan(seed: int) -> Fids:
    rng = np.random.default_rng(seed)
    time = np.arange(1024) * 5e-4
    line = np.exp(2j * np.pi * 40 * time - 15 * time)
    noise = rng.normal(size=(2, 1, 1, 1024))
    box = np.diag([20.0, 20.0, 20.0, 1.0])
    return Fids(line + 0.01 * (noise[0] + 1j * noise[1]), 5e-4, 123.2, 0.03, 2.0, box)


@pytest.mark.parametrize(
    ("seed", "allowed", "told"), [(1, False, True), (2, False, False), (1, True, False)]
)
def test_the_nifti_of_an_rda_is_the_same_measurement(tmp_path, seed, allowed, told):
    write_rda(scan(1), tmp_path / "a.rda")
    other = scan(seed)
    nib.save(to_nifti(other.with_data(7 * np.conj(other.data))), tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(b"damaged")
    scans = [Scan("north", f"0{n}", name) for n, name in enumerate(("a.rda", "b.nii.gz"), 1)]
    scans += [Scan("north", "03", "c.nii.gz"), Scan("north", "04", "absent.nii.gz")]
    config = {"data_root": str(tmp_path), "results": str(tmp_path), "same_content": allowed}
    found = same_exports(Study(config, {"north": SITE}, tuple(scans)))
    assert len(found) == told
    assert all("a.rda and b.nii.gz are one measurement" in one for one in found)


@pytest.mark.parametrize(
    ("number", "endings", "allowed", "told"),
    [
        (MOST_FILES + 1, ("rda", "nii"), False, 1),
        (MOST_FILES, ("rda", "nii"), False, 0),
        (MOST_FILES + 1, ("rda", "RDA"), False, 0),
        (MOST_FILES + 1, ("rda", "nii"), True, 0),
    ],
)
def test_a_site_that_is_too_large_to_look_at_is_told(number, endings, allowed, told):
    scans = [Scan("north", f"{n:03d}", f"{n}.{endings[n % 2]}") for n in range(number)]
    config = {"data_root": ".", "results": ".", "same_content": allowed}
    found = not_compared(Study(config, {"north": SITE}, tuple(scans)))
    assert len(found) == told
    assert all(f"site north: files of several formats and {number} scans" in one for one in found)
