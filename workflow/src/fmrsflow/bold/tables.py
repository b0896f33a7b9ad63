"""Tidy rows of the results of one person; what the columns mean stands in `columns.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.bold.clusters import Cluster
from fmrsflow.bold.connectivity import RoiMatrix
from fmrsflow.bold.fir import Area, MeanResponse
from fmrsflow.bold.mask import VoxelMask


def area_rows(response: MeanResponse, areas: Area) -> list[dict]:
    """A row a condition and their sum; `areas` of the voxels of the MRS voxel alone."""
    n = areas.area.shape[1]
    return [
        {
            "condition": name,
            "area_mean": mean,
            "area_mean_se": se,
            "area_total": n * mean,
            "area_total_se": n * se,
            "negative_share": float(np.mean(own < 0)),
            "sign": int(np.sign(mean)),
            "n_voxels": n,
        }
        for name, mean, se, own in zip(
            response.conditions, response.area, response.area_se, areas.area
        )
    ]


def run_rows(
    runs: Sequence[tuple[int, object | None, str]],
    responses: Sequence[MeanResponse],
    weights: Sequence[float],
) -> list[dict]:
    """A row a run of the sheet: its number, the run (None where it is left out) and why it is."""
    used = zip(responses, weights)
    rows = []
    for number, run, reason in runs:
        row = {"run": number, "used": run is not None, "reason": reason}
        if run is not None:
            response, weight = next(used)
            row |= {
                "n_volumes": run.timing.n_scans,
                "n_blocks": sum(len(one) for one in run.blocks.values()),
                "area_mean": response.area[-1],
                "area_mean_se": response.area_se[-1],
                "weight": weight,
            }
        rows.append(row)
    return rows


def response_rows(response: MeanResponse) -> list[dict]:
    """A row a condition and lag."""
    return [
        {"condition": name, "lag_s": lag, "percent": percent, "se": se}
        for name, values, errors in zip(response.conditions, response.percent, response.se)
        for lag, percent, se in zip(response.lags_s, values, errors)
    ]


def voxel_rows(areas: Area, voxel: VoxelMask) -> list[dict]:
    """A row a condition and fMRI voxel; `areas` in the order of ``voxel.mask.nonzero()``."""
    places = list(zip(np.argwhere(voxel.mask).tolist(), voxel.share[voxel.mask].tolist()))
    return [
        {"i": i, "j": j, "k": k, "share": share, "condition": name, "area": area, "se": se}
        for name, values, variances in zip(areas.conditions, areas.area, areas.variance)
        for ((i, j, k), share), area, se in zip(places, values, np.sqrt(variances))
    ]


def histogram_rows(edges: np.ndarray, heights: np.ndarray, names: Sequence[str]) -> list[dict]:
    """A row a condition and bin."""
    return [
        {"condition": name, "low": low, "high": high, "density": one}
        for name, row in zip(names, heights)
        for low, high, one in zip(edges, edges[1:], row)
    ]


def cluster_rows(
    contrast: str,
    found: Sequence[Cluster],
    labels: np.ndarray,
    affine: np.ndarray,
    seed: np.ndarray,
    limit: float,
) -> list[dict]:
    """A row a cluster; `seed` is the mask of the MRS voxel, `limit` of the family-wise p."""
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    rows = []
    for one in found:
        x, y, z = (affine[:3, :3] @ one.peak + affine[:3, 3]).tolist()
        rows.append(
            {
                "contrast": contrast,
                "sign": one.sign,
                "n_voxels": one.n_voxels,
                "volume_ml": one.n_voxels * voxel_ml,
                "p_fwe": one.p_fwe,
                "significant": one.p_fwe < limit,
                "peak_z": one.peak_z,
                "x_mm": x,
                "y_mm": y,
                "z_mm": z,
                "seed_share": float(seed[labels == one.label].mean()),
            }
        )
    return rows


def roi_rows(contrast: str, found: RoiMatrix) -> list[dict]:
    """A row a pair of regions and direction."""
    return [
        {
            "contrast": contrast,
            "seed": seed,
            "target": target,
            "effect": found.effect[i, j],
            "effect_symmetric": found.symmetric[i, j],
            "z": found.z[i, j],
        }
        for i, seed in enumerate(found.names)
        for j, target in enumerate(found.names)
        if i != j
    ]
