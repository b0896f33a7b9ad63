"""General linear model of BOLD series: nuisance space, fit, contrasts (nilearn's `run_glm`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HIGH_PASS_HZ = 1 / 128


@dataclass(frozen=True)
class Contrast:
    """A linear combination of parameters in each series.

    Attributes
    ----------
    effect, variance, z : arrays (n_series,)
        Estimate in the unit of the data, its variance, and the t value as a normal deviate.
    """

    effect: np.ndarray
    variance: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Glm:
    """A fitted model; `labels` and `results` are nilearn's."""

    design: np.ndarray
    labels: np.ndarray
    results: dict

    def contrast(self, weights) -> Contrast:
        """Effect of `weights` (n_columns,); columns left out at the end weigh nothing."""
        from nilearn.glm.contrasts import compute_contrast

        full = np.zeros(self.design.shape[1])
        full[: len(weights)] = weights
        found = compute_contrast(self.labels, self.results, full, stat_type="t")
        return Contrast(
            np.ravel(found.effect_size()),
            np.ravel(found.effect_variance()),
            np.ravel(found.z_score()),
        )

    def parameters(self, columns: slice) -> np.ndarray:
        """Estimates of some columns, (n_columns, n_series)."""
        return self._gather(lambda result: result.theta[columns])

    def residuals(self) -> np.ndarray:
        """Residuals over their standard deviation, whitened where the noise model whitens;
        float32 (n_scans, n_series)."""
        return self._gather(
            lambda result: (
                result.whitened_residuals / np.sqrt(np.maximum(result.dispersion, 1e-300))
            ).astype(np.float32)
        )

    def _gather(self, part) -> np.ndarray:
        gathered = None
        for label, result in self.results.items():
            one = part(result)
            if gathered is None:
                gathered = np.empty((one.shape[0], len(self.labels)), one.dtype)
            gathered[:, self.labels == label] = one
        return gathered


def fit(data: np.ndarray, design: np.ndarray, noise_model: str = "ar1") -> Glm:
    """Fit a design to series.

    Parameters
    ----------
    data : array (n_scans, n_series)
    design : array (n_scans, n_columns)
    noise_model : {"ar1", "ols"}
        Autoregression of first order, estimated for each series, or independent noise.
    """
    from nilearn.glm.first_level import run_glm

    labels, results = run_glm(data, design, noise_model=noise_model, n_jobs=1)
    return Glm(design, labels, results)


def nuisance(
    n_scans: int,
    tr_s: float,
    confounds: np.ndarray | None = None,
    high_pass_hz: float = HIGH_PASS_HZ,
) -> np.ndarray:
    """Orthonormal columns that span the constant, slow cosines and the confounds.

    Cosines are the discrete cosine set below `high_pass_hz`. Dependent confounds (a constant one,
    a copy) cost no degree of freedom.

    Returns
    -------
    array (n_scans, n_columns), the first column constant
    """
    time = (np.arange(n_scans) + 0.5) / n_scans
    n_cosines = int(np.floor(2 * n_scans * tr_s * high_pass_hz))
    parts = [np.cos(np.pi * k * time)[:, None] for k in range(1, n_cosines + 1)]
    if confounds is not None and confounds.size:
        centred = confounds - confounds.mean(axis=0)
        spread = centred.std(axis=0)
        parts.append(centred[:, spread > 0] / spread[spread > 0])
    constant = np.full((n_scans, 1), n_scans**-0.5)
    if not parts:
        return constant
    columns = np.hstack(parts)
    columns -= constant @ (constant.T @ columns)
    left, strength, _ = np.linalg.svd(columns, full_matrices=False)
    return np.hstack([constant, left[:, strength > 1e-8 * strength[0]]])


def residualised(data: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Data (n_scans, ...) without their part in an orthonormal basis (n_scans, n_columns)."""
    return data - basis @ (basis.T @ data)
