"""Outlier transients by their distance to the median spectrum (Near 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids


@dataclass(frozen=True)
class Outliers:
    """Marks of `mark_outliers`.

    Attributes
    ----------
    kept : bool array (n_transients,)
        False also where a transient belongs to no condition.
    cause : tuple of str
        Why a transient is not kept ("" where it is).
    distance : float array (n_transients,)
        Root mean square distance to the median spectrum, in units of its median.
    z : float array (n_transients,)
        Robust z-score of the distance.
    spared : tuple of str
        Conditions where the limit on the share kept outliers in.
    """

    kept: np.ndarray
    cause: tuple[str, ...]
    distance: np.ndarray
    z: np.ndarray
    spared: tuple[str, ...]


def distance_to_median(fids: Fids, range_ppm: tuple[float, float] = (0.0, 4.2)) -> np.ndarray:
    """Root mean square distance of each transient to the median spectrum, shape (n_transients,)."""
    inside = (fids.ppm >= min(range_ppm)) & (fids.ppm <= max(range_ppm))
    spectra = fids.spectra[:, 0, inside]
    median = np.median(spectra.real, axis=0) + 1j * np.median(spectra.imag, axis=0)
    return np.sqrt(np.mean(np.abs(spectra - median) ** 2, axis=-1))


def robust_z(values: np.ndarray) -> np.ndarray:
    """(value - median) / (1.4826 MAD); zero where the MAD is zero."""
    centre = np.median(values)
    # 1.4826 MAD is the SD of a normal distribution.
    scale = 1.4826 * np.median(np.abs(values - centre))
    return np.zeros_like(values) if scale == 0 else (values - centre) / scale


def unusable_transients(fids: Fids) -> tuple[str, ...]:
    """`empty` (all coils zero), `not finite` (any coil) or `copy` (the samples of an earlier one:
    noise never repeats itself) for each transient, else ""."""
    causes, seen = [], set()
    for transient in fids.data:
        peak = np.abs(transient).max()
        cause = "not finite" if not np.isfinite(peak) else "" if peak > 0 else "empty"
        samples = hash(transient.tobytes())
        causes.append(cause or ("copy" if samples in seen else ""))
        seen.add(samples)
    return tuple(causes)


def blank_unusable(raw: Fids) -> tuple[str, ...]:
    """Zero the unusable transients in place, because a copy may take a third of a gigabyte.

    Returns
    -------
    tuple of str
        Cause of each transient, as `unusable_transients` gives it.

    Raises
    ------
    DataError
        None is left.
    """
    causes = unusable_transients(raw)
    if all(causes):
        raise DataError(
            f"all {raw.n_transients} transients are {' or '.join(sorted(set(causes)))}; "
            "export the scan again"
        )
    for j in np.flatnonzero([bool(cause) for cause in causes]):
        raw.data[j] = 0
    return causes


def mark_outliers(
    fids: Fids,
    conditions: Sequence[str | None],
    limit: float = 3.0,
    max_share: float = 0.2,
    range_ppm: tuple[float, float] = (0.0, 4.2),
    unusable: Sequence[str] | None = None,
) -> Outliers:
    """Mark transients far from the median spectrum; only large distances are bad.

    Parameters
    ----------
    fids : Fids
        Aligned, coils combined, better without residual water.
    conditions : sequence of str or None
        Condition of each transient; None belongs to none and is not kept.
    limit : float
        Robust z-score above which a transient is an outlier.
    max_share : float
        Of each condition at most this share is removed, the farthest first.
    unusable : sequence of str, optional
        What `unusable_transients` said of the raw data.

    Raises
    ------
    DataError
        No transient with a condition is left, or more than the share is unusable (empty, not
        finite, copies).
    """
    n = fids.n_transients
    causes = list(unusable if unusable is not None else unusable_transients(fids))
    usable = np.array([not cause for cause in causes])
    distance, z = np.full(n, np.nan), np.full(n, np.nan)
    if usable.any():
        distance[usable] = distance_to_median(fids.select(usable), range_ppm)
        # Distances mean nothing among one or two transients.
        z[usable] = robust_z(distance[usable]) if usable.sum() > 2 else 0.0
        distance /= np.median(distance[usable]) or 1.0
    spared = []
    labels = np.array([c if c is not None else "" for c in conditions], dtype=object)
    belongs = np.array([c is not None for c in conditions], bool)
    for name in sorted(set(labels[belongs])):
        members = np.flatnonzero(belongs & (labels == name))
        lost = members[~usable[members]]
        if not usable[members].any():
            raise DataError(
                f"all {len(members)} transients of condition {name} are empty or not finite, or "
                "copies of earlier ones; export the scan again"
            )
        allowed = int(np.floor(max_share * len(members) + 1e-9))
        if len(lost) > allowed:
            raise DataError(
                f"{len(lost)} of {len(members)} transients of condition {name} are empty or not "
                f"finite, or copies of earlier ones, more than the share of {max_share:g} that may "
                "be removed (max_removed_share); export the scan again"
            )
        far = members[np.nan_to_num(z[members]) > limit]
        far = far[np.argsort(-z[far], kind="stable")]
        if len(far) > allowed - len(lost):
            spared.append(name)
            far = far[: allowed - len(lost)]
        for j in far:
            causes[j] = f"distance z {z[j]:.1f} > {limit:g}"
    for j in np.flatnonzero(~belongs):
        causes[j] = causes[j] or "no condition"
    kept = np.array([not cause for cause in causes])
    if not kept.any():
        raise DataError(
            f"all {n} transients are rejected or without condition; check events.tsv, the limit "
            "outlier_z and the scan"
        )
    return Outliers(kept, tuple(causes), distance, z, tuple(spared))
