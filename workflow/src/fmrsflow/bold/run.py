"""BOLD runs of a scan: response of the MRS voxel, and connectivity that changes with the task.

Several runs are combined as fixed effects (`combine.py`).
Definitions: docs/science.md#bold and docs/science.md#connectivity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.bold import clusters, combine, connectivity, fir, glm, inputs, tables
from fmrsflow.bold.mask import VoxelMask
from fmrsflow.errors import DataError

MRS = "MRS"
"""Name of the MRS voxel among the regions of an atlas."""

MIN_DOF = 30
"""Volumes that must be left beside task response and nuisance for the connectivity."""

MIN_REGION_VOXELS = 5
"""Voxels with data that a region of an atlas needs."""


@dataclass(frozen=True)
class Run:
    """A BOLD run and what is known of it.

    Attributes
    ----------
    data : array (n_scans, n_voxels)
        Series of the voxels of `brain`.
    mean : array (x, y, z)
        Mean image.
    brain : bool array (x, y, z)
        Voxels that hold data.
    affine : array (4, 4)
    timing : connectivity.Timing
    blocks : dict
        Condition -> (onset, duration) of its blocks, s.
    nuisance : array (n_scans, n_columns)
        Orthonormal.
    design : fir.FirDesign
    voxel : VoxelMask
    """

    data: np.ndarray
    mean: np.ndarray
    brain: np.ndarray
    affine: np.ndarray
    timing: connectivity.Timing
    blocks: dict[str, np.ndarray]
    nuisance: np.ndarray
    design: fir.FirDesign
    voxel: VoxelMask

    def within(self, brain: np.ndarray) -> Run:
        """The same of the part of a brain (x, y, z) that holds data here."""
        both = brain & self.brain
        return replace(
            self, data=self.data[:, both[self.brain]], brain=both, voxel=self.voxel.within(both)
        )

    @property
    def inside(self) -> np.ndarray:
        """Which of the brain's voxels lie in the MRS voxel."""
        return self.voxel.mask[self.brain]

    @property
    def centre(self) -> np.ndarray:
        """Indices of the middle of the MRS voxel."""
        return np.rint(np.argwhere(self.voxel.mask).mean(axis=0)).astype(int)

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


@dataclass(frozen=True)
class RunResponse:
    """Response of the MRS voxel to each condition, over all runs.

    Attributes
    ----------
    error_growth : float
        Of the design (`fir.FirDesign`), the largest of the runs.
    everywhere, own : fir.Area
        Area in every voxel of the brain, and in those of the MRS voxel.
    mean : fir.MeanResponse
    of_run : list of fir.MeanResponse
    weights : array (n_runs,)
        Share of each run.
    agreement : combine.Agreement or None
        Whether the areas of the runs differ by more than their errors.
    edges, heights : arrays
        Histogram of the areas in the MRS voxel, by condition.
    warnings : list of str
    """

    error_growth: float
    everywhere: fir.Area
    own: fir.Area
    mean: fir.MeanResponse
    of_run: list[fir.MeanResponse]
    weights: np.ndarray
    agreement: combine.Agreement | None
    edges: np.ndarray
    heights: np.ndarray
    warnings: list[str]

    def record(self) -> dict:
        """What the record of the run says of it."""
        last = tables.area_rows(self.mean, self.own)[-1]
        return {
            "lags_s": self.mean.lags_s,
            "error_growth": self.error_growth,
            "area_mean_percent_s": last["area_mean"],
            "area_mean_se_percent_s": last["area_mean_se"],
            "area_total_percent_s": last["area_total"],
            "sign": last["sign"],
            "negative_share": last["negative_share"],
            "max_z": float(self.everywhere.z[-1].max()),
            "dof": self.mean.dof,
            "runs_differ_p": self.agreement and self.agreement.p_value,
        }


DIFFER_P = 0.01
"""Runs whose areas differ with a smaller p than this are warned of."""


