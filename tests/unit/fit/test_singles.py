"""Means of conditions and blocks from one model of all transients, against known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.fit.design import Timing
from fmrsflow.fit.directions import SHAPES, TURNS
from fmrsflow.fit.means import Means
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients
from fmrsflow.fit.scan_means import means_of_scan, plain_designs, series_of_scan
from fmrsflow.fit.singles import singles

LABELS = (["rest"] * 8 + ["task"] * 8) * 2
BOX = np.array([label == "task" for label in LABELS], float)
OPTIONS = FitOptions()


@pytest.fixture(scope="module")
def scan(clean, basis, truth, noisy):
    """Function of (responses in percent by name, narrowing in Hz, SNR or None, seed, gain)."""

    def make(narrowing=0.2, snr=None, seed=0, gain=0.0, **responses) -> Fids:
        amplitudes = np.tile(truth, (len(BOX), 1))
        for name, change in responses.items():
            amplitudes[:, basis.names.index(name)] *= 1 + change / 100 * BOX
        fids = replace(clean, data=(amplitudes @ basis.fids)[:, None])
        fids = fids.broadened(3.0 - narrowing * BOX, 4.0)
        fids = fids.with_data(fids.transients * (1 + np.atleast_1d(gain))[:, None])
        return fids if snr is None else noisy(len(BOX), snr, seed, fids)

    return make


def transients(fids: Fids, kept=None, labels=LABELS) -> Transients:
    kept = np.ones(len(labels), bool) if kept is None else kept
    return Transients(fids, tuple(labels), kept, kept.astype(float), 2.0 * np.arange(len(labels)))


def means(given: Transients, basis, **options):
    options = FitOptions(**options)
    plain = plain_designs(given.labels, Timing.of_labels(given.labels, given.time_s), options)
    series = series_of_scan(given, basis, options, plain)
    return means_of_scan(given, series, Timing.of_labels(given.labels, given.time_s), options)


def change(found: Means, name: str) -> float:
    """Of the second group against the first, percent."""
    rest, task = found.amplitudes()[:2, found.names.index(name)]
    return 100 * (task - rest) / rest


def test_noise_free_changes_return_whoever_responds(scan, basis):
    """Macromolecules too, under a narrowing; without matching it reads as a change."""
    found = means(transients(scan(Glu=3.0, MM20=2.0, MM09=-1.0)), basis)
    assert found.conditions == ("rest", "task")
    for name, expected in {"Glu": 3.0, "MM20": 2.0, "MM09": -1.0, "tCr": 0.0, "tNAA": 0.0}.items():
        assert change(found.matched, name) == pytest.approx(expected, abs=0.1), name
    assert change(found.unmatched, "tCr") > 0.5
    blocks = found.blocks
    assert found.block_conditions == ("rest", "task", "rest", "task")
    np.testing.assert_allclose(found.block_time_s, [7.0, 23.0, 39.0, 55.0])
    relative = blocks.amplitudes()[:, blocks.names.index("Glu")]
    np.testing.assert_allclose(relative[1] / relative[0], 1.03, atol=1e-3)
    np.testing.assert_allclose(relative[2:], relative[:2], rtol=1e-3)


def test_amplitudes_are_least_squares_of_every_transient(scan, basis):
    """On the rows as they are, with a column for each direction of each transient."""
    given = transients(scan(narrowing=0.0, snr=40.0, seed=3))
    designs = plain_designs(given.labels, Timing.of_labels(given.labels, given.time_s), OPTIONS)
    series = series_of_scan(given, basis, OPTIONS, designs)
    own = [one.matrix[series.kept] for one in designs]
    _, plain = singles(series, *own)
    mean, own = series.mean, series.mean.directions
    told = [own.model.names[a] for a in own.active]
    free = [k for k, name in enumerate(told) if name != "-CrCH2"]
    base = own.flat[[*free, *(len(own.rows) + p for p in TURNS)]]
    expected = np.linalg.lstsq(base.T, series.rows.T, rcond=None)[0][: len(free)].T
    names = [plain.names.index(told[k]) for k in free]
    np.testing.assert_allclose(plain.values[:, names], mean.scale * expected, rtol=1e-4, atol=1e-4)
    # Their scatter over the transients is the noise that they are said to have.
    ratio = plain.values[:, names].std(axis=0, ddof=1) / np.sqrt(np.diag(plain.noise)[names])
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.15)


def test_gain_moves_amplitudes_as_it_is_said_to(scan, basis):
    """A gain that differs between conditions is that share of every amplitude, macromolecules in
    it, and no more than that of the baseline's part."""
    found = means(transients(scan(narrowing=0.0, gain=0.01 * BOX)), basis).matched
    for name in ("Glu", "NAA", "tCr", "MM20"):
        k = found.names.index(name)
        moved = found.values[1, k] - found.values[0, k]
        assert moved == pytest.approx(0.01 * found.gain[k], rel=0.02), name
        assert found.gain[k] == pytest.approx(found.level[k], rel=0.02), name


