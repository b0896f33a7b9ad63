"""The error of macromolecules of another source, against fits of spectra that hold such ones."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.basis.simulate import broad_fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.broad import GROUPED
from fmrsflow.fit.model import Kind, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import fitted_again, prepared, search, solution
from fmrsflow.fit.unlike import (
    FWHM_PPM,
    SHARE,
    STEP_PPM,
    area_sd,
    unlike_covariance,
    unlike_lines,
)
from fmrsflow.metabolites import mixing, with_sums
from fmrsflow.synthetic.foreign_lines import lines_of

MAIN = ("tNAA", "tCr", "tCho", "Glu", "mI")
ALL_FREE = FitOptions(
    baseline_smoothness="fixed", lineshape="voigt", exclude=("Lip09", "Lip13", "Lip20", "-CrCH2")
)
"""Without what the spectra lack: a signal held at zero is told as if it were free."""


def density(ppm, lines) -> np.ndarray:
    """Protons per ppm of Gaussian lines."""
    found = np.zeros(len(ppm))
    for centre, fwhm, protons in lines:
        sd = fwhm / np.sqrt(8 * np.log(2))
        found += protons * np.exp(-0.5 * ((ppm - centre) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    return found


def test_lines_drawn_with_their_sd_make_the_density_that_sources_differ_by():
    ppm, places = np.linspace(0.6, 4.2, 500), np.arange(0.0, 4.8, STEP_PPM)
    usual = density(ppm, [line for parts in GROUPED.lines.values() for line in parts])
    each = np.array([density(ppm, [(place, FWHM_PPM, area_sd())]) for place in places])
    draws = np.random.default_rng(2).standard_normal((300, len(places))) @ each
    ratio = np.sqrt(np.mean(np.square(draws)) / np.mean(usual**2))
    assert ratio == pytest.approx(SHARE, rel=0.03)  # 300 draws of some 20 independent places


@pytest.mark.parametrize("table", ["challenge", "inversion", "tubingen"])
def test_published_spectra_differ_by_what_is_told(table):
    """Each from the fit's own lines, with the level that fits best."""
    ppm = np.linspace(0.7, 4.0, 500)
    usual = density(ppm, [line for parts in GROUPED.lines.values() for line in parts])
    other = density(ppm, lines_of(table))
    level = (other @ usual) / (usual @ usual)
    off = np.sqrt(np.mean((other - level * usual) ** 2) / np.mean((level * usual) ** 2))
    assert 0.8 * SHARE < off < 1.2 * SHARE


@pytest.mark.parametrize("ppm", [1.95, 3.0, 3.25, 3.7])
def test_the_change_of_a_fit_is_the_one_that_is_foreseen(noisy, basis, ppm):
    """A line below a main one, small enough that the fit answers linearly."""
    fids = noisy(1, 500.0, 4)
    model = make_model(fids, Kind(basis), ALL_FREE)
    data = prepared(model, fids)
    state, target, stop = search(model, ALL_FREE, data)
    end = solution(model, data, state, target, stop)
    assert state.passive.all()
    places = np.arange(0.6, 4.2, STEP_PPM)
    one = int(np.argmin(np.abs(places - ppm)))
    covariance = unlike_covariance(end, unlike_lines(model, fids)[[one]], data.scale)
    names, _, covariance = with_sums(model.names, state.amplitudes, covariance)
    rows = [names.index(name) for name in MAIN]
    told = np.sqrt(np.diag(covariance))[rows]
    moved = []
    for sign in (1, -1):
        size = sign * 0.05 * area_sd() * 4.0  # macromolecules of `TRUTH`: 4 of each group, +- 10 %
        more = broad_fids(
            {"": ((places[one], FWHM_PPM, size),)}, fids.frequency_mhz, fids.n_points, fids.dwell_s
        )
        there = fids.with_data(fids.data + fids.with_data(more[None]).broadened(3.0, 4.0).data)
        again = prepared(model, there)
        other, *_ = fitted_again(model, again, target.smoothness, state.theta)
        values = mixing(model.names)[1] @ (again.scale * other.amplitudes)
        moved.append(values[rows])
    change = np.abs(moved[0] - moved[1]) / 0.1
    # The level of the macromolecules is fitted; what changes least changes in the second order.
    assert change == pytest.approx(told, rel=0.1, abs=0.05 * told.max())


def test_no_lines_of_the_fit_no_such_error(noisy, basis):
    """Of macromolecules that a basis brings nothing is known."""
    fids = noisy(1, 60.0, 1)
    own, theirs = (
        fit_average(fids, basis, FitOptions(macromolecules=kind, models="average"))[0]
        for kind in ("auto", "basis")
    )
    k, other = own.names.index("NAA"), theirs.names.index("NAA")
    assert theirs.model_covariance[other, other] < own.model_covariance[k, k]
