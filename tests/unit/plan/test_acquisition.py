"""Signal, noise and errors of a protocol."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.concentration import Tissue, constants
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.fit.gain import Gain
from fmrsflow.fit.options import FitOptions
from fmrsflow.plan.acquisition import Protocol, Task, density, expected, noise_sd, snr_of
from fmrsflow.plan.noise import DENSITIES, MEASURED, TISSUE, spread_of, typical
from fmrsflow.preprocess.scan import combined, correct
from fmrsflow.quality import fwhm_tcr, snr_tcr
from fmrsflow.sheets import schema
from fmrsflow.study import Site
from fmrsflow.synthetic import scanner
from fmrsflow.synthetic.ingredients import Lineshape, Noise

STILL = Gain(0.0, 0.0)


def protocol(te_s=0.030, tr_s=2.0, volume_ml=20.0, tissue=TISSUE, fwhm_hz=6.0) -> Protocol:
    """Semi-LASER at 3T."""
    site = Site("site", "Siemens", 3.0, "sLASER", te_s, tr_s, "standardised")
    return Protocol(site, volume_ml, fwhm_hz, tissue)


def error(one: Protocol, task: Task, name: str = "Glu", noise: float = 1.4) -> float:
    """Without a gain, which neither noise nor signal changes."""
    tr_s = one.site.tr_s
    directions = one.directions(FitOptions())
    found = expected(
        directions, noise_sd(one, noise), task.labels(tr_s), task.timing(tr_s), ("hrf",), STILL
    )
    return found.se_percent[name]


def test_snr_is_that_of_the_synthetic_scanner():
    one = protocol()
    scan = scanner.Protocol(
        basis=one.basis(),
        amplitudes=one.amplitudes(),
        n_transients=1,
        tr_s=2.0,
        lineshape=Lineshape(one.part_hz, one.part_hz),
        noise=Noise(snr_of(one, 1.4)),
    )
    made = scanner.simulate(scan, 1).truth.noise_sd
    # The scanner halves the spectrum's first point: 2,047.25 points' worth of noise.
    assert made == pytest.approx(noise_sd(one, 1.4), rel=1e-3)


def test_noise_comes_back_from_its_snr():
    one = protocol()
    assert density(one, snr_of(one, 1.4), 2048 * one.dwell_s) == pytest.approx(1.4)
    # A FID twice as long has the same line and 1.4 times the noise under it.
    assert density(one, 10.0, 1.0) == pytest.approx(math.sqrt(2) * density(one, 10.0, 2.0))


def test_error_falls_with_the_voxel():
    task = Task(96, 32.0, 32.0)
    one = error(protocol(), task)
    assert error(protocol(volume_ml=40.0), task) == pytest.approx(one / 2, rel=1e-9)
    assert error(protocol(), task, noise=2.8) == pytest.approx(2 * one, rel=1e-9)


def test_fluid_in_the_voxel_costs_what_it_takes_of_the_tissue():
    # Halves of the same grey and white matter, the rest fluid: half of the signal.
    whole = protocol(tissue=Tissue(0.6, 0.4, 0.0))
    half = protocol(tissue=Tissue(0.3, 0.2, 0.5))
    task = Task(96, 32.0, 32.0)
    assert error(half, task) == pytest.approx(2 * error(whole, task), rel=1e-9)


@pytest.mark.parametrize("name", ["NAA", "Glu", "mI"])
def test_te_and_tr_weigh_the_signal_by_its_relaxation(name):
    short, late = protocol(), replace(protocol(), site=replace(protocol().site, tr_s=4.0))
    in_gm, in_wm = constants("osprey", 3.0).metabolites[name]
    gm, wm = TISSUE.gm / (TISSUE.gm + TISSUE.wm), TISSUE.wm / (TISSUE.gm + TISSUE.wm)

    def weight(te_s, tr_s):
        """(1 - exp(-TR / T1)) exp(-TE / T2), mean over the tissue."""
        parts = [
            share * (1 - math.exp(-tr_s / t.t1_s)) * math.exp(-te_s / t.t2_s)
            for share, t in ((gm, in_gm), (wm, in_wm))
        ]
        return sum(parts)

    ratio = late.amplitudes()[name] / short.amplitudes()[name]
    assert ratio == pytest.approx(weight(0.030, 4.0) / weight(0.030, 2.0))


def test_blocks_of_a_task():
    task = Task(16, 4.0, 8.0)
    assert task.labels(2.0) == (["rest"] * 4 + ["task"] * 2) * 2 + ["rest"] * 4
    listed = Task(8, events=({"onset": 4.0, "duration": 4.0, "trial_type": "flicker"},))
    assert listed.labels(2.0) == ["rest"] * 2 + ["flicker"] * 2 + ["rest"] * 4


def test_a_scan_without_a_task_and_one_too_short_are_refused():
    one = protocol()
    directions = one.directions(FitOptions())
    for task, why in ((Task(16, 64.0, 64.0), "no event lies within"), (Task(4, 4.0, 4.0), "few")):
        with pytest.raises(DataError, match=why):
            expected(directions, 1.0, task.labels(2.0), task.timing(2.0), ("hrf",))


def test_shapes_are_read_as_the_check_of_a_study_says():
    # docs/science.md#shapes: 64 transients at TR 4 s, blocks of 64 s.
    one = replace(protocol(), site=replace(protocol().site, tr_s=4.0))
    task = Task(64, 64.0, 64.0)
    shapes = ("boxcar", "hrf", "exponential_15s", "exponential_30s")
    directions = one.directions(FitOptions())
    found = expected(directions, 1.0, task.labels(4.0), task.timing(4.0), shapes)
    assert [round(found.reads[shape], 2) for shape in shapes] == [1.0, 0.83, 0.53, 0.27]
    assert found.se_ratio["boxcar"] == 1.0


@pytest.mark.parametrize("place", range(len(MEASURED)))
def test_noise_of_measured_scans_is_that_of_their_snr(place):
    assert MEASURED[place].density() == pytest.approx(DENSITIES[place], rel=2e-3)


def test_typical_noise_is_the_mean_of_its_field_and_others_are_refused():
    assert typical(3.0).density == pytest.approx(np.exp(np.mean(np.log(DENSITIES[:4]))))
    assert typical(7.0).density == pytest.approx(DENSITIES[4])
    low, high = spread_of(3.0)
    assert low < 1 < high
    with pytest.raises(DataError, match="no plan at 1.5 T"):
        typical(1.5)


@pytest.mark.parametrize(
    "stem, place", [("sub-01_ses-01_PRESS_raw-{}_noID.SDAT", 0), ("sub-01_PRESS_35_{}.sdat", 1)]
)
def test_measured_scans_have_that_snr(shared_data, stem, place):
    one = MEASURED[place]
    site = Site("site", one.vendor, 3.0, one.sequence, one.te_s, one.tr_s, "own")
    folder = shared_data / "philips-press-3t"
    fids, water = (read(folder / stem.format(kind), site).fids for kind in ("act", "ref"))
    setting = {key: rule["default"] for key, rule in schema("preprocess").items()}
    whole = combined(fids, water, setting["eddy"]).fids
    done = correct(whole, ["all"], ("",), setting).fids
    assert snr_tcr(done)[0] == pytest.approx(one.snr_tcr, rel=0.01)
    assert fwhm_tcr(done).fwhm_hz == pytest.approx(one.fwhm_hz, rel=0.01)
