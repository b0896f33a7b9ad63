"""The stage `anatomy` on maps of the study."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.fids import Fids
from fmrsflow.results import Results
from fmrsflow.stages.anatomy import process
from fmrsflow.study import Scan, Site, Study

GRID = np.array([[4.0, 0, 0, -60], [0, 4.0, 0, -60], [0, 0, 4.0, -60], [0, 0, 0, 1]])
SETTING = {
    "samples_per_axis": 4, "min_coverage": 0.9, "min_tissue": 0.5, "systematic_sd": 0.05,
}  # fmt: skip


@pytest.mark.parametrize("shape", [(31, 31), (31, 31, 31, 2)])
def test_a_t1w_of_other_shape_costs_the_picture_alone(tmp_path, shape):
    for name, value in (("gm", 0.6), ("wm", 0.3), ("csf", 0.1)):
        image = nib.Nifti1Image(np.full((31, 31, 31), value, np.float32), GRID)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    noise = np.random.default_rng(0).random(shape).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, GRID), tmp_path / "t1w.nii.gz")
    maps = {name: f"{name}.nii.gz" for name in ("t1w", "gm", "wm", "csf")}
    scan = Scan("a", "01", "x.nii.gz", task="t", **maps)
    site = Site("a", "Philips", 3.0, "sLASER", 0.028, 2.0, "own")
    config = {"results": str(tmp_path / "results"), "data_root": str(tmp_path)}
    study = Study({**config, "anatomy": SETTING}, {"a": site}, (scan,))
    before = Job("convert", study, scan, {})
    box = np.diag([20.0, 20.0, 20.0, 1.0])
    before.save("svs", Fids(np.ones((1, 1, 64), complex), 5e-4, 123.2, 0.028, 2.0, affine=box))
    before.finish("ok", None, None, {})
    run_job(Job("anatomy", study, scan, {}), process)
    record = Results(study).of("anatomy", {}, scan).record
    assert record["status"] == "ok"
    assert [record[f"v_{name}"] for name in ("gm", "wm", "csf")] == pytest.approx([0.6, 0.3, 0.1])
    assert [one for one in record["warnings"] if one.startswith("the T1w has shape")]
