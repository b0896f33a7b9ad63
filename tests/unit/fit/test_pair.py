"""Scans of a unit in one model against known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.pair import Scaling, fit_unit
from fmrsflow.fit.scan_form import ScanOfUnit
from fmrsflow.fit.tied import BROAD_SD

N = 32
TRUE_GAIN = 1.3


@pytest.fixture(scope="module")
def make(clean, basis, truth, noisy):
    """Function of the changes in percent: a scan whose transients follow a course."""

    def scan(course, glu=0.0, everything=0.0, lorentz=3.0, gauss=4.0, gain=1.0, snr=None, **more):
        amplitudes = np.tile(truth, (len(course), 1))
        metabolites = np.array([not name.startswith("MM") for name in basis.names])
        amplitudes[:, metabolites] *= 1 + everything / 100 * np.asarray(course)[:, None]
        amplitudes[:, basis.names.index("Glu")] *= 1 + glu / 100 * np.asarray(course)
        fids = replace(clean, data=gain * (amplitudes @ basis.fids)[:, None])
        fids = fids.broadened(lorentz, gauss).shifted(more.get("hz", 0.0))
        fids = fids.rotated(more.get("degrees", 0.0))
        if snr is None:
            return fids
        made = noisy(len(course), snr, more.get("seed", 0), replace(fids, data=fids.data / gain))
        return replace(made, data=gain * made.data)

    return scan


def part(fids, basis, courses) -> ScanOfUnit:
    n = fids.n_transients
    courses = np.reshape(courses, (n, -1)).astype(float)
    return ScanOfUnit(fids, basis, courses, np.zeros((n, 0)), np.linspace(-1, 1, n)[:, None])


def two(make, basis, glu=3.0, **more):
    """Rest, and a task scan of another width, phase, frequency and gain."""
    rest = make(np.zeros(N), snr=more.get("snr"), seed=2 * more.get("seed", 0))
    more["seed"] = 2 * more.get("seed", 0) + 1
    own = {"lorentz": 2.6, "gauss": 4.6, "gain": TRUE_GAIN, "hz": 1.5, "degrees": 8.0} | more
    task = make(np.ones(N), glu=glu, **own)
    return [part(rest, basis, np.zeros(N)), part(task, basis, np.ones(N))]


def water(ratio=TRUE_GAIN, sd=0.01):
    return Scaling("water", np.array([1.0, ratio]), np.array([0.0, sd]))


STABLE = Scaling("stable", np.ones(2), np.array([0.0, np.inf]), to_stable=True)


def changes(found, c=0):
    return dict(zip(found.names, found.percent[c]))


@pytest.mark.parametrize("scaling", [water(sd=1e-4), STABLE], ids=["water", "stable"])
def test_noise_free_change_returns_under_both_scalings(make, basis, scaling):
    found = fit_unit(two(make, basis), ("task",)).changes(scaling)
    change = changes(found)
    assert change["Glu"] == pytest.approx(3.0, abs=0.1)
    assert found.gain[1] == pytest.approx(TRUE_GAIN, rel=2e-3)
    for name in ("tCr", "tNAA", "mI"):
        if np.isfinite(change[name]):
            assert change[name] == pytest.approx(0.0, abs=0.1), name
    assert np.isnan(change["-CrCH2"])  # a correction, no substance
    assert np.isnan(change["tCr"]) == scaling.to_stable


def test_a_change_of_all_metabolites_is_seen_by_water_alone(make, basis):
    """Scaled to creatine, NAA and choline a change of all is none, but the gain."""
    unit = fit_unit(two(make, basis, glu=0.0, everything=5.0), ("task",))
    by_water = changes(unit.changes(water(sd=1e-4)))
    assert by_water["tCr"] == pytest.approx(5.0, abs=0.3)
    assert by_water["Glu"] == pytest.approx(5.0, abs=0.3)
    scaled = unit.changes(STABLE)
    assert abs(changes(scaled)["Glu"]) < 1.0
    assert scaled.gain[1] > 1.02 * TRUE_GAIN


def test_widths_of_scans_are_their_own(make, basis):
    """A narrower line in the task scan is no glutamate."""
    narrow = two(make, basis, glu=0.0, lorentz=2.5, gauss=3.6)
    unit = fit_unit(narrow, ("task",))
    assert changes(unit.changes(water(sd=1e-4)))["Glu"] == pytest.approx(0.0, abs=0.1)
    first, second = unit.widths_hz
    assert first - second == pytest.approx(0.68, abs=0.05)  # Olivero & Longbothum's widths


def test_errors_are_the_spread_of_repeated_pairs(make, basis):
    """50 pairs know an SD to 10 %, a mean to 0.14 SD."""
    rng = np.random.default_rng(5)
    found = {"water": [], "stable": []}
    for seed in range(50):
        unit = fit_unit(two(make, basis, snr=30.0, seed=seed), ("task",))
        told = TRUE_GAIN * np.exp(0.01 * rng.standard_normal())
        for one in (unit.changes(water(told)), unit.changes(STABLE)):
            k = one.names.index("Glu")
            found[one.scaling].append((one.percent[0, k], one.covariance[0, k, k] ** 0.5))
    for name, rows in found.items():
        values, errors = np.array(rows).T
        assert 0.75 < values.std(ddof=1) / errors.mean() < 1.25, name
        assert abs(values.mean() - 3.0) < 3 * errors.mean() / np.sqrt(50), name


def test_events_in_one_scan_and_a_baseline_scan_join(make, basis):
    """The scan with events alone knows the change too: together they know it better, and agree."""
    box = np.tile(np.repeat([0.0, 1.0], 4), N // 8)
    rest = make(np.zeros(N), snr=30.0, seed=1)
    active = make(box, glu=4.0, gain=TRUE_GAIN, snr=30.0, seed=2)
    both = fit_unit([part(rest, basis, np.zeros(N)), part(active, basis, box)], ("task",))
    found = both.changes(STABLE)
    k = found.names.index("Glu")
    together = found.covariance[0, k, k] ** 0.5
    quiet = fit_unit(two(make, basis, glu=4.0, snr=30.0, seed=3), ("task",)).changes(STABLE)
    apart = quiet.covariance[0, k, k] ** 0.5
    assert found.percent[0, k] == pytest.approx(4.0, abs=3 * together)
    # Half of the transients that tell of the task, but their baseline is one with its rest's.
    assert together < 1.5 * apart


def test_three_scans_have_two_tasks(make, basis):
    parts = two(make, basis, glu=3.0)
    third = make(np.ones(N), glu=-5.0, lorentz=3.4, degrees=-5.0)
    courses = [np.zeros((N, 2)), np.tile([1.0, 0.0], (N, 1)), np.tile([0.0, 1.0], (N, 1))]
    fids = [parts[0].fids, parts[1].fids, third]
    unit = fit_unit([part(f, basis, c) for f, c in zip(fids, courses)], ("a", "b"))
    found = unit.changes(Scaling("stable", np.ones(3), np.array([0, np.inf, np.inf]), True))
    assert changes(found, 0)["Glu"] == pytest.approx(3.0, abs=0.1)
    assert changes(found, 1)["Glu"] == pytest.approx(-5.0, abs=0.1)
    assert found.gain == pytest.approx([1.0, TRUE_GAIN, 1.0], rel=2e-3)


def test_the_scale_of_fids_and_the_order_of_scans_change_nothing(make, basis):
    parts = two(make, basis, snr=30.0)
    plain = fit_unit(parts, ("task",)).changes(water())
    scaled = [replace(one, fids=one.fids.with_data(1e-6 * one.fids.data)) for one in parts]
    other = fit_unit(scaled, ("task",)).changes(water())
    assert other.percent == pytest.approx(plain.percent, rel=1e-6, nan_ok=True)
    back = fit_unit(parts[::-1], ("task",)).changes(water(1 / TRUE_GAIN))
    k = plain.names.index("Glu")
    error = plain.covariance[0, k, k] ** 0.5
    # The end of the search is known to a thirtieth of a standard error.
    assert back.percent[0, k] == pytest.approx(plain.percent[0, k], abs=0.1 * error)
    assert back.covariance[0, k, k] ** 0.5 == pytest.approx(error, rel=0.05)


def test_only_what_may_respond_does(make, basis):
    parts = two(make, basis, snr=40.0)
    found = fit_unit(parts, ("task",), FitOptions(), ("Glu",)).changes(water())
    change = changes(found)
    assert np.isfinite(change["Glu"]) and np.isnan(change["tNAA"]) and np.isnan(change["mI"])
    with pytest.raises(DataError, match="Xyz, which the basis lacks"):
        fit_unit(parts, ("task",), FitOptions(), ("Xyz",))


def test_one_condition_in_all_scans_is_refused(make, basis):
    same = [part(make(np.ones(N)), basis, np.ones(N)) for _ in range(2)]
    with pytest.raises(DataError, match="do not tell task from rest"):
        fit_unit(same, ("task",))


def test_a_gain_that_nothing_tells_is_refused(make, basis):
    """All metabolites may respond, and macromolecules have a factor of their own."""
    unit = fit_unit(two(make, basis, snr=40.0), ("task",))
    with pytest.raises(DataError, match="nothing is left that tells the gain"):
        unit.changes(Scaling("open", np.ones(2), np.array([0.0, np.inf])))
    assert np.isfinite(changes(unit.changes(STABLE))["Glu"])
    # What is known then is what the scaling says, and that macromolecules vary by so much.
    for sd in (0.1, 1.0, 10.0):
        loose = unit.changes(water(sd=sd))
        k = loose.names.index("tCr")
        known = 100 / np.sqrt(sd**-2 + BROAD_SD**-2)
        assert loose.covariance[0, k, k] ** 0.5 == pytest.approx(known, rel=0.1), sd
    with pytest.raises(DataError, match="did not settle"):
        unit.changes(water(ratio=1e9, sd=1e6))


@pytest.mark.parametrize(
    ("setting", "per_ppm"), [({}, 5.0), ({"baseline_smoothness": "fixed"}, 2.5)]
)
def test_the_baseline_is_as_free_as_it_may_be_or_as_set(make, basis, setting, per_ppm):
    """Whatever cross-validation sees in scans without any."""
    unit = fit_unit(two(make, basis, snr=30.0), ("task",), FitOptions(**setting))
    for part in unit.parts:
        parameters = part.target.shares.sum() / 2  # real and imaginary part
        assert parameters == pytest.approx(per_ppm * np.ptp(part.model.ppm), rel=1e-3)
