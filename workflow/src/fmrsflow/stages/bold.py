"""BOLD in the MRS voxel of a scan: response, area, connectivity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow import images
from fmrsflow.batch import stage_main
from fmrsflow.bold import clusters, connectivity, fir, glm, inputs, tables
from fmrsflow.bold.blocks import blocks_of, check_blocks, timing_warnings
from fmrsflow.bold.mask import VoxelMask, read_transform, voxel_mask, with_data
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.files import read_json
from fmrsflow.tables import bold as columns
from fmrsflow.tables import read_table

MRS = "MRS"
"""Name of the MRS voxel among the regions of an atlas."""

MIN_DOF = 30
"""Volumes that must be left beside task response and nuisance for the connectivity."""


@dataclass(frozen=True)
class _Run:
    """A BOLD run and what is known of it.

    `data` is (n_scans, n_voxels) of the voxels of `brain`, `mean` the mean image.
    """

    data: np.ndarray
    mean: np.ndarray
    brain: np.ndarray
    affine: np.ndarray
    timing: connectivity.Timing
    blocks: dict[str, np.ndarray]
    nuisance: np.ndarray
    voxel: VoxelMask

    @property
    def inside(self) -> np.ndarray:
        """Which of the brain's voxels lie in the MRS voxel."""
        return self.voxel.mask[self.brain]

    def image(self, values: np.ndarray):
        """NIfTI of values of the brain's voxels, or of a volume."""
        import nibabel as nib

        if values.ndim == 1:
            values = self.volume(values)
        return nib.Nifti1Image(values, self.affine)

    def volume(self, values: np.ndarray) -> np.ndarray:
        """Volume of values of the brain's voxels, 0 elsewhere."""
        volume = np.zeros(self.brain.shape, np.float32)
        volume[self.brain] = values
        return volume


def process(job: Job) -> dict:
    """BOLD response and connectivity of one scan; see docs/bold.md."""
    setting = job.settings["bold"]
    run, used = _read(job, setting)
    body = _response(job, run, setting)
    if setting["connectivity"]:
        body["connectivity"] = _connectivity(job, run, setting)
    return {
        "tr_s": run.timing.tr_s,
        "n_volumes": run.timing.n_scans,
        "confounds": used,
        "conditions": list(run.blocks),
        "n_blocks": {name: len(one) for name, one in run.blocks.items()},
        "n_voxels": int(run.voxel.mask.sum()),
        "covered": run.voxel.covered,
        "not_used": None
        if run.voxel.covered >= setting["min_coverage"]
        else f"{run.voxel.covered:.0%} of the MRS voxel holds BOLD data, limit "
        f"{setting['min_coverage']:.0%} (bold: min_coverage)",
        **body,
    }


def _read(job: Job, setting: dict) -> tuple[_Run, list[str]]:
    path = job.source("bold")
    image = images.load(path)
    timing = inputs.timing_of(image, _sidecar(job, path))
    events = read_table(job.source("bold_events"))
    blocks = blocks_of(events, setting["rest"], setting["merge_gap_s"])
    check_blocks(blocks, timing.n_scans * timing.tr_s)
    for text in timing_warnings(blocks, setting["window_s"]):
        job.warn(text)
    confounds, used = _confounds(job, timing.n_scans, setting["confounds"])
    nuisance = glm.nuisance(timing.n_scans, timing.tr_s, confounds, setting["high_pass_hz"])
    mrs_affine = job.fids("convert", "svs").affine
    if mrs_affine is None:
        raise DataError("the MRS file holds no geometry: the voxel cannot be placed on BOLD")
    series = images.values(image, path)
    brain = with_data(series)
    transform = setting["transform"] and read_transform(_below(job, setting["transform"]))
    voxel = voxel_mask(mrs_affine, image.affine, brain, transform or None, setting["min_share"])
    run = _Run(
        data=series[brain].T,
        mean=series.mean(axis=3, dtype=np.float64),
        brain=brain,
        affine=image.affine,
        timing=timing,
        blocks=blocks,
        nuisance=nuisance,
        voxel=voxel,
    )
    return run, used