def response_of(runs: Sequence[Run], setting: Mapping) -> RunResponse:
    """FIR response and its area, in the voxels of the brain and in the mean of the MRS voxel.

    Parameters
    ----------
    runs : sequence of Run
        Of one grid, brain and MRS voxel, with the same conditions.
    """
    noise_model, inside = setting["noise_model"], runs[0].inside
    lags = combine.common_lags([one.design for one in runs])
    areas = [fir.areas(run.data, run.design, noise_model, lags) for run in runs]
    of_run = [
        fir.mean_response(
            run.data[:, inside], area.baseline[inside], run.design, noise_model, lags
        )
        for run, area in zip(runs, areas)
    ]  # fmt: skip
    everywhere = combine.combined_areas(areas)
    own = everywhere.select(inside)
    growth = max(one.design.error_growth for one in runs)
    agreement = combine.agreement(
        [one.area[-1] for one in of_run], [one.area_se[-1] ** 2 for one in of_run]
    )
    warnings = _response_warnings(lags, growth, agreement, runs[0].timing.tr_s, setting)
    edges, heights = fir.density(own.area[: len(runs[0].blocks)])
    weights = combine.area_weights(areas)
    mean = combine.combined_responses(of_run, weights)
    return RunResponse(
        growth, everywhere, own, mean, of_run, weights, agreement, edges, heights, warnings
    )  # fmt: skip


def _response_warnings(lags, growth, agreement, tr_s: float, setting: Mapping) -> list[str]:
    warnings = []
    spacing = float(lags[1] - lags[0])
    if abs(spacing - setting["spacing_s"]) > 1e-6:
        warnings.append(
            f"lags are {spacing:g} s apart, not {setting['spacing_s']:g} s: the onsets fall at "
            f"like phases of the repetition time of {tr_s:g} s"
        )
    if growth > 2:
        warnings.append(
            f"the error of the area is {growth:.1f} times that of as many blocks standing alone"
        )
    if agreement and agreement.p_value < DIFFER_P:
        warnings.append(
            f"the areas of the runs differ by more than their errors (p = {agreement.p_value:.2g}, "
            "table runs): the error of their mean holds for these runs, not for another session"
        )
    return warnings


@dataclass(frozen=True)
class ContrastMap:
    """One contrast of the connectivity in every voxel.

    Attributes
    ----------
    effect : array (n_voxels,)
    z : array (x, y, z)
    clusters : list of clusters.Cluster
        Beyond the threshold, largest first.
    labels : int array (x, y, z)
        Number of the cluster of each voxel, 0 outside.
    """

    effect: np.ndarray
    z: np.ndarray
    clusters: list
    labels: np.ndarray

    def significant(self, p: float) -> list[int]:
        """Numbers of the clusters whose family-wise p is below a limit."""
        return [one.label for one in self.clusters if one.p_fwe < p]


@dataclass(frozen=True)
class RunConnectivity:
    """Connectivity of the MRS voxel that changes with the task, over all runs.

    Attributes
    ----------
    contrasts : dict
        Name -> weight of each condition.
    maps : dict
        Name of the contrast -> ContrastMap.
    of_run : list of SeedModel
    smooth : clusters.Smoothness
    dof : int
    warnings : list of str
    """

    contrasts: dict[str, dict[str, float]]
    maps: dict[str, ContrastMap]
    of_run: list[SeedModel]
    smooth: clusters.Smoothness
    dof: int
    warnings: list[str]

    def record(self, cluster_p: float) -> dict:
        """What the record of the run says of it."""
        return {
            "contrasts": {
                name: {
                    "clusters": len(one.clusters),
                    "significant": len(one.significant(cluster_p)),
                }
                for name, one in self.maps.items()
            },
            "fwhm_voxels": self.smooth.fwhm_voxels,
            "resels": float(self.smooth.resels[3]),
            "dof": self.dof,
        }


