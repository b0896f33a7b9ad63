"""Result of the joint fit, and percent changes with their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.design import CONSTANT, Design
from fmrsflow.fit.plateaus import Plateaus
from fmrsflow.fit.result import FitResult
from fmrsflow.metabolites import sums_of


@dataclass(frozen=True)
class JointResult:
    """Joint fit of a scan.

    Attributes
    ----------
    names : tuple of str
        Metabolites, then their sums (`metabolites.sums_of`).
    baseline_amplitude, baseline_se : arrays (n_names,)
        Amplitude where all regressors but the constant are zero.
    contrasts : tuple of str
        Those of the design, then its sums and means of them.
    change_percent, change_se_percent : arrays (n_contrasts, n_names)
        100 coefficient / baseline amplitude; NaN where the metabolite may not respond or is
        absent.
    change_covariance : array (n_contrasts, n_names, n_names)
        Of the percent changes, percent squared.
    narrowing_hz, narrowing_se_hz : arrays (n_linewidth_columns,)
        The width of a line at half height is smaller by so much where the regressor is 1; no entry
        without a free linewidth.
    linewidth_model : "free", "fixed" or "none"
    timecourse : array (n_transients, n_metabolites)
        Amplitude of each metabolite in each transient by the shared shapes: model + projected
        residual; SE of one such value in `timecourse_se` (n_metabolites,).
    fqn : float
        Variance of what the model leaves of the differences between transients over that of the
        noise.
    gain_percent : float
        SD of the gain of single transients.
    kept : bool array (n_given,)
        Of the transients that were given: `corrupted` cuts the others. The time course has a row
        for each that was kept.
    shift_hz, phase_deg : arrays (n_given,)
        What was taken off each transient; zero unless free.
    average : FitResult
        Fit of the mean of all transients, where the joint fit started.
    stop_reason : str
    plateaus : Plateaus or None
        Changes under other shapes of the response, where these were asked for.
    """

    names: tuple[str, ...]
    baseline_amplitude: np.ndarray
    baseline_se: np.ndarray
    contrasts: tuple[str, ...]
    change_percent: np.ndarray
    change_se_percent: np.ndarray
    change_covariance: np.ndarray
    narrowing_hz: np.ndarray
    narrowing_se_hz: np.ndarray
    linewidth_model: str
    timecourse: np.ndarray
    timecourse_se: np.ndarray
    fqn: float
    gain_percent: float
    kept: np.ndarray
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    average: FitResult
    stop_reason: str
    plateaus: Plateaus | None = None

    def to_table(self) -> list[dict]:
        """Rows of the joint table: a contrast and a metabolite or sum each."""
        return [
            {
                "metabolite": name,
                "baseline_amplitude": float(self.baseline_amplitude[k]),
                "se": float(self.baseline_se[k]),
                "contrast": contrast,
                "change_percent": float(self.change_percent[c, k]),
                "change_se_percent": float(self.change_se_percent[c, k]),
                "linewidth_model": self.linewidth_model,
            }
            for c, contrast in enumerate(self.contrasts)
            for k, name in enumerate(self.names)
        ]

    def arrays(self, transients: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays for a file; `transients` are the numbers of those that were given."""
        kept = ("change_percent", "change_covariance", "baseline_amplitude")
        return {
            "names": np.array(self.names),
            "contrasts": np.array(self.contrasts),
            **{name: getattr(self, name) for name in kept},
            "transients": transients[self.kept],
            "timecourse": self.timecourse,
            "timecourse_se": self.timecourse_se,
            **({} if self.plateaus is None else self.plateaus.arrays()),
        }

    def summary(self) -> dict:
        """What the record of the fit says of it."""
        free = len(self.narrowing_hz) > 0
        return {
            "linewidth_model": self.linewidth_model,
            "bold_narrowing_hz": float(self.narrowing_hz[0]) if free else None,
            "bold_narrowing_se_hz": float(self.narrowing_se_hz[0]) if free else None,
            "fqn": self.fqn,
            "gain_percent": self.gain_percent,
            "kept_share": float(self.kept.mean()),
            "stop_reason": self.stop_reason,
        }


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the signals' amplitudes.

    Attributes
    ----------
    columns, signals : int arrays (n,)
        Column of the design and signal of each.
    values, covariance : arrays (n,), (n, n)
    """

    columns: np.ndarray
    signals: np.ndarray
    values: np.ndarray
    covariance: np.ndarray


def percent_changes(singles: tuple[str, ...], design: Design, coefficients: Coefficients):
    """Baseline amplitudes and percent changes of metabolites and sums, with their covariance."""
    groups = [(name, (name,)) for name in singles]
    groups += sums_of(singles).items()
    columns, signals = coefficients.columns, coefficients.signals
    values, inner = coefficients.values, coefficients.covariance

    member = np.array([[name in parts for name in singles] for _, parts in groups], float)

    def pick(weights: np.ndarray) -> np.ndarray:
        """Matrix (n_groups, n_coefficients) that sums the coefficients of weighed columns."""
        return member[:, signals] * weights[columns]

    base_pick = pick(np.array([name == CONSTANT for name in design.names], float))
    base = base_pick @ values
    base_se = np.sqrt(np.einsum("gi,ij,gj->g", base_pick, inner, base_pick))
    changes, spreads = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in design.reported.values():
            task_pick = pick(weights)
            there = task_pick.any(axis=1) & (base > 0)
            ratio = np.where(there, (task_pick @ values) / base, np.nan)
            # First order: d(b/a) = (db - (b/a) da) / a.
            gradient = 100 * (task_pick - ratio[:, None] * base_pick) / base[:, None]
            changes.append(100 * ratio)
            spreads.append(gradient @ inner @ gradient.T)
    return tuple(g for g, _ in groups), base, base_se, np.array(changes), np.array(spreads)