def _response(job: Job, run: _Run, setting: dict) -> dict:
    from fmrsflow.report import bold_figures as figures

    timing, noise_model, names = run.timing, setting["noise_model"], list(run.blocks)
    design = fir.fir_design(
        timing.frame_times_s, run.blocks, run.nuisance, setting["window_s"], setting["spacing_s"]
    )
    spacing = float(design.lags_s[1] - design.lags_s[0])
    if abs(spacing - setting["spacing_s"]) > 1e-6:
        job.warn(
            f"lags are {spacing:g} s apart, not {setting['spacing_s']:g} s: the onsets fall at "
            f"like phases of the repetition time of {timing.tr_s:g} s"
        )
    if design.error_growth > 2:
        job.warn(
            f"the error of the area is {design.error_growth:.1f} times that of as many blocks "
            "standing alone"
        )
    everywhere = fir.areas(run.data, design, noise_model)
    own = everywhere.select(run.inside)
    response = fir.mean_response(run.data[:, run.inside], own.baseline, design, noise_model)
    edges, heights = fir.density(own.area[: len(names)])
    rows = tables.area_rows(response, own)
    job.save("area", rows, columns.AREA)
    job.save("response", tables.response_rows(response), columns.RESPONSE)
    job.save("voxels", tables.voxel_rows(own, run.voxel), columns.VOXELS)
    job.save("histogram", tables.histogram_rows(edges, heights, names), columns.HISTOGRAM)
    job.save("mask", run.image(run.voxel.mask.astype(np.uint8)))
    job.save("area", run.image(everywhere.area[-1]))
    job.save("areaz", run.image(everywhere.z[-1]))
    lengths = np.concatenate([one[:, 1] for one in run.blocks.values()])
    block_s = float(lengths.mean()) if np.ptp(lengths) < 1 else None
    curve = figures.response(response.lags_s, response.percent, response.se, names, block_s)
    job.save("response", curve)
    job.save("histogram", figures.histogram(edges, heights, names))
    centre = np.rint(np.argwhere(run.voxel.mask).mean(axis=0)).astype(int)
    title = f"MRS voxel on the BOLD grid: {run.voxel.covered:.0%} of it holds data"
    job.save("mask", figures.slices(run.mean, run.affine, None, run.voxel.mask, centre, title))
    last = rows[-1]
    return {
        "lags_s": design.lags_s,
        "error_growth": design.error_growth,
        "area_mean_percent_s": last["area_mean"],
        "area_mean_se_percent_s": last["area_mean_se"],
        "area_total_percent_s": last["area_total"],
        "sign": last["sign"],
        "negative_share": last["negative_share"],
        "max_z": float(everywhere.z[-1].max()),
        "dof": response.dof,
    }


def _connectivity(job: Job, run: _Run, setting: dict) -> dict:
    timing, noise_model = run.timing, setting["noise_model"]
    contrasts = connectivity.parse_contrasts(setting["contrasts"], list(run.blocks))
    other = connectivity.orthonormal(connectivity.task_space(timing, run.blocks), run.nuisance)
    left = timing.n_scans - other.shape[1]
    if left < MIN_DOF:
        raise DataError(
            f"{timing.n_scans} volumes leave {left} degrees of freedom beside task response and "
            f"confounds, {MIN_DOF} are needed: set bold: connectivity: false, or name fewer "
            "confounds"
        )
    percent = 100 * (run.data / run.mean[run.brain].astype(np.float32) - 1)
    clean = glm.residualised(percent[:, run.inside].astype(float), other)
    seed = glm.residualised(connectivity.eigenvariate(clean), other)
    deconvolution = connectivity.Deconvolution(timing, other)
    design = connectivity.ppi_design(seed, timing, run.blocks, other, deconvolution)
    sizes = np.linalg.norm(run.affine[:3, :3], axis=0)
    width = setting["smoothing_fwhm_mm"] / sizes
    maps = inputs.smoothed(percent, run.brain, width) if width.any() else percent
    model = glm.fit(maps, design.matrix, noise_model)
    smooth = clusters.smoothness(model.residuals(), run.brain)
    if smooth.fwhm_voxels.min() < 2:
        job.warn(
            f"connectivity maps have a smoothness of {smooth.fwhm_voxels.min():.1f} voxels; random "
            "field theory wants 2 or more: raise bold: smoothing_fwhm_mm"
        )
    rows, summary = [], {}
    for name, contrast in contrasts.items():
        found = model.contrast(design.weights(contrast))
        own = _contrast(job, run, setting, smooth, name, found)
        significant = sum(row["significant"] for row in own)
        summary[name] = {"clusters": len(own), "significant": significant}
        rows += own
    job.save("clusters", rows, columns.CLUSTERS)
    if setting["atlas"]:
        _atlas(job, run, setting, percent, seed, other, contrasts)
    return {
        "contrasts": summary,
        "fwhm_voxels": smooth.fwhm_voxels,
        "resels": float(smooth.resels[3]),
        "dof": timing.n_scans - design.matrix.shape[1],
    }


