"""General linear model of BOLD series: nuisance space, fit, contrasts (nilearn's models)."""

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
    dof : float
        Degrees of freedom of the variance.
    """

    effect: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    dof: float


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
            float(len(self.design) - self.design.shape[1]),
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


def z_of(effect: np.ndarray, variance: np.ndarray, dof: float) -> np.ndarray:
    """Estimates over their errors as normal deviates; 0 where there is no variance, NaN for NaN."""
    from nilearn.glm.contrasts import Contrast as NilearnContrast

    flat = np.ravel(effect)[None]
    found = NilearnContrast(flat, np.ravel(variance), dim=1, dof=dof, stat_type="t")
    return found.z_score().reshape(np.shape(effect))


def fit(data: np.ndarray, design: np.ndarray, noise_model: str = "ar1") -> Glm:
    """Fit a design to series.

    Parameters
    ----------
    data : array (n_scans, n_series)
    design : array (n_scans, n_columns)
    noise_model : {"ar1", "ols"}
        Autoregression of first order, estimated for each series, or independent noise.

    Notes
    -----
    Residuals of a design of many columns are less autocorrelated than the noise. nilearn's
    `run_glm` takes their autocorrelation as it is, and z values come out too large (SD 1.11 where
    a FIR design takes a third of 270 volumes); here it is corrected first (Worsley 2002).
    """
    from nilearn.glm.regression import ARModel, OLSModel

    ordinary = OLSModel(design).fit(data)
    if noise_model == "ols":
        return Glm(design, np.zeros(data.shape[1]), {0.0: ordinary})
    if noise_model != "ar1":
        raise ValueError(f"noise_model {noise_model!r} is neither ar1 nor ols")
    labels = np.round(_autocorrelation(ordinary.residuals, design), 2)
    del ordinary
    results = {
        float(one): ARModel(design, float(one)).fit(data[:, labels == one])
        for one in np.unique(labels)
    }
    return Glm(design, labels, results)


def _autocorrelation(residuals: np.ndarray, design: np.ndarray) -> np.ndarray:
    """First-order autocorrelation of the noise of each series, from residuals of a design.

    The expected ratio of the residuals' autocovariances of lag 1 and 0 is computed for AR(1) noise
    of any coefficient, and inverted.
    """
    n = len(design)
    left, strength, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, strength > 1e-10 * strength[0]]
    forming = np.eye(n) - basis @ basis.T
    shifted = forming[:-1].T @ forming[1:]
    lags = np.arange(n)
    # Sums along diagonals: the trace of a product with a Toeplitz matrix needs no more.
    zero, one = (
        np.array([np.trace(m, k) + (np.trace(m, -k) if k else 0) for k in lags])
        for m in (forming, shifted)
    )
    grid = np.linspace(-0.5, 0.95, 146)
    powers = grid[:, None] ** lags
    expected = (powers @ one) / (powers @ zero)
    # Beyond the largest ratio that the design lets through, the noise cannot be known.
    rising = np.maximum.accumulate(expected)
    found = np.einsum("ij,ij->j", residuals[:-1], residuals[1:]) / np.maximum(
        np.einsum("ij,ij->j", residuals, residuals), 1e-300
    )
    return np.interp(found, rising, grid)


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