def connectivity_of(runs: Sequence[Run], setting: Mapping) -> RunConnectivity:
    """Generalised PPI of the MRS voxel without co-activation, in every voxel of the brain.

    Parameters
    ----------
    runs : sequence of Run
        As of `response_of`.

    Raises
    ------
    DataError
        A contrast of unknown conditions, or too few volumes.
    """
    contrasts = connectivity.parse_contrasts(setting["contrasts"], list(runs[0].blocks))
    models = [_seed_model(run, contrasts, setting) for run in runs]
    # Each run's residuals are standardised: together they are one sample of the noise's field.
    smooth = clusters.smoothness(np.concatenate([one.residuals for one in models]), runs[0].brain)
    warnings = []
    if smooth.fwhm_voxels.min() < 2:
        warnings.append(
            f"connectivity maps have a smoothness of {smooth.fwhm_voxels.min():.1f} voxels; random "
            "field theory wants 2 or more: raise bold: smoothing_fwhm_mm"
        )
    maps = {}
    for name in contrasts:
        found = combine.combined_contrasts([one.found[name] for one in models])
        z = runs[0].volume(found.z)
        listed, labels = clusters.clusters_of(z, runs[0].brain, smooth, setting["voxel_p"])
        maps[name] = ContrastMap(found.effect, z, listed, labels)
    dof = int(sum(one.dof for one in models))
    return RunConnectivity(contrasts, maps, models, smooth, dof, warnings)


@dataclass(frozen=True)
class SeedModel:
    """gPPI of one run.

    Attributes
    ----------
    found : dict
        Name of the contrast -> glm.Contrast.
    residuals : array (n_scans, n_voxels)
        Standardised.
    percent : array (n_scans, n_voxels)
        Series in percent of their mean.
    seed : array (n_scans,)
    other : array (n_scans, n_columns)
        Task response and nuisance, orthonormal.
    dof : int
    """

    found: dict[str, glm.Contrast]
    residuals: np.ndarray
    percent: np.ndarray
    seed: np.ndarray
    other: np.ndarray
    dof: int


def _seed_model(run: Run, contrasts: Mapping, setting: Mapping) -> SeedModel:
    timing = run.timing
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
    width = setting["smoothing_fwhm_mm"] / np.linalg.norm(run.affine[:3, :3], axis=0)
    series = inputs.smoothed(percent, run.brain, width) if width.any() else percent
    model = glm.fit(series, design.matrix, setting["noise_model"])
    found = {name: model.contrast(design.weights(one)) for name, one in contrasts.items()}
    dof = timing.n_scans - design.matrix.shape[1]
    return SeedModel(found, model.residuals(), percent, seed, other, dof)


def regions_with_data(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Regions of an atlas with enough voxels that hold data, and how many have too few.

    Parameters
    ----------
    labels : array (n_voxels,)
        Region of each of the brain's voxels, 0 outside.

    Raises
    ------
    DataError
        Fewer than two regions are left.
    """
    present, counts = np.unique(labels[labels > 0], return_counts=True)
    kept = present[counts >= MIN_REGION_VOXELS]
    if len(kept) < 2:
        raise DataError(
            "fewer than 2 regions of the atlas lie where the BOLD run has data; is the atlas in "
            "the space of the run?"
        )
    return kept, len(present) - len(kept)


def between_regions(
    runs: Sequence[Run],
    done: RunConnectivity,
    labels: np.ndarray,
    regions: np.ndarray,
    names: Sequence[str],
    noise_model: str,
) -> dict[str, connectivity.RoiMatrix]:
    """Connectivity between all regions of an atlas and the MRS voxel, by contrast."""
    found: dict[str, list] = {name: [] for name in done.contrasts}
    for run, model in zip(runs, done.of_run):
        means = [model.percent[:, labels == one].mean(axis=1, dtype=float) for one in regions]
        series = np.column_stack([model.seed, *means])
        for name, contrast in done.contrasts.items():
            matrix = connectivity.roi_to_roi(
                series, (MRS, *names), run.timing, run.blocks, model.other, contrast, noise_model
            )
            found[name].append(matrix)
    return {name: combine.combined_matrices(matrices) for name, matrices in found.items()}
