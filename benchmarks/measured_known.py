"""Figures of spectra with a truth or an answer: the fitting challenge, LCModel's test spectrum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from figure import Figure, skipped
from fmrsflow.errors import DataError
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.result import FitResult
from measured_data import (
    MAIN_SUMS,
    TRUTH_NAMES,
    ChallengeSet,
    absent,
    challenge,
    lcmodel_test,
    ratios,
)

LCMODEL_TEST = {
    "tNAA": (1.313, 10.0),
    "tCho": (0.250, 10.0),
    "mI": (0.916, 25.0),
    "Glu": (1.191, 40.0),
    "Gln": (0.354, 40.0),
    "Glx": (1.550, 25.0),
    "GSH": (0.255, 40.0),
}
"""What LCModel 6.3 gives for its test spectrum, /tCr, and the largest 95 % error of ours, %."""

TOTAL = 1.96
"""Half width of a 95 % interval in standard errors."""


def challenge_figures() -> Iterator[Figure]:
    """Six sets of the ISMRM fitting challenge against their truth."""
    if reason := absent("fitting-challenge/truth_sets1-6_mM.tsv"):
        yield skipped("fitting challenge", "see docs/measured.md", reason)
        return
    sets = challenge()
    found = [concentrations(one, fit_average(one.fids, one.basis)[0]) for one in sets]
    sums, truth = main_sums(sets, found)
    relative = 100 * (sums / truth - 1)
    bias = ", ".join(f"{name} {x:+.1f}" for name, x in zip(MAIN_SUMS, relative.mean(axis=0)))
    value = float(np.abs(relative).mean())
    yield Figure(
        "challenge: mean absolute error, main sums %", value, "<= 4.0", value <= 4.0,
        f"bias {bias}; FSL-MRS 4.37 over 21 sets",
    )  # fmt: skip
    errors = {name: np.array(values) for name, values in single_errors(sets, found).items()}
    value = float(np.mean(np.concatenate(list(errors.values()))))
    worst = sorted(errors, key=lambda name: -errors[name].mean())[:4]
    note = ", ".join(f"{name} {errors[name].mean():.2f}" for name in worst)
    yield Figure(
        "challenge: mean absolute error, all metabolites mM", value, "<= 0.55", value <= 0.55,
        f"largest {note}; FSL-MRS 0.582 over 21 sets",
    )  # fmt: skip
    slope = scale_of(sums, truth)
    yield Figure(
        "challenge: scale (slope of the main sums)", slope, "1.000 +- 0.005",
        abs(slope - 1) <= 0.005,
    )  # fmt: skip


def concentrations(one: ChallengeSet, result: FitResult) -> dict[str, float]:
    """Concentration of each metabolite of a set, mmol/L."""
    return dict(zip(result.names, one.factor * result.amplitudes))


def main_sums(
    sets: list[ChallengeSet], found: list[dict[str, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Main sums and their truth, (n_sets, n_sums), mmol/L."""
    sums = [
        [sum(values.get(part, 0.0) for part in parts) for parts in MAIN_SUMS.values()]
        for values in found
    ]
    return np.array(sums), np.array([[one.truth_mm[name] for name in MAIN_SUMS] for one in sets])


def scale_of(sums: np.ndarray, truth: np.ndarray) -> float:
    """Slope of the line through the origin of sums on their truth."""
    return float(np.sum(sums * truth) / np.sum(truth**2))


def single_errors(
    sets: list[ChallengeSet], found: list[dict[str, float]]
) -> dict[str, list[float]]:
    """Absolute error of each single metabolite in each set, mmol/L."""
    errors: dict[str, list[float]] = {}
    for one, values in zip(sets, found):
        for name, truth in one.truth_mm.items():
            own = TRUTH_NAMES.get(name, name)
            if "+" not in name and own in values:
                errors.setdefault(own, []).append(abs(values[own] - truth))
    return errors


def lcmodel_figures() -> Iterator[Figure]:
    """LCModel's test spectrum: its own answer inside our total error, and that error's size."""
    title = "LCModel's test spectrum"
    if reason := absent("real-fit/lcmodel-test"):
        yield skipped(title, "see docs/measured.md", reason)
        return
    try:
        fids, basis = lcmodel_test()
    except DataError as error:
        yield Figure(title, "not read", "read", False, str(error))
        return
    (result,) = fit_average(fids, basis)
    if result.status != "ok":
        yield Figure(title, "failed", "fitted", False, result.reason or "")
        return
    values, errors = ratios(result, tuple(LCMODEL_TEST), "total")
    for (name, (told, limit)), value, error in zip(LCMODEL_TEST.items(), values, errors):
        reach = TOTAL * error
        percent = 100 * reach / value if value > 0 else np.inf
        yield Figure(
            f"{title}, {name}/tCr: 95 % error, %",
            float(percent),
            f"<= {limit:g}, {told:g} inside",
            bool(percent <= limit and abs(value - told) <= reach),
            f"{value:.3f} +- {reach:.3f}",
        )
