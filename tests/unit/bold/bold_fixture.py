"""A study of one scan with a BOLD run, small enough for a test."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from fmrsflow.edge import Job
from fmrsflow.fids import Fids
from fmrsflow.files import write_json
from fmrsflow.sheets import schema
from fmrsflow.study import Scan, Site, Study
from fmrsflow.synthetic.bold import BoldRegion, BoldTruth, block_design, bold_run
from fmrsflow.tables import write_table

MRS_AFFINE = np.array(
    [[24.0, 2.0, 0.0, -18.0], [-2.0, 24.0, 0.0, -6.0], [0.0, 0.0, 22.0, 4.0], [0.0, 0.0, 0.0, 1.0]]
)
TARGET_MM = np.array([30.0, 20.0, 0.0])


def small_run(seed: int = 3, sign: float = -1.0, noise_percent: float = 0.8, ppi: float = 0.0):
    """A run of 26 x 24 x 16 voxels of 4 mm, two conditions of 4 blocks each."""
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [50.0, -46.0, -28.0]
    shape = (26, 24, 16)
    points = np.indices(shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    brain = (np.linalg.norm(points / [48, 44, 30], axis=1) <= 1).reshape(shape) * 0.8
    truth = BoldTruth(
        peak_percent={"easy": sign * 0.8, "hard": sign * 1.2},
        shared_percent=0.2,
        ppi={"hard": ppi},
        target_ratio={"easy": 0.5, "hard": 0.5},
    )
    events = block_design(("easy", "hard"), n_each=4, block_s=14.0, distance_s=43.0)
    rng = np.random.default_rng(seed)
    region = BoldRegion(truth, MRS_AFFINE, TARGET_MM)
    return bold_run(rng, brain, affine, [region], events, noise_percent=noise_percent)


def write_image(path: Path, data, affine, tr_s: float, unit: str = "sec") -> None:
    """Write a run with its repetition time."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", unit)
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1))


def make_study(root: Path, run, **settings) -> Study:
    """Files of the run below root/data, a converted MRS scan, and the study of that one scan."""
    data = root / "data"
    write_image(data / "bold.nii.gz", run.data, run.affine, run.tr_s)
    write_table(data / "events.tsv", run.events)
    write_table(data / "confounds.tsv", run.confounds)
    scan = Scan(
        site="north",
        subject="01",
        task="memory",
        acq="left",
        mrs="mrs.nii.gz",
        bold="bold.nii.gz",
        bold_events="events.tsv",
        bold_confounds="confounds.tsv",
    )
    return study_of(root, (scan,), **settings)


def study_of(root: Path, scans, mrs_affine=MRS_AFFINE, **settings) -> Study:
    """A study of these scans, each with a converted MRS scan at `mrs_affine`."""
    bold = {key: rule["default"] for key, rule in schema("bold").items()} | settings
    config = {
        "results": str(root / "results"),
        "batch": 4,
        "data_root": str(root / "data"),
        "bold": bold,
        "quality": {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0},
    }
    site = Site("north", "Philips", 3.0, "PRESS", 0.035, 1.5, "own")
    study = Study(config, {"north": site}, tuple(scans))
    for scan in scans:
        job = Job("convert", study, scan, {})
        fids = Fids(np.ones((1, 1, 16), complex), 5e-4, 127.7, 0.035, 1.5, mrs_affine)
        job.save("svs", fids)
        job.finish("ok", None, None, {})
    return study


def write_sidecar(root: Path, content: dict) -> None:
    """The sidecar of the run."""
    write_json(root / "data" / "bold.json", content)
