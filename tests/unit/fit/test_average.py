"""The mean over models against spectra that none of them, or only some, describe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis.simulate import broad_fids
from fmrsflow.concentration import constants
from fmrsflow.fit.average import FIRST, STIFFNESS, averaged, fit_average
from fmrsflow.fit.broad import LCMODEL, LOW, SETS
from fmrsflow.fit.model import Kind, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import fit_spectra
from fmrsflow.synthetic.normal import natural_widths_hz

MAIN = ("Glu", "Gln", "mI", "NAA", "GSH")


def spectra_with(lines, noisy, basis, truth, snr: float, n: int, seed: int):
    """Noisy spectra whose macromolecules are those of another set, 4 of each group."""
    signals = truth[: basis.names.index("MM09")] @ basis.fids[: basis.names.index("MM09")]
    broad = 4.0 * broad_fids(lines, basis.frequency_mhz, basis.n_points, basis.dwell_s).sum(axis=0)
    source = noisy(1, 1e9, 0)
    source = source.with_data((signals + broad)[None]).broadened(3.0, 4.0)
    return noisy(n, snr, seed, source)


@pytest.mark.parametrize("truth_set", SETS, ids=lambda one: one.name)
def test_the_total_error_holds_whichever_macromolecules_are_true(noisy, basis, truth, truth_set):
    """One of the models is right each time, and no one says which."""
    fids = spectra_with(truth_set.lines, noisy, basis, truth, 60.0, 30, 5)
    held = {name: [] for name in MAIN}
    for one in fit_average(fids, basis):
        names, values, covariance = one.total_with_sums()
        for name in MAIN:
            k = names.index(name)
            wanted = truth[basis.names.index(name)]
            held[name].append(abs(values[k] - wanted) < 1.96 * np.sqrt(covariance[k, k]))
    # 95 % less three standard errors of 30 draws.
    assert min(np.mean(one) for one in held.values()) > 0.83


def test_the_total_error_holds_where_each_metabolite_has_its_t2(noisy, basis, truth, clean):
    """Widths of the constants at 3T (0 to 2.5 Hz beyond the longest T2), where most models have one
    width; they alone take 8 % off Glu."""
    widths = natural_widths_hz(constants("osprey", 3.0), basis.names[: basis.names.index("MM09")])
    decay = np.array([widths.get(name, 0.0) for name in basis.names])
    signals = basis.fids * np.exp(-np.pi * np.outer(decay, clean.time_s))
    source = clean.with_data((truth @ signals)[None, None]).broadened(3.0, 4.0)
    held = {name: [] for name in MAIN}
    for one in fit_average(noisy(20, 60.0, 8, source), basis):
        names, values, covariance = one.total_with_sums()
        for name in MAIN:
            k = names.index(name)
            wanted = truth[basis.names.index(name)]
            held[name].append(abs(values[k] - wanted) < 1.96 * np.sqrt(covariance[k, k]))
    # 95 % less three standard errors of 20 draws.
    assert min(np.mean(one) for one in held.values()) > 0.80


def test_models_that_cannot_describe_a_spectrum_do_not_count(noisy, basis, truth):
    """At a high SNR the residual does tell the sets apart, and the mean goes to the true one."""
    fids = spectra_with(LOW.lines, noisy, basis, truth, 2000.0, 3, 6)
    k = basis.names.index("Glu")
    for one in fit_average(fids, basis):
        assert one.amplitudes[one.names.index("Glu")] == pytest.approx(truth[k], rel=0.03)


def test_a_difference_between_spectra_of_a_scan_holds_no_choice_of_models(noisy, basis, truth):
    """Two equal spectra with other noise differ by the noise alone when one chooses for both."""
    fids = spectra_with(LCMODEL.lines, noisy, basis, truth, 60.0, 40, 7)
    results = fit_average(fids, basis, like=0)
    k = results[0].names.index("Glu")
    values = np.array([one.amplitudes[k] for one in results])
    told = np.mean([np.sqrt(one.covariance[k, k]) for one in results])
    assert values.std(ddof=1) < 1.25 * told  # the SD of 40 is known to 11 %
    assert results[0].model_covariance[k, k] > 0
    assert len({one.n_models for one in results}) == 1


def test_equal_spectra_have_equal_answers(noisy, basis):
    """Also where one takes its stiffness from the other, by its own search."""
    fids = noisy(1, 40.0, 3)
    nearly = fids.with_data(np.concatenate([fids.data, fids.data * (1 + 1e-12)]))
    first, second = fit_average(nearly, basis, like=0)
    np.testing.assert_allclose(second.amplitudes, first.amplitudes, rtol=1e-6)
    assert second.fqn == pytest.approx(first.fqn, rel=1e-6)


def test_one_model_is_one_fit(noisy, basis):
    fids = noisy(1, 40.0, 3)
    options = FitOptions(macromolecules="basis", baseline="polynomial")
    rigid = replace(options, metabolite_shift_sd_ppm=0.0, lineshape="voigt")
    (mean,), (single,) = fit_average(fids, basis, rigid), fit_spectra(fids, basis, rigid)
    np.testing.assert_allclose(mean.amplitudes, single.amplitudes)
    assert mean.n_models == 1
    # Lines that are free are a model more.
    assert fit_average(fids, basis, options)[0].n_models == 2
    assert fit_average(fids, basis)[0].n_models == (len(SETS) + 1) * len(STIFFNESS)


def test_weights_and_spread_are_those_of_the_formula(noisy, basis):
    """Two results by hand: weights exp(-(r - 1) / 0.5), unbiased weighted covariance."""
    (one,) = fit_spectra(noisy(1, 40.0, 3), basis)
    other = replace(one, amplitudes=one.amplitudes + 1.0, residual_sd=one.residual_sd * 1.5**0.5)
    found = averaged({FIRST: one, (1, 1): other}, None)
    weight = np.array([1.0, np.exp(-1.0)])
    weight /= weight.sum()
    np.testing.assert_allclose(found.amplitudes, one.amplitudes + weight[1])
    variance = weight @ np.array([weight[1] ** 2, weight[0] ** 2]) / (1 - weight @ weight)
    spread = found.model_covariance - one.model_covariance
    np.testing.assert_allclose(np.diag(spread), variance)


def test_macromolecules_that_a_basis_brings_keep_its_unit(noisy, basis):
    """A file's MM12 is expected at 0.3 of its MM09 (LCModel), the fit's own group at 1."""
    own = make_model(noisy(1, 40.0, 3), Kind(basis), FitOptions())
    brought = replace(basis, made={**basis.made, "added": []})
    theirs = make_model(noisy(1, 40.0, 3), Kind(brought), FitOptions())
    for model, ratio in ((own, 1.0), (theirs, 0.3)):
        pair = (model.names.index("MM12"), model.names.index("MM09"))
        assert [r for one, other, r, _ in model.ratios if (one, other) == pair] == [ratio]
    assert fit_average(noisy(1, 40.0, 3), brought)[0].n_models == 2 * len(STIFFNESS)
