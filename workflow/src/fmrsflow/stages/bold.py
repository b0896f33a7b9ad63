"""BOLD in the MRS voxel of a scan: response, area, connectivity; one run or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np

from fmrsflow import images
from fmrsflow.anatomy.brain import about_brain_of_bold
from fmrsflow.batch import stage_main
from fmrsflow.bold import fir, glm, inputs, tables
from fmrsflow.bold.blocks import blocks_of, check_blocks, timing_warnings
from fmrsflow.bold.mask import read_transform, voxel_mask, with_data
from fmrsflow.bold.run import (
    MIN_REGION_VOXELS,
    ContrastMap,
    Run,
    RunConnectivity,
    RunResponse,
    between_regions,
    connectivity_of,
    regions_with_data,
    response_of,
)
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.events import events_of, odd_timing
from fmrsflow.files import read_json
from fmrsflow.tables import bold as columns
from fmrsflow.tables import read_table
from fmrsflow.words import slug


def process(job: Job) -> dict:
    """BOLD response and connectivity of one scan; see docs/bold.md."""
    setting = job.settings["bold"]
    reads = _usable([_tried(job, setting, number) for number in range(_n_runs(job))], setting)
    for one in reads:
        if one.reason:
            job.warn(f"BOLD run {one.number} left out: {one.reason}")
    runs = [one.run for one in reads if not one.reason]
    brain = reduce(np.logical_and, (run.brain for run in runs))
    runs = [run.within(brain) for run in runs]
    response = _response(job, runs, setting)
    rows = tables.run_rows(_numbered(reads, runs), response.of_run, response.weights)
    job.save("runs", rows, columns.RUNS)
    body = response.record()
    if setting["connectivity"]:
        body["connectivity"] = _connectivity(job, runs, setting)
    blocks, covered = Counter(), min(run.voxel.covered for run in runs)
    for run in runs:
        blocks.update({name: len(one) for name, one in run.blocks.items()})
    return {
        "n_runs": len(runs),
        "n_runs_named": len(reads),
        "tr_s": runs[0].timing.tr_s,
        "n_volumes": sum(run.timing.n_scans for run in runs),
        "confounds": next(one.confounds for one in reads if not one.reason),
        "conditions": list(runs[0].blocks),
        "n_blocks": dict(blocks),
        "n_voxels": int(runs[0].voxel.mask.sum()),
        "covered": covered,
        "not_used": _too_little(covered, setting),
        **body,
    }


@dataclass(frozen=True)
class _Read:
    """A run of the sheet, by its number there from 1: what it holds, or why it is left out."""

    number: int
    run: Run | None = None
    confounds: tuple[str, ...] = ()
    reason: str = ""


def _n_runs(job: Job) -> int:
    return max(1, len(job.scan.files("bold")))


def _warn(job: Job, number: int, text: str) -> None:
    """A warning of a run, by its number where there are several."""
    job.warn(text if _n_runs(job) == 1 else f"BOLD run {number + 1}: {text}")


def _tried(job: Job, setting: dict, number: int) -> _Read:
    """A run of the scan; where there are others, one that cannot be used stops none of them."""
    try:
        run, confounds = _read(job, setting, number)
        return _Read(number + 1, run, tuple(confounds))
    except DataError as problem:
        if _n_runs(job) == 1:
            raise
        return _Read(number + 1, reason=job.said(str(problem)))


def _usable(reads: list[_Read], setting: dict) -> list[_Read]:
    """The runs with the reason of each that the others cannot be combined with."""
    if len(reads) == 1:
        return reads
    for reason in (
        lambda run: _too_little(run.voxel.covered, setting),
        _unlike(reads, "grid", lambda run: (*run.brain.shape, *np.round(run.affine, 3).flat)),
        _unlike(reads, "conditions", lambda run: tuple(run.blocks)),
    ):
        reads = [one if one.reason else replace(one, reason=reason(one.run) or "") for one in reads]
    if all(one.reason for one in reads):
        every = "; ".join(f"run {one.number}: {one.reason}" for one in reads)
        raise DataError(f"no BOLD run of the scan can be used: {every}")
    return reads


REMEDIES = {
    "grid": "resample the runs to one grid (fMRIPrep's space-T1w is one)",
    "conditions": "name the same trial types in the events of every run",
}


def _unlike(reads: list[_Read], what: str, of: Callable) -> Callable:
    """Why a run cannot be combined with most of the others; None where it can."""
    kinds = Counter(of(one.run) for one in reads if one.run)
    usual = kinds.most_common(1)[0][0] if kinds else None

    def reason(run: Run) -> str | None:
        same = of(run) == usual
        return None if same else f"its {what} are not those of the other runs: {REMEDIES[what]}"

    return reason


def _too_little(covered: float, setting: dict) -> str | None:
    """Why a run with so little of the MRS voxel is not used; None where it is."""
    if covered >= setting["min_coverage"]:
        return None
    return (
        f"{covered:.0%} of the MRS voxel holds BOLD data, limit "
        f"{setting['min_coverage']:.0%} (bold: min_coverage)"
    )


def _numbered(reads: list[_Read], runs: list[Run]) -> list[tuple[int, Run | None, str]]:
    """Number of each run of the sheet, what is used of it, and why nothing is."""
    used = iter(runs)
    return [(one.number, None if one.reason else next(used), one.reason) for one in reads]


def _read(job: Job, setting: dict, number: int) -> tuple[Run, list[str]]:
    path = job.source("bold", number)
    image = images.load(path)
    timing = inputs.timing_of(image, _sidecar(job, path))
    names = job.scan.files("bold_events")
    own = number if len(names) > 1 else 0
    events = events_of(read_table(job.source("bold_events", own)), names[own])
    blocks = blocks_of(events, setting["rest"], setting["merge_gap_s"])
    check_blocks(blocks, timing.n_scans * timing.tr_s)
    stimuli = [row for row in events if row["trial_type"] not in setting["rest"]]
    odd = odd_timing(stimuli, timing.n_scans * timing.tr_s, timing.tr_s)
    for text in [*odd, *timing_warnings(blocks, setting["window_s"])]:
        _warn(job, number, text)
    confounds, used = _confounds(job, timing.n_scans, setting["confounds"], number)
    nuisance = glm.nuisance(timing.n_scans, timing.tr_s, confounds, setting["high_pass_hz"])
    mrs_affine = job.fids("convert", "svs").affine
    if mrs_affine is None:
        raise DataError("the MRS file holds no geometry: the voxel cannot be placed on BOLD")
    design = fir.fir_design(
        timing.frame_times_s, blocks, nuisance, setting["window_s"], setting["spacing_s"]
    )
    series = images.values(image, path)
    brain = with_data(series)
    transform = setting["transform"] and read_transform(_below(job, setting["transform"]))
    voxel = voxel_mask(mrs_affine, image.affine, brain, transform or None, setting["min_share"])
    run = Run(
        data=series[brain].T,
        mean=series.mean(axis=3, dtype=np.float64),
        brain=brain,
        affine=image.affine,
        timing=timing,
        blocks=blocks,
        nuisance=nuisance,
        design=design,
        voxel=voxel,
    )
    return run, used


def _response(job: Job, runs: list[Run], setting: dict) -> RunResponse:
    from fmrsflow.report import bold_figures as figures

    run = runs[0]
    found, names = response_of(runs, setting), list(run.blocks)
    for text in found.warnings:
        job.warn(text)
    job.save("area", tables.area_rows(found.mean, found.own), columns.AREA)
    job.save("response", tables.response_rows(found.mean), columns.RESPONSE)
    job.save("voxels", tables.voxel_rows(found.own, run.voxel), columns.VOXELS)
    rows = tables.histogram_rows(found.edges, found.heights, names)
    job.save("histogram", rows, columns.HISTOGRAM)
    job.save("mask", run.image(run.voxel.mask.astype(np.uint8)))
    job.save("area", run.image(found.everywhere.area[-1]))
    job.save("areaz", run.image(found.everywhere.z[-1]))
    lengths = np.concatenate([one[:, 1] for run in runs for one in run.blocks.values()])
    block_s = float(lengths.mean()) if np.ptp(lengths) < 1 else None
    mean = found.mean
    job.save("response", figures.response(mean.lags_s, mean.percent, mean.se, names, block_s))
    job.save("histogram", figures.histogram(found.edges, found.heights, names))
    title = f"MRS voxel on the BOLD grid: {run.voxel.covered:.0%} of it holds data"
    shown = _shown(np.mean([run.mean for run in runs], axis=0), run)
    job.save("mask", figures.slices(shown, run.affine, None, run.voxel.mask, run.centre, title))
    return found


def _connectivity(job: Job, runs: list[Run], setting: dict) -> dict:
    run = runs[0]
    found, limit = connectivity_of(runs, setting), setting["cluster_p"]
    for text in found.warnings:
        job.warn(text)
    rows = []
    for name, one in found.maps.items():
        mask, affine = run.voxel.mask, run.affine
        rows += tables.cluster_rows(name, one.clusters, one.labels, affine, mask, limit)
        _save_map(job, run, setting, name, one)
    job.save("clusters", rows, columns.CLUSTERS)
    if setting["atlas"]:
        _atlas(job, runs, setting, found)
    return found.record(limit)


def _save_map(job: Job, run: Run, setting: dict, name: str, one: ContrastMap) -> None:
    """Maps and picture of one contrast."""
    from fmrsflow.report import bold_figures as figures

    kept, stem = one.significant(setting["cluster_p"]), f"ppi-{slug(name)}"
    job.save(f"{stem}_effect", run.image(one.effect))
    job.save(f"{stem}_z", run.image(one.z))
    job.save(f"{stem}_clusters", run.image(np.where(np.isin(one.labels, kept), one.labels, 0)))
    title = (
        f"gPPI of the MRS voxel (outlined), {name}: z beyond p < {setting['voxel_p']:g}\n"
        f"through the largest cluster; {len(kept)} of {len(one.clusters)} clusters at FWE "
        f"p < {setting['cluster_p']:g}"
    )
    centre = one.clusters[0].peak if one.clusters else run.centre
    beyond = np.where(one.labels > 0, one.z, np.nan)
    mask = run.voxel.mask
    shown = _shown(run.mean, run)
    job.save(stem, figures.slices(shown, run.affine, beyond, mask, centre, title))


def _shown(image: np.ndarray, run: Run) -> np.ndarray:
    """A mean image without the face, which goes on pages."""
    return np.where(about_brain_of_bold(run.brain, run.affine), image, 0)


def _atlas(job: Job, runs: list[Run], setting: dict, done: RunConnectivity) -> None:
    from fmrsflow.report import bold_figures as figures

    run = runs[0]
    path = _below(job, setting["atlas"])
    atlas = images.load(path)
    if len(atlas.shape) != 3:
        raise DataError(f"the atlas has {len(atlas.shape)} axes; one volume of labels is needed")
    labels = inputs.on_grid(
        images.values(atlas, path), atlas.affine, run.brain.shape, run.affine
    )[run.brain]  # fmt: skip
    regions, sparse = regions_with_data(labels)
    if sparse:
        job.warn(
            f"{sparse} regions of the atlas have fewer than {MIN_REGION_VOXELS} voxels with data: "
            "left out"
        )
    names = _label_names(job, setting, regions)
    rows = []
    for name, one in between_regions(
        runs, done, labels, regions, names, setting["noise_model"]
    ).items():
        rows += tables.roi_rows(name, one)
        job.save(f"roi-{slug(name)}", figures.matrix(one.z, one.names, f"gPPI, {name}"))
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
        content = read_json(job.beside(sidecar))
    except ValueError:
        raise DataError(f"{sidecar.name} is not readable as JSON") from None
    if not isinstance(content, dict):
        raise DataError(f"{sidecar.name} holds no fields; a BIDS sidecar is a JSON object")
    for key in ("RepetitionTime", "StartTime"):
        if not isinstance(content.get(key), float | int | None):
            raise DataError(f"{sidecar.name}: {key} is no number (s)")
    return content


def _confounds(job: Job, n_scans: int, names, number: int) -> tuple[np.ndarray | None, list[str]]:
    if not job.scan.files("bold_confounds"):
        _warn(job, number, "no confounds: head motion is not modelled")
        return None, []
    rows = read_table(job.source("bold_confounds", number))
    values, used, warnings = inputs.confound_matrix(rows, names, n_scans)
    for text in warnings:
        _warn(job, number, text)
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
