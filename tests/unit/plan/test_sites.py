"""Measured scans: noise from their own SNR, and errors that their fits tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs
from fmrsflow.plan.acquisition import Protocol, Task, snr_of
from fmrsflow.plan.answer import Asked, blocks_of_minutes, make_plan
from fmrsflow.plan.noise import TISSUE
from fmrsflow.plan.people import Wish
from fmrsflow.plan.sites import MeasuredScan, receiver_of
from fmrsflow.quality import fwhm_tcr, snr_tcr
from fmrsflow.study import Site
from fmrsflow.synthetic import scanner
from fmrsflow.synthetic.ingredients import Lineshape, Noise

NOISE, N = 1.0, 96
SITE = Site("north", "Siemens", 3.0, "sLASER", 0.030, 2.0, "own")


@pytest.fixture(scope="module")
def measured() -> MeasuredScan:
    """A scan of the synthetic scanner, measured and fitted as any."""
    protocol, task = Protocol(SITE, 20.0, 6.0, TISSUE), Task(N, 32.0, 32.0)
    made = scanner.simulate(
        scanner.Protocol(
            basis=protocol.basis(),
            amplitudes=protocol.amplitudes(),
            n_transients=N,
            tr_s=2.0,
            lineshape=Lineshape(protocol.part_hz, protocol.part_hz),
            noise=Noise(snr_of(protocol, NOISE)),
        ),
        7,
    ).fids
    labels = task.labels(2.0)
    both = designs(labels, task.timing(2.0), FitOptions())
    found = fit_joint(made, protocol.basis(), *both, FitOptions())
    mean = made.mean()
    return MeasuredScan(
        snr_tcr=float(snr_tcr(mean)[0]),
        fwhm_hz=fwhm_tcr(mean).fwhm_hz,
        excitations=N,
        readout_s=made.n_points * made.dwell_s,
        volume_ml=20.0,
        tissue=TISSUE,
        labels=labels,
        time_s=2.0 * np.arange(N),
        gain=found.gain_percent / 100,
        told=dict(zip(found.names, found.change_se_percent[0].tolist())),
    )


def test_noise_of_a_scan_is_found_from_its_average(measured):
    # SD of the noise of one spectrum is known to a twentieth; the line is measured wider than it is
    # by what stands beside it.
    assert receiver_of(SITE, [measured]).density == pytest.approx(NOISE, rel=0.15)


@pytest.mark.parametrize("name", ["Glu", "tNAA", "tCr"])
def test_the_plan_expects_what_the_fit_told(measured, name):
    assert measured.expected(SITE, name) == pytest.approx(measured.told[name], rel=0.15)


def test_averages_of_several_excitations_have_the_error_of_all(measured):
    pairs = replace(measured, labels=measured.labels[::2], time_s=measured.time_s[::2])
    assert pairs.expected(SITE, "Glu") == pytest.approx(measured.expected(SITE, "Glu"), rel=0.02)


def test_sites_get_rows_and_those_that_cannot_be_simulated_a_reason(measured):
    edited = replace(SITE, name="edited", sequence="MEGA-PRESS")
    low = replace(SITE, name="low", field_t=1.5)
    asked = Asked(
        fields_t=[3.0], sequences=["sLASER"], te_s=[0.030], tr_s=[2.0], volumes_ml=[20.0],
        tasks=[blocks_of_minutes(64.0, None, 10.0)], metabolite="Glu", response="hrf",
        wish=Wish(3.0, 0.8, 1, 20.0), sites=[4], participants=[8],
    )  # fmt: skip
    answer = make_plan(asked, {SITE: [measured], edited: [measured], low: [measured]})
    (row,) = answer.site_rows
    assert row["site"] == "north"
    # Noise of the plan is that of this site alone: its own row has the error of the best design.
    assert row["planned_se_percent"] == pytest.approx(answer.rows[0]["se_percent"])
    assert answer.rows[0]["noise"] == "measured at north"
    assert set(answer.left_out) == {"edited", "low"}
    assert "not simulated" in answer.left_out["edited"]
    assert answer.tissue.gm == pytest.approx(TISSUE.gm)