def test_errors_are_the_scatter_of_repeated_scans(scan, basis):
    """Gain of 3 % that runs on, 60 scans (which know an SD to 9 %): of the difference between two
    conditions and of that between two blocks."""
    index = np.arange(len(BOX))
    root = 0.03 * np.linalg.cholesky(0.8 ** np.abs(index[:, None] - index))
    found = []
    for seed in range(60):
        gain = root @ np.random.default_rng((1, seed)).standard_normal(len(BOX))
        one = means(transients(scan(snr=40.0, seed=seed, gain=gain, narrowing=0.0)), basis)
        for name in ("Glu", "tCr"):
            for groups, pair in ((one.matched, (0, 1)), (one.blocks, (1, 2))):
                k, pick = groups.names.index(name), np.zeros(len(groups.counts))
                pick[list(pair)] = -1, 1
                variance = pick @ groups.covariance(name) @ pick
                found.append((pick @ groups.values[:, k], np.sqrt(variance)))
    values, errors = np.moveaxis(np.reshape(found, (60, 4, 2)), 2, 0)
    ratio = values.std(axis=0, ddof=1) / np.sqrt(np.mean(errors**2, axis=0))
    np.testing.assert_allclose(ratio, 1.0, atol=0.27)


def test_without_gain_the_error_is_that_of_the_noise(scan, basis):
    found = means(transients(scan(snr=40.0, seed=9)), basis).matched
    k = found.names.index("Glu")
    white = found.noise[k, k] * (1 / found.counts - 1 / found.counts.sum())
    assert found.errors()[:, k] == pytest.approx(np.sqrt(white), rel=0.15)


def test_rejected_and_corrupted_transients_take_no_part(scan, basis):
    fids, kept = scan(snr=40.0, seed=4, Glu=3.0), np.ones(len(BOX), bool)
    kept[[2, 9]] = False
    data = fids.transients.copy()
    data[~kept] += 1e3
    data[20] *= 0.7
    found = means(transients(fids.with_data(data), kept), basis)
    assert found.matched.counts.sum() <= len(BOX) - 3
    np.testing.assert_array_equal(found.blocks.counts[:2], [7, 7])


def test_one_condition_has_blocks_and_no_conditions_to_compare(scan, basis):
    given = transients(scan(narrowing=0.0, snr=40.0), labels=["all"] * len(BOX))
    found = means(given, basis, timecourse_transients=8)
    assert found.conditions == ("all",) and len(found.blocks.counts) == 4
    assert np.isfinite(found.blocks.values[:, found.blocks.names.index("Glu")]).all()


@pytest.mark.parametrize("n", [2, 3])
def test_a_few_transients_are_compared_without_a_gain(scan, basis, n):
    """Rows that are averages of a condition each: nothing can be said of a scatter."""
    rows = np.linspace(4, len(BOX) - 5, n).astype(int)
    labels = [LABELS[j] for j in rows]
    found = means(transients(scan(snr=100.0).select(rows), labels=labels), basis)
    assert not found.blocks.gain_covariance.any()
    assert np.isfinite(found.blocks.errors()[:, found.blocks.names.index("Glu")]).all()


def test_widths_are_projected_out_of_what_is_matched(scan, basis):
    """A width of each transient of its own moves no amplitude that is matched."""
    rng = np.random.default_rng(6)
    wobble = 0.3 * rng.standard_normal(len(BOX))
    fids = scan(narrowing=0.0)
    found = means(transients(fids.broadened(0.5 + wobble - wobble.min(), 0.0)), basis,
                  timecourse_transients=1)  # fmt: skip
    k = found.blocks.names.index("tCr")
    assert len(SHAPES) == 2
    assert np.abs(found.blocks.values[:, k] / found.blocks.level[k]).max() < 0.003


def test_means_survive_their_file(scan, basis):
    found = means(transients(scan(snr=40.0)), basis)
    again = Means.from_arrays(found.arrays(), "blocks")
    assert again.names == found.blocks.names
    np.testing.assert_array_equal(again.covariance("Glu", "tCr"),
                                  found.blocks.covariance("Glu", "tCr"))  # fmt: skip
