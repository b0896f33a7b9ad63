"""What macromolecules of another source would do to the amplitudes of a fit.

Published spectra of macromolecules differ between laboratories beyond what the soft ratios between
groups of lines let a fit follow, and their structure under the main lines is read as the lines'
tails. To let the fit follow it costs more than it gains (a line every 0.06 ppm: half the bias,
twice the scatter over persons: docs/measured.md), so the lines stay and their error is told: a
smooth difference of the size that sources have is carried through the fit to first order
(docs/science.md#model-error).
"""

from __future__ import annotations

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.fit.broad import GROUPED
from fmrsflow.fit.model import Model, lines_in_band
from fmrsflow.fit.result import Solution, inverse_information
from fmrsflow.fit.solve import Tangents, in_columns

RANGE_PPM = (0.6, 4.2)
"""Where macromolecules stand."""

SHARE = 0.25
"""SD of the difference of two sources' proton densities from their mean, relative to the root mean
square density: five published spectra are 0.20-0.28 off `GROUPED`, the overall level taken off, and
0.27-0.33 off each other where laboratories differ (docs/science.md#model-error)."""

FWHM_PPM = 0.14
"""Of independent lines whose sum is correlated as these differences are: by one half at 0.1 ppm."""

STEP_PPM = 0.07


def unlike_lines(model: Model, fids: Fids) -> np.ndarray:
    """Lines that such a difference is made of, in the range of a model of spectra like `fids`, each
    with the area of one SD where MM09 has three protons; complex (n_lines, n_time)."""
    low, high = max(RANGE_PPM[0], model.ppm[0]), min(RANGE_PPM[1], model.ppm[-1])
    places = np.arange(low, high, STEP_PPM)
    lines = [((float(ppm), FWHM_PPM, area_sd()),) for ppm in places]
    return np.array(list(lines_in_band(fids, model.band, lines).values()))


def area_sd() -> float:
    """SD of the area of a line, in protons where MM09 has three."""
    ppm = np.linspace(*RANGE_PPM, 1000)
    density = np.sum([_density(ppm, *line) for line in _lines()], axis=0)
    # Sum over lines of their squared densities.
    spread = np.sqrt(2 * np.log(2) / np.pi) / (FWHM_PPM * STEP_PPM)
    return float(SHARE * np.sqrt(np.mean(density**2) / spread))


def _lines() -> list[tuple[float, float, float]]:
    return [line for parts in GROUPED.lines.values() for line in parts]


def _density(ppm: np.ndarray, centre: float, fwhm: float, protons: float) -> np.ndarray:
    """Of a Gaussian line, protons per ppm."""
    height = 2 * np.sqrt(np.log(2) / np.pi) / fwhm
    return protons * height * np.exp(-4 * np.log(2) * ((ppm - centre) / fwhm) ** 2)


def unlike_covariance(end: Solution, lines: np.ndarray, scale: float) -> np.ndarray:
    """Covariance of the amplitudes of a fit under such differences.

    Parameters
    ----------
    end : Solution
        Of a model with lines of macromolecules (`MM09` among them).
    lines : array, of `unlike_lines`
    scale : float
        Of the data (`solve.Spectrum.scale`).

    Returns
    -------
    array (n_names, n_names)
        P P' with P = A^-1 J'(I - H) D: the change of the penalised least squares solution (A, J, H:
        `result.covariances`) per difference D.
    """
    model, state = end.model, end.state
    k = len(model.names)
    slopes = Tangents.of(model, state)
    # They stand under the shim and at the place of the other macromolecules.
    rows = model.spectrum(lines * model.lineshapes(state.theta)[1])
    own = np.concatenate([state.rows[:k], slopes.rows]).reshape(k + len(slopes.rows), -1)
    inside = np.concatenate([state.inside[:k], slopes.inside]) * end.target.shares
    seen = own @ rows.reshape(len(rows), -1).T - inside @ in_columns(model, rows).T
    moved = inverse_information(end)[:k, : len(seen)] @ seen
    return (scale * _level(model, state.amplitudes)) ** 2 * (moved @ moved.T)


def _level(model: Model, amplitudes: np.ndarray) -> float:
    """Amplitude of the macromolecules where MM09 has three protons: of MM09 and all that are tied
    to it, of which no single one is as well known."""
    at = model.names.index("MM09")
    tied = [tied for tied, (_, other, *_) in zip(model.ratio_rows[1], model.ratios) if other == at]
    return float(tied[0] @ amplitudes if tied else amplitudes[at])
