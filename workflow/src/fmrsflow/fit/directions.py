"""What may differ between the transients of a scan: directions in which the spectrum of their mean
can move.

A transient is the mean, moved a little: in amplitudes, width, phase, frequency, gain. To first
order each is a fixed spectrum times a number, so that all that a model of the transients needs of
the data are the products of each transient with these spectra, and of these with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.fit.coloured import coloured_products
from fmrsflow.fit.model import GAUSS, Model
from fmrsflow.fit.solve import State, Target
from fmrsflow.noise import NoiseShape

LORENTZ, GAUSS2, PHASE, SHIFT, GAIN = -5, -4, -3, -2, -1
"""Places of the last directions: widths (Hz, Hz^2), phase (rad), frequency (Hz), relative gain."""

SHAPES = (LORENTZ, GAUSS2)
"""Directions of the width."""

MOST = 3.0
"""Largest exponent by which a change of width raises or lowers a signal at any time."""

TURNS = (PHASE, SHIFT)
"""Directions of what alignment takes off."""


@dataclass(frozen=True)
class Directions:
    """Directions at the fit of a mean.

    Attributes
    ----------
    model, state
        The fit of the mean.
    active : int array (n_active,)
        Signals with a direction: those that the mean holds. One at its limit of zero has none.
    rows : array (n_active + 5, 2, n_points)
        Spectra by amplitude of each of these, and the five that stand last, real and imaginary
        part. Phase and gain take the baseline with them.
    gram, scatter : arrays (n_active + 5, n_active + 5)
        Their products with each other, and the covariance that noise of variance one gives the
        products of them with a spectrum.
    white : bool
        The noise is white: `scatter` is a multiple of `gram`.
    """

    model: Model
    state: State
    active: np.ndarray
    rows: np.ndarray
    gram: np.ndarray
    scatter: np.ndarray
    white: bool

    @property
    def flat(self) -> np.ndarray:
        """Rows with both parts side by side, (n_active + 5, 2 n_points)."""
        return self.rows.reshape(len(self.rows), -1)

    def without(self, parts: tuple[int, ...]) -> Directions:
        """The same with some of them (negative places) projected out of all others; they
        themselves become zero."""
        taken = self.flat[list(parts)]
        share = np.linalg.solve(taken @ taken.T, taken @ self.flat.T)
        share[:, list(parts)] = np.eye(len(parts))
        turn = np.eye(len(self.rows))
        turn[:, list(parts)] -= share.T
        rows = (turn @ self.flat).reshape(self.rows.shape)
        rows[list(parts)] = 0.0
        gram, scatter = (turn @ one @ turn.T for one in (self.gram, self.scatter))
        return replace(self, rows=rows, gram=gram, scatter=scatter)

    def phased(self, spectra: np.ndarray) -> np.ndarray:
        """Complex spectra (n, n_points) in the phased frame of the mean, (n, 2 n_points)."""
        turned = spectra * np.conj(self.model.phase(self.state.theta))
        return np.concatenate([turned.real, turned.imag], axis=1)

    def moved(self, change: np.ndarray) -> np.ndarray:
        """How far transients are from the mean under changes (n, n_active + 5) of amplitudes and
        widths, not to first order only, (n, 2 n_points)."""
        time_s = self.model.time_s
        amplitudes = np.zeros((len(change), len(self.model.names)))
        amplitudes[:, self.active] = self.state.amplitudes[self.active]
        mean = self._spectra(amplitudes[:1])
        amplitudes[:, self.active] += change[:, : len(self.active)]
        decay = np.outer(change[:, LORENTZ], np.pi * time_s)
        decay += np.outer(change[:, GAUSS2], GAUSS * time_s**2)
        # Noise alone can tell a width that is below zero: signals may not grow without limit.
        return self._spectra(amplitudes, np.exp(-np.clip(decay, -MOST, MOST))) - mean

    def _spectra(self, amplitudes: np.ndarray, shape: np.ndarray | float = 1.0) -> np.ndarray:
        damped = np.ascontiguousarray(self.state.damped)
        signals = (amplitudes @ damped.view(float)).view(complex) * shape
        return self.model.spectrum(signals).reshape(len(amplitudes), -1)


def directions_of(model: Model, target: Target, state: State, shape: NoiseShape) -> Directions:
    """The directions at the end of a search for the mean, under noise of this shape."""
    k = len(model.names)
    active = np.flatnonzero(state.passive & (state.amplitudes > 0))
    fitted = np.tensordot(state.amplitudes, state.rows[:k], 1)
    whole = fitted + model.baseline.fitted(state.rows[k] - fitted, target.smoothness)
    turned = np.stack([-whole[1], whole[0]])
    inner = model.tangent_fids(state.theta, state.damped, state.amplitudes)[:3]
    shift, lorentz, gauss2 = model.spectrum(inner)
    rows = np.concatenate([state.rows[active], [lorentz, gauss2, turned, shift, whole]])
    flat = rows.reshape(len(rows), -1)
    gram = flat @ flat.T
    scatter = model.band.oversampling * gram
    if not shape.white:
        scatter = coloured_products(shape, model.band, rows)
    return Directions(model, state, active, rows, gram, scatter, shape.white)
