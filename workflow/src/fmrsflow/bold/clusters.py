"""Clusters of a statistical map and their family-wise error.

One person: random field theory on the extent of clusters (Friston 1994, Worsley 1996), with the
smoothness estimated from the residuals (Worsley 1992); permuting volumes would not be valid, they
are autocorrelated. A group: permutation of signs by nilearn's `non_parametric_inference`.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import gamma, log, pi

import numpy as np

_FACES_AND_EDGES = np.ones((3, 3, 3), bool)
_FACES_AND_EDGES[::2, ::2, ::2] = False
CONNECTED = _FACES_AND_EDGES
"""Neighbours of a voxel: those that share a face or an edge (18)."""


@dataclass(frozen=True)
class Smoothness:
    """Smoothness of a field in its mask.

    Attributes
    ----------
    fwhm_voxels : array (3,)
        Full width at half maximum of the Gaussian kernel of equal roughness along each axis.
    resels : array (4,)
        Resolution elements of dimension 0 to 3 of the mask (Worsley 1996).
    """

    fwhm_voxels: np.ndarray
    resels: np.ndarray


@dataclass(frozen=True)
class Cluster:
    """Connected voxels beyond the threshold.

    Attributes
    ----------
    sign : int
        1 or -1.
    n_voxels : int
    p_fwe : float
        Probability of a cluster this large or larger anywhere in the mask, this sign alone.
    peak : tuple of int
        Grid index of its largest value.
    peak_z : float
    label : int
        Its number in the label map.
    """

    sign: int
    n_voxels: int
    p_fwe: float
    peak: tuple[int, int, int]
    peak_z: float
    label: int


def smoothness(residuals: np.ndarray, mask: np.ndarray) -> Smoothness:
    """Smoothness from standardised residuals.

    Parameters
    ----------
    residuals : array (n_scans, n_voxels)
        In the order of ``mask.nonzero()``, about zero.
    mask : bool array (x, y, z)

    Notes
    -----
    With each voxel's residuals divided by their norm, the squared difference of neighbours has the
    expectation 2 (1 - r), r their correlation; a Gaussian kernel of FWHM w gives r = exp(-2 ln2 /
    w^2) at a distance of one voxel. Solving for w is exact for such a field on a grid, where the
    derivative taken as a difference is biased for w below 3 voxels.
    """
    normed = residuals / np.maximum(np.linalg.norm(residuals, axis=0), 1e-30)
    index = np.full(mask.shape, -1)
    index[mask] = np.arange(int(mask.sum()))
    fwhm = np.empty(3)
    for axis in range(3):
        here = index[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))]
        there = index[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
        both = (here >= 0) & (there >= 0)
        if not both.any():
            raise ValueError(f"the mask is one voxel thick along axis {axis}: no smoothness")
        first, second = here[both], there[both]
        # In parts: a whole brain times hundreds of volumes would double the memory.
        correlation = np.mean(
            [
                float(np.einsum("ij,ij->", normed[:, first[i : i + 4096]],
                                normed[:, second[i : i + 4096]])) / len(first[i : i + 4096])
                for i in range(0, len(first), 4096)
            ]
        )  # fmt: skip
        correlation = min(max(correlation, 1e-6), 1 - 1e-9)
        fwhm[axis] = np.sqrt(2 * log(2) / -np.log(correlation))
    return Smoothness(fwhm, resel_counts(mask, fwhm))


def resel_counts(mask: np.ndarray, fwhm_voxels: Sequence[float]) -> np.ndarray:
    """Resels of dimension 0 to 3 of a mask of voxel centres (Worsley 1996, eq. 4).

    The mask is the lattice that its voxels' centres span: points P, edges E, squares F, cubes C.
    """
    m = np.asarray(mask, bool)
    points = m.sum()
    pairs = [_and(m, (axis,)) for axis in range(3)]
    edges = [one.sum() for one in pairs]
    faces = [_and(m, axes).sum() for axes in ((0, 1), (0, 2), (1, 2))]
    cubes = _and(m, (0, 1, 2)).sum()
    rx, ry, rz = 1 / np.asarray(fwhm_voxels, float)
    ex, ey, ez = edges
    fxy, fxz, fyz = faces
    return np.array(
        [
            points - (ex + ey + ez) + (fxy + fxz + fyz) - cubes,
            rx * (ex - fxy - fxz + cubes)
            + ry * (ey - fxy - fyz + cubes)
            + rz * (ez - fxz - fyz + cubes),
            rx * ry * (fxy - cubes) + rx * rz * (fxz - cubes) + ry * rz * (fyz - cubes),
            rx * ry * rz * cubes,
        ],
        float,
    )


def expected_clusters(resels: np.ndarray, z: float) -> float:
    """Expected Euler characteristic of the part of a Gaussian field above z: its clusters."""
    from scipy.stats import norm

    root = np.sqrt(4 * log(2))
    peak = np.exp(-z * z / 2)
    densities = [
        norm.sf(z),
        root / (2 * pi) * peak,
        root**2 / (2 * pi) ** 1.5 * z * peak,
        root**3 / (2 * pi) ** 2 * (z * z - 1) * peak,
    ]
    return float(np.dot(resels, densities))


def extent_p(n_voxels, smooth: Smoothness, mask_voxels: int, z: float) -> np.ndarray:
    """Family-wise p of clusters of so many voxels above z (Friston 1994, eq. 4 to 14).

    The extent of a cluster to the power 2/3 is exponentially distributed, with the mean extent
    that the expected volume above the threshold over the expected number of clusters gives; the
    number of clusters is Poisson.
    """
    from scipy.stats import norm

    clusters = max(expected_clusters(smooth.resels, z), 1e-12)
    mean_extent = mask_voxels * norm.sf(z) / clusters
    beta = (gamma(2.5) / mean_extent) ** (2 / 3)
    beyond = np.exp(-beta * np.asarray(n_voxels, float) ** (2 / 3))
    return -np.expm1(-clusters * beyond)


def clusters_of(
    z_map: np.ndarray, mask: np.ndarray, smooth: Smoothness, voxel_p: float = 0.001
) -> tuple[list[Cluster], np.ndarray]:
    """Clusters of both signs in a map, largest first, and the map of their labels.

    Parameters
    ----------
    z_map : array (x, y, z)
        Normal deviates.
    mask : bool array (x, y, z)
    voxel_p : float
        One-sided, uncorrected; the clusters of a sign are tested by themselves.
    """
    from scipy.ndimage import find_objects, label
    from scipy.stats import norm

    threshold = float(norm.isf(voxel_p))
    found, labels = [], np.zeros(z_map.shape, np.int16)
    for sign in (1, -1):
        values = np.where(mask, sign * z_map, -np.inf)
        parts, n = label(values > threshold, structure=CONNECTED)
        for number, box in enumerate(find_objects(parts), start=1):
            own = parts[box] == number
            local = np.where(own, values[box], -np.inf)
            peak = np.unravel_index(int(np.argmax(local)), local.shape)
            index = tuple(int(p + part.start) for p, part in zip(peak, box))
            found.append((sign, int(own.sum()), index, float(z_map[index]), box, own))
    found.sort(key=lambda one: -one[1])
    clusters = []
    for number, (sign, size, index, peak_z, box, own) in enumerate(found, start=1):
        labels[box][own] = number
        p = float(extent_p(size, smooth, int(mask.sum()), threshold))
        clusters.append(Cluster(sign, size, p, index, peak_z, number))
    return clusters, labels


MIN_PERSONS = 5
"""Persons that a test by sign flips needs: with 4 no p below 1/16 exists."""


def too_few(n_persons: int) -> str:
    """Why so few persons give no group map."""
    return (
        f"{n_persons} persons: group inference by sign flips needs {MIN_PERSONS} or more "
        "(2^-5 = 0.03 is the smallest p)"
    )


def group_clusters(maps: Sequence, mask, voxel_p: float = 0.001, n_perm: int = 1000, seed: int = 0):
    """Clusters of the mean of one map a person: sign-flipping permutation (nilearn).

    Parameters
    ----------
    maps : sequence of nibabel images
        Effects, one a person, on one grid in one space (MNI).
    mask : nibabel image
    voxel_p, n_perm, seed
        Cluster-forming threshold, both signs; number of permutations; of the generator.

    Returns
    -------
    dict of nibabel images
        `t`, `size` (cluster sizes in voxels), `logp_max_size` (-log10 family-wise p by extent) and
        the rest that nilearn gives.

    Raises
    ------
    DataError
        Fewer than 5 persons: with 4 no permutation p below 1/16 exists.
    """
    import pandas as pd
    from nilearn.glm.second_level import non_parametric_inference

    from fmrsflow.errors import DataError

    if len(maps) < MIN_PERSONS:
        raise DataError(too_few(len(maps)))
    # nilearn collects garbage once a permutation, 0.2 s each with its imports on the heap: these
    # need no looking at.
    gc.freeze()
    try:
        with warnings.catch_warnings():
            # Of nilearn's own calls: it fits the mask that it was given, and labels in int64.
            warnings.filterwarnings("ignore", r".*Given mask will be used", UserWarning)
            warnings.filterwarnings("ignore", "Data array .* contains 64-bit ints", UserWarning)
            return non_parametric_inference(
                list(maps),
                design_matrix=pd.DataFrame({"intercept": np.ones(len(maps))}),
                mask=mask,
                n_perm=n_perm,
                two_sided_test=True,
                threshold=voxel_p,
                random_state=seed,
                n_jobs=1,
            )
    finally:
        gc.unfreeze()


def _and(mask: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    for axis in axes:
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        mask = mask[low] & mask[high]
    return mask
