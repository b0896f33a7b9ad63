"""Result of the joint fit, and percent changes with their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.design import CONSTANT
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
    change_percent, change_se_percent : arrays (n_contrasts, n_names)
        100 coefficient / baseline amplitude; NaN where the metabolite may not respond or is
        absent.
    change_covariance : array (n_contrasts, n_names, n_names)
        Of the percent changes, percent squared.
    narrowing_hz, narrowing_se_hz : arrays (n_linewidth_columns,)
        Lines are narrower by so much where the regressor is 1; no entry without a free linewidth.
    linewidth_model : "free", "fixed" or "none"
    timecourse : array (n_transients, n_metabolites)
        Amplitude of each metabolite in each transient by the shared shapes: model + projected
        residual; SE of one such value in `timecourse_se` (n_metabolites,).
    fqn : float
        Residual over noise variance, all transients.
    shift_hz, phase_deg : arrays (n_transients,)
        What was taken off each transient; zero unless free.
    average : FitResult
        Fit of the mean of all transients, where the joint fit started.
    stop_reason : str
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
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    average: FitResult
    stop_reason: str

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
        """Arrays for a file; `transients` are the numbers of those that were fitted."""
        kept = ("change_percent", "change_covariance", "baseline_amplitude")
        return {
            "names": np.array(self.names),
            "contrasts": np.array(self.contrasts),
            **{name: getattr(self, name) for name in kept},
            "transients": transients,
            "timecourse": self.timecourse,
            "timecourse_se": self.timecourse_se,
        }

    def summary(self) -> dict:
        """What the record of the fit says of it."""
        free = len(self.narrowing_hz) > 0
        return {
            "linewidth_model": self.linewidth_model,
            "bold_narrowing_hz": float(self.narrowing_hz[0]) if free else None,
            "bold_narrowing_se_hz": float(self.narrowing_se_hz[0]) if free else None,
            "fqn": self.fqn,
            "stop_reason": self.stop_reason,
        }


def percent_changes(model, design, state, columns, signals, covariance):
    """Baseline amplitudes and percent changes of metabolites and sums, with their covariance."""
    groups = [(name, (name,)) for name in model.names]
    groups += sums_of(model.names).items()
    constant = design.names.index(CONSTANT)
    k = len(signals)
    inner = covariance[:k, :k]

    def pick(column: int) -> np.ndarray:
        """Matrix (n_groups, n_coefficients) that sums a column's coefficients."""
        return np.array(
            [
                [float(c == column and model.names[s] in parts) for c, s in zip(columns, signals)]
                for _, parts in groups
            ]
        ).reshape(len(groups), k)

    values = state.coefficients[columns, signals]
    base_pick = pick(constant)
    base = base_pick @ values
    base_se = np.sqrt(np.einsum("gi,ij,gj->g", base_pick, inner, base_pick))
    changes, spreads = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for contrast in design.contrasts:
            task_pick = pick(design.names.index(contrast))
            there = task_pick.any(axis=1) & (base > 0)
            ratio = np.where(there, (task_pick @ values) / base, np.nan)
            # First order: d(b/a) = (db - (b/a) da) / a.
            gradient = 100 * (task_pick - ratio[:, None] * base_pick) / base[:, None]
            changes.append(100 * ratio)
            spreads.append(gradient @ inner @ gradient.T)
    return tuple(g for g, _ in groups), base, base_se, np.array(changes), np.array(spreads)
