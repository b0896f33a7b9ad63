"""Tissue fractions of the MRS voxel, from the study's maps or the built-in segmentation."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from fmrsflow.anatomy.brain import about_brain
from fmrsflow.anatomy.maps import FOLDERS
from fmrsflow.anatomy.place import check_scanner_space, displacement_mm, forms_apart_mm
from fmrsflow.anatomy.voxel import tissue_fractions
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import voxel_affine
from fmrsflow.plausibility import tissue_reports
from fmrsflow.report.voxel_figure import small_png, voxel_figure
from fmrsflow.scan_maps import maps_of


def process(job: Job) -> dict:
    """Lay the MRS voxel of a scan on its tissue maps."""
    voxel = voxel_affine(job.earlier("convert").image("svs"))
    setting = job.settings["anatomy"]
    if not job.scan.t1w and not job.scan.gm:
        raise DataError(
            "no T1w and no tissue maps: name them in columns t1w or gm, wm, csf of scans.tsv"
        )
    if voxel is None:
        raise DataError(
            f"{job.scan.mrs} holds no voxel geometry: no tissue fractions; export it with its "
            "position (NIfTI-MRS, RDA, SPAR, DICOM)"
        )
    moved: list[str] = []
    for column in ("t1w", *FOLDERS):
        if name := getattr(job.scan, column):
            check_scanner_space(job.image(column), PurePosixPath(name).name)
            if (away := forms_apart_mm(job.image(column))) and (name not in moved):
                moved.append(name)
                job.warn(
                    f"the header of {column} has two positions, up to {away:.0f} mm apart (sform "
                    "and qform), as after a co-registration or a new origin: sform is used, and "
                    "the MRS voxel is in the scanner's space; if sform is not, convert the T1w "
                    "again and make the maps of it"
                )
    method, maps = maps_of(job)
    if job.scan.gm and job.scan.t1w:
        _check_maps(job, maps)
    found = tissue_fractions(voxel, maps, setting["samples_per_axis"])
    if found.coverage < setting["min_coverage"]:
        raise DataError(
            f"only {100 * found.coverage:.0f} % of the MRS voxel lie inside the image (limit "
            f"{100 * setting['min_coverage']:.0f} %): another person's T1w, or a cropped one; name "
            "the whole T1w of this session"
        )
    if found.total < setting["min_tissue"]:
        raise DataError(
            f"GM, WM and CSF fill only {100 * found.total:.0f} % of the MRS voxel (limit "
            f"{100 * setting['min_tissue']:.0f} %): the voxel lies outside the head of this T1w; "
            "name that of this person and session"
        )
    for text in tissue_reports(found.total, found.csf):
        job.warn(text)
    if job.scan.t1w:
        _draw(job, voxel, maps, found)
    return {
        "v_gm": found.gm,
        "v_wm": found.wm,
        "v_csf": found.csf,
        "sum": found.total,
        "coverage": found.coverage,
        "volume_ml": found.volume_ml,
        "method": method,
        "systematic_sd": setting["systematic_sd"],
    }


def _check_maps(job: Job, maps: dict) -> None:
    """Warn where maps lie elsewhere than the T1w that they are named with."""
    t1w = job.image("t1w")
    values = t1w.get_fdata(dtype=np.float32).squeeze()
    if values.ndim != 3:
        return
    away = displacement_mm(values, t1w.affine, maps)
    if away.any():
        job.warn(
            f"the tissue maps fit the T1w better when they are moved by "
            f"{np.linalg.norm(away):.0f} mm: one of the two is of another person, session or "
            "space, or was moved; look at the picture, and name the maps of this T1w"
        )


def _draw(job: Job, voxel: np.ndarray, maps: dict, found) -> None:
    t1w = job.image("t1w")
    values = t1w.get_fdata(dtype=np.float32).squeeze()
    if values.ndim != 3:
        job.warn(
            f"the T1w has shape {values.shape}: no picture of the voxel, and the maps are not "
            "compared with it; name a 3D image in column t1w"
        )
        return
    outlines = {
        name.upper(): maps[name][0] for name in ("gm", "wm") if maps[name][0].shape == values.shape
    }
    caption = (
        f"GM {100 * found.gm:.0f} %   WM {100 * found.wm:.0f} %   CSF {100 * found.csf:.0f} %   "
        f"{found.volume_ml:.1f} mL"
    )
    shown = about_brain(maps["gm"], maps["wm"])
    figure = voxel_figure(values, t1w.affine, voxel, shown, outlines, caption)
    job.save("voxel.png", small_png(figure))


main = stage_main("anatomy", process)
