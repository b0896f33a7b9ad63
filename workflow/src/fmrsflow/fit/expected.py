"""Error that a percent change will have, before there are data (docs/science.md#expected-error).

The covariance of the joint fit follows from the directions of its mean, the design, the noise and
the gain of the transients. Of a signal whose parameters are known the directions need no search,
and where noise and gain are known no transient is needed either: what is left is the inverse of the
Fisher information of all that the joint fit estimates (Cramer-Rao bound), widths, drifts and gain
as it has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.change import Coefficients, percent_changes
from fmrsflow.fit.design import CONSTANT, Design, check_courses
from fmrsflow.fit.directions import TURNS, Directions, directions_of
from fmrsflow.fit.gain import NONE, Gain
from fmrsflow.fit.joint import columns_of, signals_of
from fmrsflow.fit.linear import solve
from fmrsflow.fit.model import Kind, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import evaluate, make_target
from fmrsflow.noise import NoiseShape


def known_directions(
    basis: Basis,
    amplitudes: Mapping[str, float],
    lorentz_hz: float,
    gauss_hz: float,
    options: FitOptions | None = None,
) -> Directions:
    """Directions of the joint fit round a mean that is known.

    Parameters
    ----------
    basis : Basis
        On the axes of the scan.
    amplitudes : mapping of str to float
        Of the signals of the basis; those left out are absent and get no direction.
    lorentz_hz, gauss_hz : float
        FWHM of the two parts of the line.
    """
    options = options or FitOptions()
    known = np.array([amplitudes.get(name, 0.0) for name in basis.names])
    axes = Fids(
        (known @ basis.fids)[None, None], basis.dwell_s, basis.frequency_mhz, basis.te_s, None
    )
    model = make_model(axes, Kind(basis), options).voigt
    theta = np.zeros(len(model.parameters))
    theta[3:5] = lorentz_hz, gauss_hz**2
    spectrum = model.band.spectra(axes.broadened(lorentz_hz, gauss_hz))[0]
    # Priors pull the mean alone: no variance enters the directions.
    target = make_target(model, spectrum, 1.0, model.smoothness, None)
    own = np.array([amplitudes.get(name, 0.0) for name in model.names])
    state = replace(evaluate(model, target, theta), amplitudes=own, passive=own > 0)
    white = NoiseShape(np.ones(model.band.n_used), True)
    found = directions_of(model, target, state, white)
    return found.without(TURNS) if options.joint_alignment == "free" else found


def expected_errors(
    directions: Directions,
    noise_sd: float,
    design: Design,
    linewidth: Design | None,
    gain: Gain = NONE,
    options: FitOptions | None = None,
) -> dict[str, dict[str, float]]:
    """Standard error of each percent change where none is true, in percent.

    Parameters
    ----------
    directions : Directions
        From `known_directions`.
    noise_sd : float
        Of the real (and of the imaginary) part of a point of the FID of one transient.
    design, linewidth : Design
        As in `fit_joint`, a row a transient.
    gain : Gain
        SD of the gain of single transients, and its correlation from one to the next.

    Returns
    -------
    dict
        Contrast -> metabolite or sum -> standard error; NaN where it may not respond or is absent.

    Raises
    ------
    DataError
        Regressors that no transient samples, or that depend on each other.
    """
    options = options or FitOptions()
    check_courses(design, linewidth, None)
    model = directions.model
    broad = options.joint_macromolecules == "free"
    respond = signals_of(model, design, options.joint_respond, broad)
    columns = columns_of(directions, design, linewidth, None, respond)
    still = np.zeros((len(design.matrix), len(directions.rows)))
    # The spectrum's first point is halved: n - 3/4 points' worth of noise.
    variance = noise_sd**2 * (model.band.n_used - 0.75)
    found = solve(columns, directions, still, variance, (gain,))
    # Where nothing changes, the error of the level is of second order in that of its change.
    active, inner = directions.active, columns.direction < len(directions.active)
    others = np.array([j for j, name in enumerate(design.names) if name != CONSTANT])
    spread = np.zeros((len(active) + inner.sum(),) * 2)
    spread[len(active) :, len(active) :] = found.covariance[np.ix_(inner, inner)]
    coefficients = Coefficients(
        columns=np.r_[
            np.full(len(active), design.names.index(CONSTANT)), others[columns.course[inner]]
        ],
        signals=np.r_[active, active[columns.direction[inner]]],
        values=np.r_[directions.state.amplitudes[active], np.zeros(inner.sum())],
        covariance=spread,
    )
    names, _, _, _, spreads = percent_changes(model.names, design, coefficients)
    return {
        contrast: dict(zip(names, np.sqrt(np.diag(one)).tolist()))
        for contrast, one in zip(design.reported, spreads)
    }
