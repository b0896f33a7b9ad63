"""Results of a fit: amplitudes with covariance, parameters, curves, quality, tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.model import Model
from fmrsflow.metabolites import SUMS, with_sums
from fmrsflow.quality import voigt_fwhm

PAIRS = (("Glu", "Gln"), ("NAA", "NAAG"), ("Cr", "PCr"))
"""Pairs whose correlation is reported."""

MIN_TCR = 4.0
"""tCr amplitude in standard errors below which a spectrum counts as empty."""

MAX_PHASE_RAD = np.deg2rad(110.0)
"""Zero-order phase beyond which a spectrum counts as inverted."""

MAX_BASELINE = 5.0
"""Largest baseline, relative to the largest metabolite signal, under which a fit is believed."""

MAX_MISFIT = 0.5
"""Share of the signal's energy (baseline taken off) that may be left unexplained beyond noise."""


@dataclass(frozen=True)
class FitResult:
    """Fit of one spectrum; where `status` is "failed" the numbers are NaN.

    Attributes
    ----------
    status : "ok" or "failed"
    reason : str or None
    names : tuple of str
    amplitudes : array (n_names,)
        Per molecule, on the scale of the FID.
    covariance : array (n_names, n_names)
        Under noise: their scatter over repeated measurements, nonlinear parameters and baseline
        counted (`covariances`).
    model_covariance : array (n_names, n_names)
        What priors leave open, and the spread among reasonable models (`average.fit_average`).
    n_models : int
    smoothness : float
        Of the baseline.
    parameters, parameters_se : dict
        Nonlinear parameters (Hz, rad; `gauss_hz2` is the square of the Gaussian FWHM).
    ppm : array (n_points,)
    data, fit, baseline, residual : complex arrays (n_points,)
        In the range of the fit, phased by the fit.
    metabolites : complex array (n_names, n_points)
    fqn, mrar_percent : float
        See docs/science.md#quality.
    fitted_fwhm_tcr_hz, fitted_snr_tcr : float
        Width and height over noise of the fitted tCr line.
    noise_sd, residual_sd : float
        Of the real part of the spectrum: in the signal-free window, and of the residual.
    baseline_dimension_per_ppm : float
        Effective dimension of the baseline.
    stop_reason : str
    """

    status: str
    reason: str | None
    names: tuple[str, ...]
    amplitudes: np.ndarray
    covariance: np.ndarray
    parameters: dict[str, float]
    parameters_se: dict[str, float]
    ppm: np.ndarray
    data: np.ndarray
    fit: np.ndarray
    baseline: np.ndarray
    residual: np.ndarray
    metabolites: np.ndarray
    fqn: float
    mrar_percent: float
    fitted_fwhm_tcr_hz: float
    fitted_snr_tcr: float
    noise_sd: float
    residual_sd: float
    baseline_dimension_per_ppm: float
    stop_reason: str
    model_covariance: np.ndarray
    n_models: int = 1
    smoothness: float = float("nan")
    limit_shift: np.ndarray | None = None

    def with_sums(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Names, amplitudes and covariance with tNAA, tCr, tCho and Glx after the metabolites."""
        return with_sums(self.names, self.amplitudes, self.covariance)

    def total_with_sums(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """As `with_sums`, with the covariance of noise and model together."""
        return with_sums(self.names, self.amplitudes, self.covariance + self.model_covariance)

    def correlation(self, one: str, other: str) -> float:
        """Correlation of two amplitudes; NaN where one is not in the basis."""
        if one not in self.names or other not in self.names:
            return float("nan")
        i, j = self.names.index(one), self.names.index(other)
        spread = np.sqrt(self.covariance[i, i] * self.covariance[j, j])
        return float(self.covariance[i, j] / spread) if spread > 0 else float("nan")

    def to_table(self, spectrum: str) -> list[dict]:
        """Rows of the amplitude table."""
        names, amplitudes, covariance = self.with_sums()
        errors = np.sqrt(np.diag(covariance))
        models = np.sqrt(np.diag(with_sums(self.names, self.amplitudes, self.model_covariance)[2]))
        return [
            {
                "spectrum": spectrum,
                "metabolite": name,
                "amplitude": float(a),
                "se": float(se),
                "se_percent": float(100 * se / a) if a > 0 else None,
                "model_sd": float(sd),
            }
            for name, a, se, sd in zip(names, amplitudes, errors, models)
        ]


def failed_result(
    model: Model, reason: str, spectrum: np.ndarray | None = None, stop: str = ""
) -> FitResult:
    """A result without numbers."""
    k, n = len(model.names), len(model.ppm)
    nan, curve = float("nan"), np.full(n, complex(np.nan, np.nan))
    return FitResult(
        status="failed",
        reason=reason,
        names=model.names,
        amplitudes=np.full(k, nan),
        covariance=np.full((k, k), nan),
        parameters={name: nan for name in model.parameters},
        parameters_se={name: nan for name in model.parameters},
        ppm=model.ppm,
        data=curve if spectrum is None else spectrum,
        fit=curve,
        baseline=curve,
        residual=curve,
        metabolites=np.full((k, n), complex(np.nan, np.nan)),
        fqn=nan,
        mrar_percent=nan,
        fitted_fwhm_tcr_hz=nan,
        fitted_snr_tcr=nan,
        noise_sd=nan,
        residual_sd=nan,
        baseline_dimension_per_ppm=nan,
        stop_reason=stop or "not started",
        model_covariance=np.full((k, k), nan),
    )


@dataclass(frozen=True)
class Solution:
    """The end of a search (`solve.search`).

    Attributes
    ----------
    model, target, state
    stop : str
        Why the search stopped.
    slopes : pair of arrays
        Products of the model's derivatives with each other and with the signals (`solve.tangents`).
    told, scatter : arrays (n, n)
        What the data tell of amplitudes and parameters, as information, and the covariance that
        noise of variance one gives their gradient.
    """

    model: Model
    target: object
    state: object
    stop: str
    slopes: tuple[np.ndarray, np.ndarray]
    told: np.ndarray
    scatter: np.ndarray


def make_result(end: Solution, data) -> FitResult:
    """Result of a finished search for `data` (a `solve.Spectrum`), or a failed one where its
    numbers cannot be trusted."""
    spectrum, scale, noise = data.whole, data.scale, data.noise
    model, target, state, stop = end.model, end.target, end.state, end.stop
    k = len(model.names)
    covariance, prior = covariances(end, noise / scale)
    shown = spectrum * np.conj(model.phase(state.theta))
    columns = np.empty((k, len(shown)), complex)
    scaled = scale * state.amplitudes[:, None]
    columns.real, columns.imag = scaled * state.rows[:k, 0], scaled * state.rows[:k, 1]
    signal = columns.sum(axis=0)
    rest = shown - signal
    parts = np.stack([rest.real, rest.imag])
    fitted = model.baseline.fitted(parts, target.smoothness)
    baseline = fitted[0] + 1j * fitted[1]
    residual = rest - baseline
    whole = signal + baseline
    residual_sd = float(np.sqrt(np.mean(np.abs(residual) ** 2) / 2))
    height, fwhm = tcr_line(model, state)
    state.theta[0] = np.angle(np.exp(1j * state.theta[0]))
    hidden = float(np.abs(baseline).max() / np.abs(signal).max()) if signal.any() else np.inf
    reason = _why_not(model, state, covariance, hidden, noise, residual_sd)
    if reason:
        return failed_result(model, reason, spectrum, stop)
    # Rounding can leave the variance of a parameter without effect negative: not estimated.
    variances = np.diag(covariance)[k:]
    errors = np.sqrt(np.where(variances >= 0, variances, np.nan))
    return FitResult(
        status="ok",
        reason=None,
        names=model.names,
        amplitudes=scale * state.amplitudes,
        covariance=scale**2 * covariance[:k, :k],
        parameters=dict(zip(model.parameters, (float(x) for x in state.theta))),
        parameters_se=dict(zip(model.parameters, (float(x) for x in errors))),
        ppm=model.ppm,
        data=shown,
        fit=whole,
        baseline=baseline,
        residual=residual,
        metabolites=columns,
        fqn=float((residual_sd / noise) ** 2) if noise > 0 else float("inf"),
        mrar_percent=float(100 * np.std(residual.real) / np.ptp(whole.real)),
        fitted_fwhm_tcr_hz=fwhm,
        fitted_snr_tcr=float(scale * height / noise) if noise > 0 else float("inf"),
        noise_sd=noise,
        residual_sd=residual_sd,
        baseline_dimension_per_ppm=model.baseline.effective_dimension(target.smoothness)
        / float(np.ptp(model.ppm)),
        stop_reason=stop,
        model_covariance=scale**2 * prior[:k, :k],
        smoothness=target.smoothness,
    )


def covariances(end: Solution, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of amplitudes and nonlinear parameters under noise of SD `noise`, and what the
    priors leave open beside it.

    With A the information of the penalised problem (priors, soft ratios, smooth baseline), M that
    of the data in it and C what noise makes of its gradient: A^-1 C A^-1 noise^2 is the scatter
    over repeated measurements (docs/science.md#errors), A^-1 (A - M) A^-1 times the residual's
    variance that of the bias where shifts, ratios and baselines are draws of their priors (their
    sum is the posterior covariance: Wahba 1983, doi:10.1111/j.2517-6161.1983.tb01239.x). Rows of
    parameters that may not move, and under noise of weights of a free lineshape at their limit, are
    zero; amplitudes at their limit of zero count as free.
    """
    inverse, variance = inverse_information(end), end.target.variance
    sampling = noise**2 * inverse @ end.scatter @ inverse
    # That data did not ask for another line than Voigt's does not say that theirs is one.
    any_line = inverse_information(end, any_line=True)
    return sampling, variance * (any_line - inverse @ end.told @ inverse)


def inverse_information(end: Solution, any_line: bool = False) -> np.ndarray:
    """A^-1 of `covariances`: by amplitudes and nonlinear parameters, (n, n); `any_line`: weights of
    a free lineshape at their limit count as free too."""
    model, state, variance = end.model, end.state, end.target.variance
    k = len(model.names)
    own, cross = end.slopes
    prior = np.diag(variance / model.prior_sd**2)
    information = np.block([[state.information, cross[:, :k].T], [cross[:, :k], own + prior]])
    kernel = np.array([name.startswith("kernel:") for name in model.parameters])
    held = model.upper <= model.lower
    if not any_line:
        held |= kernel & (state.theta <= model.lower + 1e-6)
    movable = np.concatenate([np.ones(k, bool), ~held])
    inside = np.ix_(movable, movable)
    inverse = np.zeros_like(information)
    inverse[inside] = inverted(information[inside])
    return inverse


def inverted(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive matrix (n, n) whose rows may have units far apart.

    Raises
    ------
    LinAlgError
        It is singular.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    return np.linalg.inv(matrix * np.outer(scale, scale)) * np.outer(scale, scale)


def tcr_line(model: Model, state) -> tuple[float, float]:
    """Height and full width (Hz) of the fitted tCr line, of the zero-filled model spectrum."""
    rows = [model.names.index(name) for name in SUMS["tCr"] if name in model.names]
    ppm, spectrum = model.band.finer(state.amplitudes[rows] @ state.damped[rows], 4)
    spectrum, hertz = spectrum.real, ppm * model.frequency_mhz
    near = np.flatnonzero((ppm > 2.8) & (ppm < 3.25))
    peak = near[np.argmax(spectrum[near])] if len(near) else 0
    half = spectrum[peak] / 2
    if not half > 0:
        return 0.0, float("nan")
    right = peak + int(np.argmax(spectrum[peak:] < half))
    left = peak - int(np.argmax(spectrum[peak::-1] < half))
    up = np.interp(half, spectrum[[right, right - 1]], hertz[[right, right - 1]])
    down = np.interp(half, spectrum[[left, left + 1]], hertz[[left, left + 1]])
    return float(2 * half), float(up - down)


def _why_not(model, state, covariance, hidden, noise, residual_sd) -> str | None:
    """Reason why a solution is not to be believed; None where it is."""
    k = len(model.names)
    sums = np.array([name in SUMS["tCr"] for name in model.names], float)
    tcr = float(sums @ state.amplitudes)
    # Of data without noise rounding may leave a variance below zero.
    error = float(np.sqrt(max(0.0, sums @ covariance[:k, :k] @ sums)))
    if not tcr > MIN_TCR * error:
        return (
            f"no creatine found: tCr is {tcr / error if error > 0 else 0:.1f} standard errors "
            f"from zero, the limit is {MIN_TCR:g}"
        )
    if hidden > MAX_BASELINE:
        return (
            f"the baseline is {hidden:.0f} times as high as the metabolites (limit "
            f"{MAX_BASELINE:g}): residual water or lipid hides them"
        )
    phase = float(state.theta[0])
    if abs(phase) > MAX_PHASE_RAD:
        return (
            f"the spectrum stands at a phase of {np.rad2deg(phase):.0f} degrees (limit "
            f"{np.rad2deg(MAX_PHASE_RAD):.0f}): it is inverted, or its lines are not where the "
            "basis has them; check the phase, the sign convention and the centre of the axis"
        )
    if state.theta[2] <= model.lower[2] or state.theta[2] >= model.upper[2]:
        return (
            f"the frequency shift ran into its limit of {model.upper[2]:.1f} Hz: the spectrum is "
            "not where the basis expects it"
        )
    width = voigt_fwhm(state.theta[3], float(np.sqrt(state.theta[4])))
    if state.theta[3] >= model.upper[3] or state.theta[4] >= model.upper[4]:
        return f"the linewidth ran into its limit ({width:.0f} Hz): no resolved metabolite lines"
    unexplained = state.misfit / float(state.gram[k, k])
    if unexplained > MAX_MISFIT and residual_sd > 2 * noise:
        return (
            f"the model leaves {100 * unexplained:.0f} % of the signal unexplained, "
            f"{residual_sd / noise if noise > 0 else np.inf:.1f} times the noise"
        )
    return None
