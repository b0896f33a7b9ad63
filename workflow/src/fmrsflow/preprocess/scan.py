"""All corrections of one scan in their order (docs/science.md#preprocessing): coils, eddy
currents of each transient, alignment, outlier marking, residual water, frequency reference;
a linear baseline where asked for (baseline.py), and averaging of each condition come last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.preprocess.align import Alignment, align
from fmrsflow.preprocess.coils import CoilWeights, coil_weights, combine, noise_covariance
from fmrsflow.preprocess.eddy import EddyPhase, correct_eddy, eddy_phase
from fmrsflow.preprocess.outliers import Outliers, mark_outliers, unusable_transients
from fmrsflow.preprocess.reference import Reference, apply_reference, frequency_reference
from fmrsflow.preprocess.timing import Timing
from fmrsflow.preprocess.water import residual_water, times_metabolites
from fmrsflow.preprocess.water_course import WaterCourse, water_course
from fmrsflow.water_reference import check_acquisition, like_the_others

FAR_PPM = 0.05
"""Offset of a scan from which its water is looked for once more, where it then is. Field and
scanner drift between reference and scan; an offset moves myo-inositol's line at 4.05 ppm into the
window of the water, which begins at 4.2 ppm, and it would be taken out with it."""


@dataclass(frozen=True)
class Combined:
    """A scan with combined coils and its water reference, both without eddy currents.

    Attributes
    ----------
    fids : Fids
    reference : Fids or None
        One transient.
    weights : CoilWeights or None
        None where the coils came combined.
    eddy : EddyPhase or None
        None where no eddy currents were corrected.
    course : WaterCourse or None
        Of a reference that was measured over the scan.
    unlike : int
        Transients of the reference that were left out: without water, or a multiple of it.
    """

    fids: Fids
    reference: Fids | None
    weights: CoilWeights | None
    eddy: EddyPhase | None
    course: WaterCourse | None = None
    unlike: int = 0


@dataclass(frozen=True)
class Corrected:
    """A scan after every correction, before averaging.

    Attributes
    ----------
    fids : Fids
        All transients, rejected ones included.
    alignment, outliers, reference
        Results of these steps.
    water : complex array (n_transients,)
        Residual water at t = 0.
    water_components : int
        HLSVD decompositions that it took.
    water_times : float
        Height of the water over that of the highest metabolite.
    """

    fids: Fids
    alignment: Alignment
    outliers: Outliers
    reference: Reference
    water: np.ndarray
    water_components: int
    water_times: float


@dataclass(frozen=True)
class Averages:
    """Averages of a scan.

    Attributes
    ----------
    fids : Fids
        One FID a condition.
    whole : Fids
        The average of all kept transients.
    conditions : tuple of str
        In the order of their first transients.
    member : bool array (n_conditions, n_transients)
    weights : float array (n_transients,)
        Weight of a transient in the average of its condition.
    shares : float array (n_conditions,)
        Weight of a condition in `whole`.
    """

    fids: Fids
    whole: Fids
    conditions: tuple[str, ...]
    member: np.ndarray
    weights: np.ndarray
    shares: np.ndarray


def check_reference(fids: Fids, reference: Fids) -> None:
    """DataError where a water reference does not belong to the scan or cannot be used."""
    check_acquisition(reference, fids)
    if reference.n_points < fids.n_points:
        raise DataError(
            f"the water reference has {reference.n_points} points, the scan {fids.n_points}: it is "
            "too short; export it again, or name none in column ref of scans.tsv"
        )
    # A copy among transients of water changes their mean little.
    causes = unusable_transients(reference)
    if "not finite" in causes or set(causes) <= {"empty", "copy"}:
        raise DataError(
            "the water reference holds transients that are not finite, or empty ones alone; export "
            "it again, or name none in column ref of scans.tsv"
        )


def combined(
    fids: Fids,
    reference: Fids | None,
    correct_eddies: bool = True,
    timing: Timing | None = None,
    scale: bool = False,
) -> Combined:
    """Combine the coils, average the reference and take its phase off every transient.

    Parameters
    ----------
    fids : Fids
        As measured.
    reference : Fids or None
        Water reference as measured; without one the coil weights come from the scan itself and
        eddy currents stay.
    correct_eddies : bool
    timing : Timing or None
        Of a reference that was measured over the scan: then the eddy currents of a transient are
        those of the water nearest to it.
    scale : bool
        Whether each transient is divided by the water at its time, too.

    Raises
    ------
    DataError
        The reference does not belong to the scan, or holds no water; a coil holds no data.
    """
    if reference is not None:
        check_reference(fids, reference)
    weights, kept = None, None
    if reference is not None:
        kept = like_the_others(reference)
    if fids.n_coils > 1:
        source = fids if reference is None else reference.select(kept)
        weights = coil_weights(source, noise_covariance(fids))
        fids = combine(fids, weights)
    if reference is None:
        return Combined(fids, None, weights, None)
    if weights is not None:
        reference = combine(reference, weights)
    reference = reference.with_data(reference.data[:, :, : fids.n_points])
    course = None if timing is None else water_course(reference, timing, kept)
    reference = align(reference.select(kept))[0].mean()
    unlike = int((~kept).sum())
    if course is not None and scale:
        fids = course.scaled(fids, timing.scan_at)
    if not correct_eddies:
        return Combined(fids, reference, weights, None, course, unlike)
    phase = eddy_phase(reference)
    clean = course.corrected(fids, timing.scan_at) if course else correct_eddy(fids, phase)
    return Combined(clean, correct_eddy(reference, phase), weights, phase, course, unlike)


def correct(fids: Fids, labels: list, unusable: tuple[str, ...], setting: dict) -> Corrected:
    """Alignment, outlier marking, residual water, frequency reference of combined FIDs.

    Parameters
    ----------
    fids : Fids
        Coils combined; unusable transients set to zero.
    labels : list of str or None
        Condition of each transient.
    unusable : tuple of str
        From `unusable_transients` of the raw data.
    setting : dict
        A complete named setting of this stage.

    Raises
    ------
    DataError
        No transient is left, or too many are unusable.
    """
    done = _corrected(fids, labels, unusable, setting)
    away = done.reference.shift_hz
    if abs(away) <= FAR_PPM * fids.frequency_mhz:
        return done
    done = _corrected(fids.shifted(-away), labels, unusable, setting)
    shift_hz = away + done.reference.shift_hz
    return replace(done, reference=replace(done.reference, shift_hz=shift_hz))


def _corrected(fids: Fids, labels: list, unusable: tuple[str, ...], setting: dict) -> Corrected:
    """`correct` of a scan whose lines are near their places."""
    window = (setting["water_low_ppm"], setting["water_high_ppm"])
    aligned, alignment = _align(fids, window, setting)
    removal = residual_water(aligned, window)
    clean = aligned.with_data(aligned.transients - removal.fids)
    # Residual water changes on its own: neither outliers nor the reference may depend on it.
    outliers = mark_outliers(
        clean, labels, setting["outlier_z"], setting["max_removed_share"], unusable=unusable
    )
    usable = [not cause for cause in unusable]
    reference = frequency_reference(clean.select(usable).mean(alignment.weights[usable]))
    return Corrected(
        apply_reference(clean if setting["water"] == "hlsvd" else aligned, reference),
        alignment,
        outliers,
        reference,
        removal.fids[:, 0],
        removal.n_components,
        times_metabolites(aligned.with_data(removal.fids[usable]), clean.select(usable)),
    )


def _align(fids: Fids, window: tuple[float, float], setting: dict) -> tuple[Fids, Alignment]:
    """Align on what is left without residual water. A second round, because the water of aligned
    transients is known better: it brings the errors from 1.3-1.7 to 1.1 times their bound."""
    total = None
    for _ in range(2):
        water = residual_water(fids, window).fids
        fids, alignment = align(
            fids,
            setting["align"],
            (setting["align_low_ppm"], setting["align_high_ppm"]),
            setting["max_shift_ppm"],
            water,
        )
        total = alignment if total is None else alignment.after(total)
        if setting["align"] == "none":
            break
    return fids, total


def averages(done: Corrected, labels: Sequence[str | None], equal: bool = False) -> Averages:
    """Average the kept transients of each condition with weights 1/d^2, or equal ones."""
    names = tuple(dict.fromkeys(label for label in labels if label is not None))
    kept = done.outliers.kept
    weights = kept.astype(float) if equal else np.where(kept, done.alignment.weights, 0.0)
    member = np.array([[label == name for label in labels] for name in names])
    each = member * weights
    shares = each.sum(axis=1)
    each = each / shares[:, None]
    fids = done.fids.with_data(each @ done.fids.transients)
    whole = done.fids.mean(weights)
    return Averages(fids, whole, names, member, each.sum(axis=0), shares / shares.sum())
