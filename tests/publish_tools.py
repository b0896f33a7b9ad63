"""Small studies for `fmrsflow publish`: real files, converted by the real stage."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

import report_fixture as made
from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.results import read_record
from fmrsflow.stages import convert, segment
from fmrsflow.study import Scan, Site, Study
from fmrsflow.synthetic.head import Head, make_head

SITES = {
    "north": Site("north", "Philips", 3.0, "PRESS", 0.035, 2.0, "own"),
    "south": Site("south", "Siemens", 3.0, "PRESS", 0.035, 2.0, "own"),
}
EVENTS = "onset\tduration\ttrial_type\n0\t4\trest\n4\t4.5\ttask\n"


def series(n: int = 6, water=(), seed: int = 7) -> Fids:
    """Singlets and residual water in each transient, strong water at some places."""
    rng = np.random.default_rng(seed)
    t = np.arange(1024) * 5e-4
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * t) for ppm in (2.01, 3.03, 3.22))
    data = np.tile((lines + 5) * np.exp(-15 * t), (n, 1)) + 0.05 * rng.normal(size=(n, 1024))
    data[list(water)] += 3000 * np.exp(-20 * t)
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    return Fids(data[:, None].astype(np.complex64), 5e-4, 123.2, 0.035, 2.0, affine)


def save(path: Path, image, descrip: str = "") -> None:
    """An image below a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.header["descrip"] = descrip.encode()
    nib.save(image, path)


def a_study(root: Path, scans: list[Scan], **changes) -> Study:
    """A study of these scans with every setting, its data below `root`/data."""
    study = made.make_study(root, n_sites=1)
    sites = {name: SITES[name] for name in sorted({scan.site for scan in scans})}
    return replace(study, sites=sites, scans=tuple(scans), **changes)


def a_scan(root: Path, site: str = "north", subject: str = "01", fids=None, **columns) -> Scan:
    """A scan with its file, and a water reference and events unless other ones are named."""
    name = f"{site}/{subject}{columns.get('session', '')}{columns.get('run', '')}"
    seed = int.from_bytes(name.encode(), "big") % 1000
    save(root / "data" / f"{name}.nii.gz", to_nifti(fids or series(seed=seed)))
    files = {"ref": f"{name}_ref.nii.gz", "events": f"{name}.tsv"} | columns
    if "ref" not in columns:
        save(root / "data" / files["ref"], to_nifti(series(2, (0, 1), seed + 1)))
    if "events" not in columns:
        (root / "data" / files["events"]).write_text(EVENTS)
    return Scan(site, subject, f"{name}.nii.gz", **{"task": "visual"} | files)


def converted(study: Study) -> Study:
    """The study after its conversion."""
    for scan in study.scans:
        run_job(Job("convert", study, scan, {}), convert.process)
    return study


def segmented(study: Study) -> Study:
    """The study after its conversion and segmentation."""
    for scan in study.items("segment"):
        run_job(Job("segment", study, scan, {}), segment.process)
    return converted(study)


def record(study: Study, scan: Scan, stage: str = "convert") -> dict:
    """Record of a stage of a scan."""
    return read_record(study.record_path(stage, {}, scan))


@cache
def a_head(seed: int = 0, spacing_mm: float = 3.0) -> Head:
    """A brain of known tissue."""
    return make_head(
        np.random.default_rng(seed), np.random.default_rng(seed + 10), 30.0, spacing_mm
    )


def with_scalp(head: Head, air: float = 0.0) -> np.ndarray:
    """Its T1w in fluid, skull and a scalp that fills the image in front and below as a face and a
    neck do; noise, or zeros, in what air is left."""
    away = distance_transform_edt(head.t1w <= 0, np.diag(head.affine)[:3])
    whole = head.t1w.astype(np.float32)
    for low, high, level in ((0, 2, 250), (2, 7, 60), (7, 14, 1300)):
        whole[(away > low) & (away <= high)] = level
    noise = np.random.default_rng(4).normal(size=(2, *whole.shape))
    noisy = np.hypot(whole + 15 * noise[0], 15 * noise[1])
    return np.where(away > 14, air * noisy, noisy).astype(np.float32)


def maps_of(head: Head, root: Path, folder: str, shift_mm: float = 0.0) -> dict[str, str]:
    """Its true maps as files, by column of scans.tsv."""
    affine = head.affine.copy()
    affine[1, 3] += shift_mm
    for name, values in head.maps.items():
        image = nib.Nifti1Image(values, affine)
        save(root / "data" / f"{folder}/{name}.nii.gz", image)
    return {name: f"{folder}/{name}.nii.gz" for name in head.maps}


def contents(folder: Path):
    """Every file with its name, unpacked."""
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        name = str(path.relative_to(folder))
        yield name, gzip.decompress(content) if name.endswith(".gz") else content


def sidecar(folder: Path, name: str) -> dict:
    """A JSON file of a dataset."""
    return json.loads((folder / name).read_text())
