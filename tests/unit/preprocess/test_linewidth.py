"""Linewidth matching: known narrowing, with and without a true change of glutamate."""

import numpy as np
import pytest

from fmrsflow.preprocess.linewidth import match_linewidths, relative_widths


def rest_and_task(sim, narrowing_hz, glu, snr, seed, frequency_mhz=123.2):
    shape = {"frequency_mhz": frequency_mhz, "dwell_s": 2.5e-4, "n_points": 4096}
    rest = sim.clean(**shape)
    task = sim.clean(lorentz=3.0 - narrowing_hz, glu=glu, **shape)
    rng = np.random.default_rng(seed)
    data = np.concatenate([rest.transients, task.transients])
    return rest.with_data(data + sim.noise(rng, data.shape, sim.noise_of(rest, snr)))


# BOLD at 3T and at 7T (Wilson, Finney & Clarke 2026); a change of Glu larger than any published.
@pytest.mark.parametrize("narrowing, frequency_mhz", [(0.2, 123.2), (0.46, 297.2), (0.0, 123.2)])
@pytest.mark.parametrize("glu", [1.0, 1.1])
def test_a_known_narrowing_is_found_without_bias(sim, narrowing, frequency_mhz, glu):
    found, said = [], []
    for seed in range(60):
        fids = rest_and_task(sim, narrowing, glu, 100, seed, frequency_mhz)
        matching = match_linewidths(fids, ("rest", "task"), (1, 1))[1]
        found.append(matching.width_hz[0] - matching.width_hz[1])
        said.append(matching.added_se_hz.max())
    error = np.std(found, ddof=1)
    # The bias, known to 1/sqrt(60), is less than half of one scan's standard error.
    assert np.mean(found) == pytest.approx(narrowing, abs=(0.4 + 1 / np.sqrt(60)) * error)
    # The stated error is the spread: its SE over 60 is 9 %.
    assert np.mean(said) == pytest.approx(error, rel=0.3)


def test_the_narrower_condition_is_broadened_to_the_other(sim):
    fids = rest_and_task(sim, 0.5, 1.0, 1e6, 0)
    matched, matching = match_linewidths(fids, ("rest", "task"), (1, 1))
    assert matching.added_hz == pytest.approx([0, 0.5], abs=2e-3)
    assert np.array_equal(matched.data[0], fids.data[0])
    # The two now differ by nothing but noise.
    difference = np.abs(matched.transients[1] - matched.transients[0]).max()
    assert difference < 0.01 * np.abs(fids.transients[1] - fids.transients[0]).max()


def test_three_conditions_are_matched_to_the_broadest(sim):
    widths = (3.0, 2.6, 3.3)
    data = np.concatenate([sim.clean(lorentz=w).transients for w in widths])
    _, matching = match_linewidths(sim.clean().with_data(data), ("a", "b", "c"), (2, 1, 1))
    assert matching.added_hz == pytest.approx([0.3, 0.7, 0.0], abs=2e-3)
    assert matching.added_se_hz[2] == 0


def test_one_condition_stays_as_it_is(sim):
    clean = sim.clean()
    matched, matching = match_linewidths(clean, ("rest",), (1,))
    assert matched is clean and matching.added_hz.tolist() == [0.0]


def test_widths_of_single_transients_are_measured(sim):
    clean = sim.clean()
    true = np.linspace(-1.5, 2.5, 9)
    rng = np.random.default_rng(0)
    data = clean.with_data(np.repeat(clean.transients, 9, axis=0)).broadened(true).transients
    fids = clean.with_data(data + sim.noise(rng, data.shape, sim.noise_of(clean, 50)))
    found = relative_widths(fids.shifted(0.7), clean.transients[0])
    assert np.all(np.abs(found.width_hz - true) < 4 * found.se_hz)
    assert np.all(np.abs(found.shift_hz - 0.7) < 4 * found.se_hz)
    assert np.all(found.se_hz < 0.3)
