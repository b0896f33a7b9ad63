"""BOLD in the MRS voxel: response, area, connectivity of a scan; accord with glutamate over all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fmrsflow.bold import clusters, connectivity, fir, glm, inputs
from fmrsflow.bold.blocks import blocks_of, check_blocks, timing_warnings
from fmrsflow.bold.mask import VoxelMask, read_transform, voxel_mask, with_data
from fmrsflow.edge import Job, read_json, read_table, stage_main
from fmrsflow.errors import DataError

AREA_COLUMNS = {
    "condition": ("trial type, or `sum` over all", ""),
    "area_mean": ("area under the mean response of the voxels", "percent s"),
    "area_mean_se": ("its standard error, from the series of the mean", "percent s"),
    "area_total": ("sum over the voxels", "percent s"),
    "area_total_se": ("its standard error", "percent s"),
    "negative_share": ("share of voxels with a negative area", "1"),
    "sign": ("1 or -1: of the total", ""),
    "n_voxels": ("fMRI voxels of the MRS voxel", ""),
}

RESPONSE_COLUMNS = {
    "condition": ("trial type", ""),
    "lag_s": ("time from the onset of a block", "s"),
    "percent": ("mean response of the voxels", "percent"),
    "se": ("its standard error", "percent"),
}

VOXEL_COLUMNS = {
    "i": ("grid index", ""),
    "j": ("grid index", ""),
    "k": ("grid index", ""),
    "share": ("share of the fMRI voxel inside the MRS voxel", "1"),
    "condition": ("trial type, or `sum` over all", ""),
    "area": ("area under the response", "percent s"),
    "se": ("its standard error", "percent s"),
}

HISTOGRAM_COLUMNS = {
    "condition": ("trial type", ""),
    "low": ("lower edge of the bin", "percent s"),
    "high": ("upper edge of the bin", "percent s"),
    "density": ("share of voxels over the width of the bin", "1 / (percent s)"),
}

CLUSTER_COLUMNS = {
    "contrast": ("contrast of the interaction terms", ""),
    "sign": ("1 where the contrast is positive", ""),
    "n_voxels": ("size", ""),
    "volume_ml": ("size", "mL"),
    "p_fwe": ("family-wise error of the extent, one-sided, random field theory", ""),
    "significant": ("p_fwe below the setting cluster_p", ""),
    "peak_z": ("largest value", ""),
    "x_mm": ("peak, space of the BOLD run", "mm"),
    "y_mm": ("peak, space of the BOLD run", "mm"),
    "z_mm": ("peak, space of the BOLD run", "mm"),
    "seed_share": ("share of the cluster inside the MRS voxel", "1"),
}

ROI_COLUMNS = {
    "contrast": ("contrast of the interaction terms", ""),
    "seed": ("region whose activity interacts with the task", ""),
    "target": ("region that is explained", ""),
    "effect": ("interaction, percent of the target a percent of the seed", "1"),
    "effect_symmetric": ("mean of both directions", "1"),
    "z": ("effect over its error as a normal deviate", ""),
}

MRS = "MRS"
"""Name of the MRS voxel among the regions of an atlas."""


def process(job: Job) -> dict:
    """BOLD response and connectivity of one scan; see docs/bold.md."""
    import nibabel as nib

    setting = job.settings["bold"]
    image = _load(job.source("bold"), nib)
    timing = inputs.timing_of(image, _sidecar(job.source("bold")))
    blocks = blocks_of(
        read_table(job.source("bold_events")), setting["rest"], setting["merge_gap_s"]
    )
    check_blocks(blocks, timing.n_scans * timing.tr_s)
    for text in timing_warnings(blocks, setting["window_s"]):
        job.warn(text)
    confounds, used = _confounds(job, timing.n_scans, setting["confounds"])
    nuisance = glm.nuisance(timing.n_scans, timing.tr_s, confounds, setting["high_pass_hz"])
    series = np.asarray(image.dataobj, dtype=np.float32)
    brain = with_data(series)
    voxel = voxel_mask(
        _mrs_affine(job), image.affine, brain, _transform(job, setting), setting["min_share"]
    )
    if voxel.covered < setting["min_coverage"]:
        job.exclude(
            f"{voxel.covered:.0%} of the MRS voxel holds BOLD data, limit "
            f"{setting['min_coverage']:.0%}"
        )
    data = series[brain].T
    mean = series.mean(axis=3, dtype=np.float64)
    del series
    body = _area(job, data, mean, brain, voxel, image, timing, blocks, nuisance, setting)
    if setting["connectivity"]:
        body["connectivity"] = _connectivity(
            job, data, mean, brain, voxel, image, timing, blocks, nuisance, setting
        )
    return {
        "tr_s": timing.tr_s,
        "n_volumes": timing.n_scans,
        "confounds": used,
        "conditions": list(blocks),
        "n_blocks": {name: len(one) for name, one in blocks.items()},
        "n_voxels": int(voxel.mask.sum()),
        "covered": voxel.covered,
        **body,
    }


def _area(job, data, mean, brain, voxel: VoxelMask, image, timing, blocks, nuisance, setting):
    from fmrsflow.report import bold_figures as figures

    design = fir.fir_design(
        timing.frame_times_s, blocks, nuisance, setting["window_s"], setting["spacing_s"]
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
    everywhere = fir.areas(data, design, setting["noise_model"])
    inside = voxel.mask[brain]
    response = fir.mean_response(
        data[:, inside], everywhere.baseline[inside], design, setting["noise_model"]
    )
    own = everywhere.area[:, inside]
    n = int(inside.sum())
    rows = [
        {
            "condition": name,
            "area_mean": response.area[i],
            "area_mean_se": response.area_se[i],
            "area_total": n * response.area[i],
            "area_total_se": n * response.area_se[i],
            "negative_share": float(np.mean(own[i] < 0)),
            "sign": int(np.sign(response.area[i])),
            "n_voxels": n,
        }
        for i, name in enumerate(response.conditions)
    ]
    job.save("area", rows, AREA_COLUMNS)
    job.save(
        "response",
        [
            {"condition": name, "lag_s": lag, "percent": response.percent[i, k],
             "se": response.se[i, k]}
            for i, name in enumerate(blocks)
            for k, lag in enumerate(response.lags_s)
        ],
        RESPONSE_COLUMNS,
    )  # fmt: skip
    indices, shares = np.argwhere(voxel.mask), voxel.share[voxel.mask]
    job.save(
        "voxels",
        [
            {"i": int(ijk[0]), "j": int(ijk[1]), "k": int(ijk[2]), "share": shares[v],
             "condition": name, "area": own[c, v],
             "se": float(np.sqrt(everywhere.variance[c][inside][v]))}
            for c, name in enumerate(everywhere.conditions)
            for v, ijk in enumerate(indices)
        ],
        VOXEL_COLUMNS,
    )  # fmt: skip
    edges, heights = fir.density(own[: len(blocks)])
    job.save(
        "histogram",
        [
            {"condition": name, "low": edges[b], "high": edges[b + 1], "density": heights[c, b]}
            for c, name in enumerate(blocks)
            for b in range(len(edges) - 1)
        ],
        HISTOGRAM_COLUMNS,
    )
    job.save("mask", _image(voxel.mask.astype(np.uint8), image))
    last = len(everywhere.conditions) - 1
    job.save("area", _image(_volume(everywhere.area[last], brain), image))
    job.save("areaz", _image(_volume(everywhere.z[last], brain), image))
    lengths = {round(float(one), 1) for b in blocks.values() for one in b[:, 1]}
    job.save(
        "response",
        figures.response(
            response.lags_s,
            response.percent,
            response.se,
            list(blocks),
            max(lengths) if max(lengths) - min(lengths) < 1 else None,
        ),
    )
    job.save("histogram", figures.histogram(edges, heights, list(blocks)))
    centre = np.rint(np.argwhere(voxel.mask).mean(axis=0)).astype(int)
    job.save(
        "mask",
        figures.slices(mean, image.affine, None, voxel.mask, centre,
                       f"MRS voxel on the BOLD grid: {voxel.covered:.0%} of it holds data"),
    )  # fmt: skip
    return {
        "lags_s": design.lags_s,
        "error_growth": design.error_growth,
        "area_mean_percent_s": response.area[-1],
        "area_mean_se_percent_s": response.area_se[-1],
        "area_total_percent_s": n * response.area[-1],
        "sign": int(np.sign(response.area[-1])),
        "negative_share": float(np.mean(own[-1] < 0)),
        "max_z": float(everywhere.z[last].max()),
        "dof": response.dof,
    }


def _connectivity(
    job, data, mean, brain, voxel: VoxelMask, image, timing, blocks, nuisance, setting
):
    from fmrsflow.report import bold_figures as figures

    contrasts = connectivity.parse_contrasts(setting["contrasts"], list(blocks))
    other = connectivity.orthonormal(connectivity.task_space(timing, blocks), nuisance)
    if timing.n_scans - other.shape[1] < 30:
        raise DataError(
            f"{timing.n_scans} volumes leave {timing.n_scans - other.shape[1]} degrees of freedom "
            "beside task response and confounds, 30 are needed: set bold: connectivity: false, or "
            "name fewer confounds"
        )
    percent = (100 * (data / mean[brain].astype(np.float32) - 1)).astype(np.float32)
    inside = voxel.mask[brain]
    clean = glm.residualised(percent[:, inside].astype(float), other)
    seed = glm.residualised(connectivity.eigenvariate(clean), other)
    deconvolution = connectivity.Deconvolution(timing, other)
    design = connectivity.ppi_design(seed, timing, blocks, other, deconvolution)
    sizes = np.linalg.norm(image.affine[:3, :3], axis=0)
    if setting["smoothing_fwhm_mm"] > 0:
        maps = inputs.smoothed(percent, brain, setting["smoothing_fwhm_mm"] / sizes)
    else:
        maps = percent
    model = glm.fit(maps, design.matrix, setting["noise_model"])
    smooth = clusters.smoothness(model.residuals(), brain)
    if smooth.fwhm_voxels.min() < 2:
        job.warn(
            f"connectivity maps have a smoothness of {smooth.fwhm_voxels.min():.1f} voxels; random "
            "field theory wants 2 or more: raise bold: smoothing_fwhm_mm"
        )
    rows, summary = [], {}
    for name, contrast in contrasts.items():
        found = model.contrast(design.weights(contrast))
        z_map = _volume(found.z, brain)
        listed, labels = clusters.clusters_of(z_map, brain, smooth, setting["voxel_p"])
        slug = "".join(one if one.isalnum() else "-" for one in name)
        job.save(f"ppi-{slug}_effect", _image(_volume(found.effect, brain), image))
        job.save(f"ppi-{slug}_z", _image(z_map, image))
        significant = [one for one in listed if one.p_fwe < setting["cluster_p"]]
        keep = np.isin(labels, [one.label for one in significant])
        job.save(f"ppi-{slug}_clusters", _image(np.where(keep, labels, 0).astype(np.int16), image))
        for one in listed:
            x, y, z = image.affine[:3, :3] @ one.peak + image.affine[:3, 3]
            rows.append(
                {
                    "contrast": name,
                    "sign": one.sign,
                    "n_voxels": one.n_voxels,
                    "volume_ml": one.n_voxels * float(np.prod(sizes)) / 1000,
                    "p_fwe": one.p_fwe,
                    "significant": bool(one.p_fwe < setting["cluster_p"]),
                    "peak_z": one.peak_z,
                    "x_mm": float(x),
                    "y_mm": float(y),
                    "z_mm": float(z),
                    "seed_share": float(voxel.mask[labels == one.label].mean()),
                }
            )
        peak = listed[0].peak if listed else np.rint(np.argwhere(voxel.mask).mean(axis=0))
        beyond = np.where(labels > 0, z_map, np.nan)
        job.save(
            f"ppi-{slug}",
            figures.slices(
                mean, image.affine, beyond, voxel.mask, np.asarray(peak, int),
                f"gPPI of the MRS voxel (outlined), {name}: z beyond p < {setting['voxel_p']:g}\n"
                "through the largest cluster; "
                f"{len(significant)} of {len(listed)} clusters at FWE p < {setting['cluster_p']:g}",
            ),
        )  # fmt: skip
        summary[name] = {"clusters": len(listed), "significant": len(significant)}
    job.save("clusters", rows, CLUSTER_COLUMNS)
    if setting["atlas"]:
        _atlas(job, percent, seed, brain, image, timing, blocks, other, contrasts, setting)
    return {
        "contrasts": summary,
        "fwhm_voxels": smooth.fwhm_voxels,
        "resels": float(smooth.resels[3]),
        "dof": timing.n_scans - design.matrix.shape[1],
    }


def _atlas(job, percent, seed, brain, image, timing, blocks, other, contrasts, setting) -> None:
    import nibabel as nib

    from fmrsflow.report import bold_figures as figures

    atlas = _load(_below(job, setting["atlas"]), nib)
    if len(atlas.shape) != 3:
        raise DataError(f"the atlas has {len(atlas.shape)} axes; one volume of labels is needed")
    labels = inputs.on_grid(np.asarray(atlas.dataobj), atlas.affine, brain.shape, image.affine)
    inside = labels[brain]
    names = _label_names(job, setting, [one for one in np.unique(inside) if one > 0])
    few = [name for label, name in names.items() if (inside == label).sum() < 5]
    if few:
        job.warn(f"{len(few)} regions of the atlas have fewer than 5 voxels with data: left out")
    kept = {label: name for label, name in names.items() if name not in few}
    if len(kept) < 2:
        raise DataError(
            "fewer than 2 regions of the atlas lie where the BOLD run has data; is the atlas in "
            "the space of the run?"
        )
    means = [percent[:, inside == label].mean(axis=1, dtype=float) for label in kept]
    series = np.column_stack([seed, *means])
    rows = []
    for name, contrast in contrasts.items():
        found = connectivity.roi_to_roi(
            series, (MRS, *kept.values()), timing, blocks, other, contrast, setting["noise_model"]
        )
        rows += [
            {"contrast": name, "seed": a, "target": b, "effect": found.effect[i, j],
             "effect_symmetric": found.symmetric[i, j], "z": found.z[i, j]}
            for i, a in enumerate(found.names)
            for j, b in enumerate(found.names)
            if i != j
        ]  # fmt: skip
        slug = "".join(one if one.isalnum() else "-" for one in name)
        job.save(f"roi-{slug}", figures.matrix(found.z, found.names, f"gPPI, {name}"))
    job.save("roi", rows, ROI_COLUMNS)


def _label_names(job: Job, setting: dict, present: list[int]) -> dict[int, str]:
    if not setting["atlas_labels"]:
        return {int(one): f"{one}" for one in present}
    rows = read_table(_below(job, setting["atlas_labels"]))
    try:
        named = {int(float(row["index"])): row["name"] for row in rows}
    except (KeyError, ValueError):
        raise DataError(
            f"{setting['atlas_labels']}: columns index (a whole number) and name are needed"
        ) from None
    return {int(one): named.get(int(one), f"{one}") for one in present}


def _load(path: Path, nib):
    try:
        return nib.load(path)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError) as error:
        raise DataError(f"{path.name} is not readable as NIfTI: {error}") from None


def _sidecar(path: Path) -> dict:
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    sidecar = path.with_name(f"{stem}.json")
    if not sidecar.exists():
        return {}
    try:
        return read_json(sidecar)
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


def _mrs_affine(job: Job) -> np.ndarray:
    affine = job.fids("convert", "svs").affine
    if affine is None:
        raise DataError("the MRS file holds no geometry: the voxel cannot be placed on BOLD")
    return affine


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
        raise DataError(f"{name} (setting bold: {pattern}) is no file below the data root")
    return path


def _transform(job: Job, setting: dict):
    return read_transform(_below(job, setting["transform"])) if setting["transform"] else None


def _volume(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    volume = np.zeros(mask.shape, np.float32)
    volume[mask] = values
    return volume


def _image(volume: np.ndarray, like):
    import nibabel as nib

    return nib.Nifti1Image(volume, like.affine)


_scans_main = stage_main("bold", process)


def main(argv: list[str]) -> int:
    """`fmrsflow bold [--study FILE] KEY...`, or `fmrsflow bold [--study FILE] --analysis NAME` for
    the accord of BOLD and glutamate over all scans of an analysis."""
    if "--analysis" in argv:
        from fmrsflow.stages.bold_group import main as group_main

        return group_main(argv)
    return _scans_main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
