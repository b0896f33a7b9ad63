"""Transients of a scan round the fit of their mean.

What transients differ by is a linear problem in the directions of the fit of their mean
(`directions`); this makes that fit, cuts the transients that stand out, aligns the others where
that is free, and keeps what every model of the differences needs of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.coloured import cut_alike
from fmrsflow.fit.corrupted import PARTS, conspicuous
from fmrsflow.fit.directions import GAIN, TURNS, Directions, directions_of
from fmrsflow.fit.model import Kind, Model, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, make_result
from fmrsflow.fit.solve import fitted_again, prepared, search, solution
from fmrsflow.noise import NoiseShape, noise_shape
from fmrsflow.quality import noise_sd

ROUNDS = 6
ALIGNED_HZ, ALIGNED_RAD = 0.05, 0.01
"""Most fits of the mean while transients are cut and aligned, and the scatter of frequency and
phase below which they are aligned: the solve follows to first order what is left."""


@dataclass(frozen=True)
class Mean:
    """Fit of the mean of some transients.

    scale : the mean was divided by it; stop : why the search stopped; smoothness : of the baseline.
    """

    scale: float
    stop: str
    result: FitResult
    directions: Directions
    smoothness: float


@dataclass(frozen=True)
class Series:
    """Transients that take part, and the fit of their mean.

    kept : bool array (n_transients,); shift_hz, phase_deg : arrays (n_transients,), taken off;
    places : int array (n_kept,), in the order of acquisition;
    rows : (n_kept, 2 n_points), less their mean, in the unit and phase of the mean's fit;
    directions : those of the fit, phase and frequency projected out where these are free; variance,
    of the noise that the transients show outside of them; noise : SD of a transient's spectrum in
    the window, in the unit of the FIDs.
    """

    mean: Mean
    kept: np.ndarray
    places: np.ndarray
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    rows: np.ndarray
    directions: Directions
    aligned: bool
    variance: float
    noise: float


def of_transients(
    fids: Fids,
    basis: Basis,
    courses: np.ndarray,
    options: FitOptions,
    places: np.ndarray | None = None,
) -> Series:
    """`make_series` of transients under the model that a basis makes."""
    fids, basis = cut_alike(fids, basis)
    return make_series(make_model(fids, Kind(basis), options), fids, courses, options, places)


def make_series(
    model: Model,
    fids: Fids,
    courses: np.ndarray,
    options: FitOptions,
    places: np.ndarray | None = None,
) -> Series:
    """Fit the mean; cut what is conspicuous beside the courses of the model, align where that is
    free, and fit again until both stand. `places` of the transients in the order of acquisition;
    by default without gaps.

    Raises
    ------
    DataError
        One transient, or a mean that cannot be fitted.
    """
    if fids.n_transients < 2:
        raise DataError("one transient alone has nothing to be compared with")
    aligned = options.joint_alignment == "free"
    shape = noise_shape(model.band.used(fids))
    mean = _mean_fit(model, options, fids.mean(), shape, None)
    n = fids.n_transients
    kept, taken = np.ones(n, bool), np.zeros((n, 2))
    moved = fids
    for _ in range(ROUNDS):
        spectra = mean.directions.phased(model.band.spectra(moved) / mean.scale)
        rows = spectra - spectra[kept].mean(axis=0)
        cut, turns = conspicuous(mean.directions, rows, courses, kept, taken)
        off = aligned and _scatter(mean.directions, rows[~cut], turns[~cut])
        if np.array_equal(cut, ~kept) and not off:
            break
        kept = ~cut
        if aligned:
            taken += turns - turns[kept].mean(axis=0)
            moved = _turned_back(fids, taken)
        mean = _mean_fit(model, options, moved.select(kept).mean(), shape, mean)
    rows = mean.directions.phased(model.band.spectra(moved.select(kept)) / mean.scale)
    rows -= rows.mean(axis=0)
    directions = mean.directions.without(TURNS) if aligned else mean.directions
    return Series(
        mean=mean,
        kept=kept,
        places=(np.arange(n) if places is None else np.asarray(places))[kept],
        shift_hz=taken[:, 1],
        phase_deg=np.rad2deg(taken[:, 0]),
        rows=rows,
        directions=directions,
        aligned=aligned,
        variance=_noise_outside(mean.directions, rows),
        noise=float(np.sqrt(np.mean(noise_sd(model.band.used(fids.select(kept))) ** 2))),
    )


def _scatter(directions: Directions, rows: np.ndarray, turns: np.ndarray) -> bool:
    """Whether phase (rad) and frequency (Hz) of the transients, `turns` (n, 2), scatter by more
    than their noise."""
    base = directions.flat[list(PARTS)]
    noise = _noise_outside(directions, rows - rows.mean(axis=0))
    noise *= directions.model.band.oversampling
    known = noise * np.diag(np.linalg.inv(base @ base.T))[1:3]
    least = np.array([ALIGNED_RAD, ALIGNED_HZ]) ** 2
    return bool(np.any(turns.var(axis=0) > np.maximum(2 * known, least)))


def _turned_back(fids: Fids, turns: np.ndarray) -> Fids:
    """Transients less the phase (rad) and frequency (Hz) of `turns` (n_transients, 2)."""
    back = np.exp(-1j * turns[:, :1] - 2j * np.pi * np.outer(turns[:, 1], fids.time_s))
    return fids.with_data(fids.transients * back)


def _mean_fit(
    model: Model, options: FitOptions, fids: Fids, shape: NoiseShape, before: Mean | None
) -> Mean:
    """Fit of a mean; from that of nearly the same one where there is one."""
    try:
        data = prepared(model, fids)
        if before is None:
            end = search(model, options, data)
        else:
            end = fitted_again(model, data, before.smoothness, before.directions.state.theta)
    except (DataError, LinAlgError) as error:
        raise DataError(f"the average of all transients: {error}") from None
    state, target, stop = end
    result = make_result(solution(model, data, *end), data)
    if result.status == "failed":
        raise DataError(f"the average of all transients: {result.reason}")
    directions = directions_of(model, target, state, shape)
    return Mean(data.scale, stop, result, directions, target.smoothness)


def _noise_outside(directions: Directions, rows: np.ndarray) -> float:
    """Variance of the noise of a spectrum, from what rows (n, 2 n_points) of mean zero hold
    outside of all directions: no scatter of gain, width or frequency is in it, nor what the fit of
    the mean misses."""
    # The gain is the sum of amplitudes, but for the baseline. Two signals may be nearly one.
    size = np.sqrt(np.diag(directions.gram)[:GAIN])
    values, vectors = np.linalg.eigh(directions.gram[:GAIN, :GAIN] / np.outer(size, size))
    there = values > 1e-10 * values[-1]
    turn = (vectors[:, there] / np.sqrt(values[there])).T / size
    inside = np.sum((rows @ (turn @ directions.flat[:GAIN]).T) ** 2)
    taken = np.sum((turn @ directions.scatter[:GAIN, :GAIN]) * turn)
    left = max(float(np.sum(rows**2) - inside), np.finfo(float).eps)
    return left / ((len(rows) - 1) * (rows.shape[1] - taken))
