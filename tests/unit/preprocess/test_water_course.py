"""Water over a scan: lines of known width, amplitude and eddy current at known times."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.preprocess.scan import combined
from fmrsflow.preprocess.timing import Timing
from fmrsflow.preprocess.water_course import t2star_s, water_course
from fmrsflow.water_reference import like_the_others

EACH, GROUPS, TWO = 16, 6, 2
"""Transients between two groups of water, groups, water transients a group."""

PLACES = np.concatenate([np.arange(TWO) + g * (EACH + TWO) for g in range(GROUPS)])
TIMING = Timing.of(EACH * GROUPS, 1, 2.0, PLACES)
ALL = np.ones(GROUPS * TWO, bool)
SIZE = 1 + 0.01 * np.array([0, 1, -1, 2, 0, -2])
WIDTH_HZ = 8.0 - 0.4 * (np.arange(GROUPS) % 2)
CURRENT = np.array([2.0, 3.0, 4.0, 5.0, 6.0, 7.0])


def eddy(time: np.ndarray, size: float) -> np.ndarray:
    return size * (1 - np.exp(-time / 0.04))


@pytest.fixture(scope="module")
def water() -> Fids:
    """Lorentzian water in groups, each with its own drift in frequency and phase."""
    time = np.arange(2048) * 4e-4
    rng = np.random.default_rng(11)
    data = []
    for g in range(GROUPS):
        turn = 2j * np.pi * g * 0.3 * time + 1j * eddy(time, CURRENT[g]) + 0.2j * g
        fid = 5e4 * SIZE[g] * np.exp(-np.pi * WIDTH_HZ[g] * time + turn)
        noise = rng.normal(size=(TWO, 2048, 2)).view(complex)[..., 0]
        data += list(fid + noise)
    return Fids(np.array(data)[:, None], 4e-4, 123.2)


def test_amplitude_width_and_t2star_are_those_of_the_lines(water):
    course = water_course(water, TIMING, ALL)
    rows = course.rows(2.0, ["rest", "task"] * (GROUPS // 2))
    assert [row["time_s"] for row in rows[:2]] == [1.0, 37.0]
    truth = 100 * SIZE / SIZE.mean()
    for j, row in enumerate(rows):
        assert row["n_transients"] == TWO
        # A polynomial followed back to t = 0 under noise of its told size; 0.02 for chance of six.
        assert abs(row["amplitude_percent"] - truth[j]) < 4 * row["se_percent"] + 0.02
        # The line is read off a raster that was filled with zeros eight times.
        assert row["linewidth_hz"] == pytest.approx(WIDTH_HZ[j], abs=0.05)
        assert row["t2star_ms"] == pytest.approx(1e3 / (np.pi * WIDTH_HZ[j]), rel=0.002)


def test_frequency_of_the_groups_is_told(water):
    time = water.time_s
    still = [np.exp(-1j * eddy(time, one)) for one in np.repeat(CURRENT, TWO)]
    course = water_course(water.with_data(water.transients * still), TIMING, ALL)
    assert np.allclose(course.shift_hz, 0.3 * (np.arange(GROUPS) - (GROUPS - 1) / 2), atol=2e-3)


def test_a_line_that_does_not_decay_has_no_t2star():
    fid = Fids(np.ones((1, 1, 512), complex), 4e-4, 123.2)
    assert np.isnan(t2star_s(fid))


def test_each_transient_gets_the_eddy_currents_of_its_time(water, sim):
    clean = sim.clean()
    time = clean.time_s
    before = np.repeat(np.arange(GROUPS), EACH)
    turned = clean.transients * np.exp(1j * np.array([eddy(time, CURRENT[g]) for g in before]))
    scan = clean.with_data(turned)
    course = water_course(water, TIMING, ALL)
    near = course.nearest(TIMING.scan_at)
    assert (near == before).mean() > 0.5
    found = combined(scan, water, True, TIMING)
    # What is left of the phase, after a shift and a constant that alignment takes off.
    used = slice(0, 250)
    for row, group, truth in zip(found.fids.transients, near, before):
        left = np.unwrap(np.angle(row[used] / clean.transients[0, used]))
        left -= np.polyval(np.polyfit(time[used], left, 1), time[used])
        if group == truth:
            assert np.abs(left).max() < 0.02
    one = combined(scan, water, True)
    left = np.unwrap(np.angle(one.fids.transients[0, used] / clean.transients[0, used]))
    left -= np.polyval(np.polyfit(time[used], left, 1), time[used])
    assert np.abs(left).max() > 0.1  # the mean of the water knows no time


def test_scaling_takes_the_receiver_off(water, sim):
    course = water_course(water, TIMING, ALL)
    gain = np.interp(TIMING.scan_at, course.at, SIZE / SIZE.mean())
    clean = sim.clean()
    scan = clean.with_data(clean.transients * gain[:, None])
    scaled = combined(scan, water, False, TIMING, scale=True).fids
    size = np.abs(scaled.transients[:, 0]) / np.abs(clean.transients[0, 0])
    assert np.abs(size - 1).max() < 5e-4
    plain = combined(scan, water, False, TIMING).fids
    assert np.array_equal(plain.data, scan.data)


@pytest.mark.parametrize("left", [0.0, 1.0])
@pytest.mark.parametrize("scale", [False, True])
def test_a_group_without_water_is_left_out(water, sim, left, scale):
    """Empty, or noise alone; neither the mean water nor the other groups know of it."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(TWO, 2048, 2)).view(complex)[..., 0]
    data = np.array(water.transients)
    data[2 * TWO : 3 * TWO] = left * noise
    scan = sim.clean().select([0] * (EACH * GROUPS))
    others = combined(scan, water.select(np.repeat(np.arange(GROUPS), TWO) != 2))
    found = combined(scan, water.with_data(data), True, TIMING, scale)
    assert found.unlike == TWO and found.course.number.tolist() == [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found.reference.data, others.reference.data)
    rows = found.course.rows(2.0, list("abcdef"))
    assert [row["condition"] for row in rows] == list("abdef")
    assert [row["group"] for row in rows] == [0, 1, 3, 4, 5]
    assert np.isfinite(found.fids.data).all()


@pytest.mark.parametrize("scale", [1.0, 1e-29, 1e30])
def test_a_weak_transient_of_a_plain_reference_does_not_lower_the_water(water, sim, scale):
    """Whatever its size, also in single precision."""
    small = water.with_data((scale * water.data).astype(np.complex64))
    assert like_the_others(small).all()
    data = np.array(water.transients)
    data[3] *= 0.3
    found = combined(sim.clean(), water.with_data(data))
    rest = combined(sim.clean(), water.select(np.arange(GROUPS * TWO) != 3))
    assert found.unlike == 1
    np.testing.assert_allclose(found.reference.data, rest.reference.data)