def _contrast(job: Job, run: _Run, setting: dict, smooth, name: str, found) -> list[dict]:
    """Maps, picture and cluster rows of one contrast."""
    from fmrsflow.report import bold_figures as figures

    z_map = run.volume(found.z)
    listed, labels = clusters.clusters_of(z_map, run.brain, smooth, setting["voxel_p"])
    limit, mask = setting["cluster_p"], run.voxel.mask
    rows = tables.cluster_rows(name, listed, labels, run.affine, mask, limit)
    kept = [one.label for one in listed if one.p_fwe < limit]
    stem = f"ppi-{tables.slug(name)}"
    job.save(f"{stem}_effect", run.image(found.effect))
    job.save(f"{stem}_z", run.image(z_map))
    job.save(f"{stem}_clusters", run.image(np.where(np.isin(labels, kept), labels, 0)))
    title = (
        f"gPPI of the MRS voxel (outlined), {name}: z beyond p < {setting['voxel_p']:g}\n"
        f"through the largest cluster; {len(kept)} of {len(listed)} clusters at FWE p < {limit:g}"
    )
    centre = listed[0].peak if listed else np.rint(np.argwhere(mask).mean(axis=0)).astype(int)
    beyond = np.where(labels > 0, z_map, np.nan)
    job.save(stem, figures.slices(run.mean, run.affine, beyond, mask, centre, title))
    return rows


def _atlas(job: Job, run: _Run, setting: dict, percent, seed, other, contrasts) -> None:
    from fmrsflow.report import bold_figures as figures

    path = _below(job, setting["atlas"])
    atlas = images.load(path)
    if len(atlas.shape) != 3:
        raise DataError(f"the atlas has {len(atlas.shape)} axes; one volume of labels is needed")
    labels = inputs.on_grid(
        images.values(atlas, path), atlas.affine, run.brain.shape, run.affine
    )[run.brain]  # fmt: skip
    present, counts = np.unique(labels[labels > 0], return_counts=True)
    kept = present[counts >= 5]
    if len(kept) < len(present):
        job.warn(
            f"{len(present) - len(kept)} regions of the atlas have fewer than 5 voxels with data: "
            "left out"
        )
    if len(kept) < 2:
        raise DataError(
            "fewer than 2 regions of the atlas lie where the BOLD run has data; is the atlas in "
            "the space of the run?"
        )
    names = (MRS, *_label_names(job, setting, kept))
    means = [percent[:, labels == one].mean(axis=1, dtype=float) for one in kept]
    series = np.column_stack([seed, *means])
    rows = []
    for name, contrast in contrasts.items():
        found = connectivity.roi_to_roi(
            series, names, run.timing, run.blocks, other, contrast, setting["noise_model"]
        )
        rows += tables.roi_rows(name, found)
        job.save(f"roi-{tables.slug(name)}", figures.matrix(found.z, found.names, f"gPPI, {name}"))
    job.save("roi", rows, columns.ROI)


def _label_names(job: Job, setting: dict, labels) -> list[str]:
    named = {}
    if setting["atlas_labels"]:
        try:
            rows = read_table(_below(job, setting["atlas_labels"]))
            named = {int(float(row["index"])): row["name"] for row in rows}
        except (KeyError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{setting['atlas_labels']}: columns index (a whole number) and name are needed"
            ) from None
    return [named.get(int(one), str(one)) for one in labels]


def _sidecar(job: Job, path: Path) -> dict:
    sidecar = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    if not sidecar.exists():
        return {}
    try:
        return read_json(job.beside(sidecar))
    except ValueError:
        raise DataError(f"{sidecar.name} is not readable as JSON") from None


def _confounds(job: Job, n_scans: int, names) -> tuple[np.ndarray | None, list[str]]:
    if not job.scan.bold_confounds:
        job.warn("no confounds: head motion is not modelled")
        return None, []
    rows = read_table(job.source("bold_confounds"))
    values, used, warnings = inputs.confound_matrix(rows, names, n_scans)
    for text in warnings:
        job.warn(text)
    return values, used


def _below(job: Job, pattern: str) -> Path:
    """File that a setting names, with the scan's entities filled in."""
    try:
        name = pattern.format(**job.scan.entities)
    except (KeyError, IndexError, ValueError):
        raise DataError(
            f"setting bold: {pattern!r}: fields are {', '.join(job.scan.entities)}"
        ) from None
    root = job.study.data_root
    path = root / name
    if not (path.resolve().is_relative_to(root.resolve()) and path.is_file()):
        raise Unreachable(f"{name} (setting bold: {pattern}) is no file below the data root", path)
    return job.beside(path)


_scans_main = stage_main("bold", process)


def main(argv: list[str]) -> int:
    """`fmrsflow bold [--study FILE] KEY...`, or `fmrsflow bold [--study FILE] --analysis NAME` for
    the accord of BOLD and glutamate over all scans of an analysis."""
    if any(one.startswith("--analysis") for one in argv):
        from fmrsflow.stages.bold_group import main as group_main

        return group_main(argv)
    return _scans_main(argv)
