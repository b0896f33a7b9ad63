"""How scans of a unit are scaled to each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import simulate, with_macromolecules
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.design import Design, Timing
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients
from fmrsflow.response.measured import Measured
from fmrsflow.response.scalings import Scale, scale_of, scalings
from fmrsflow.response.together import fit_scans

GAIN_SD = np.array([0.003, 0.004])


def rows(molal, raw, condition="rest"):
    return [
        {"metabolite": "tCr", "quantity": quantity, "condition": condition, "matched": matched,
         "value": value}
        for quantity, value in (("molal", molal), ("raw", raw))
        for matched in (True, False)
    ]  # fmt: skip


def test_water_scales_by_its_ratio_with_both_errors():
    """The second receiver has twice the gain: its water and its metabolites are twice as large."""
    scales = [Scale(0.5, 1000.0, 0.01), Scale(0.25, 2000.0, 0.02)]
    molal = scalings(scales, GAIN_SD, np.ones(2))["molal"]
    assert molal.ratio == pytest.approx([1.0, 2.0])
    assert molal.sd[0] == 0.0
    assert molal.sd[1] == pytest.approx(math.sqrt(0.01**2 + 0.02**2 + 0.003**2 + 0.004**2))


def test_what_tissue_makes_different_counts_as_uncertain():
    """The second voxel holds more CSF: 3 % beside its water."""
    scales = [Scale(0.5, 1000.0, 0.0), Scale(0.5 * 1.03, 1000.0, 0.0)]
    molal = scalings(scales, np.zeros(2), np.ones(2))["molal"]
    assert molal.ratio[1] == pytest.approx(1 / 1.03)
    assert molal.sd[1] == pytest.approx(math.log(1.03))


def test_without_water_in_each_scan_there_is_no_molal_scaling():
    assert "molal" not in scalings([Scale(0.5, 1000.0, 0.01), None], GAIN_SD, np.ones(2))
    found = scalings([None, None], GAIN_SD, np.ones(2))
    assert found["raw"].sd[1] == pytest.approx(0.005)
    assert np.isinf(found["ratio_stable"].sd[1]) and found["ratio_stable"].to_stable


def test_the_scale_of_a_scan_comes_from_its_tcr():
    water = {"amplitude": 500.0, "se": 5.0}
    assert scale_of(rows(8.0, 16.0), water) == Scale(0.5, 500.0, 0.01)
    assert scale_of(rows(8.0, 16.0), None) is None
    assert scale_of(rows(8.0, 0.0), water) is None
    assert scale_of([], water) is None


TRUTH = {
    "Cr": 4.6, "PCr": 4.4, "Gln": 2.6, "Glu": 10.5, "GPC": 1.1, "PCh": 0.4, "mI": 6.5, "NAA": 12.0,
    "NAAG": 1.4, "MM09": 4.0, "MM12": 4.4, "MM14": 3.8, "MM17": 4.2, "MM20": 3.9,
}  # fmt: skip
AXES = (5e-4, 1024, 123.25)
EVENTS = (["rest"] * 6 + ["task"] * 6) * 2


@pytest.fixture(scope="module")
def basis():
    made = simulate(sequence("sLASER", 0.028), AXES[2], AXES[1], 1 / AXES[0])
    made = with_macromolecules(made, "separate").select(tuple(TRUTH))
    return made.resampled(*AXES)


@pytest.fixture(scope="module")
def make(basis):
    """Function of (labels, gain, seed): a scan with +5 % Glu in its transients of the task; `course`
    another course of the same, `gains` of its transients."""

    def scan(labels, gain, seed, bad=(), course=None, gains=None, scale=None, **more):
        rng = np.random.default_rng(seed)
        if course is None:
            course = np.array([label == "task" for label in labels], float)
        amplitudes = np.tile(list(TRUTH.values()), (len(labels), 1))
        amplitudes[:, list(TRUTH).index("Glu")] *= 1 + 0.05 * course
        fids = Fids((amplitudes @ basis.fids)[:, None], AXES[0], AXES[2], 0.028, 2.0)
        fids = fids.broadened(3.0 + seed % 2, 4.0)
        noise = rng.standard_normal((*fids.data.shape, 2)).view(complex)[..., 0]
        data = gain * (fids.data + 0.3 * noise)
        kept = np.ones(len(labels), bool)
        kept[list(bad)] = False
        data[list(bad)] *= 3.0  # what preprocessing cut must stay out
        if gains is not None:
            data *= np.asarray(gains)[:, None, None]
        time_s = 2.0 * np.arange(len(labels))
        fids, weight = fids.with_data(data), kept / kept.sum()
        made = Transients(fids, tuple(labels), kept, weight, time_s)
        timing = more.pop("timing", None) or Timing.of_labels(labels, time_s)
        return Measured(made, basis, scale, timing, **more)

    return scan


def test_a_baseline_scan_and_one_with_events_give_one_change(make):
    scans = [
        make(["rest"] * 24, 1.0, 1, bad=(3,), scale=Scale(0.5, 1000.0, 0.005)),
        make(EVENTS, 1.4, 2, scale=Scale(0.5 / 1.4, 1400.0, 0.005)),
    ]
    found = fit_scans(scans, "rest", ["task"], FitOptions())
    rows = {(one.metabolite, one.quantity): one for one in found.estimates(["Glu", "tCr"])}
    assert {quantity for _, quantity in rows} == {"molal", "raw", "ratio_stable", "ratio_tcr"}
    assert ("tCr", "ratio_stable") not in rows and ("tCr", "ratio_tcr") not in rows
    for quantity in ("molal", "ratio_stable", "ratio_tcr"):
        change = rows["Glu", quantity].change
        assert change.percent == pytest.approx(5.0, abs=3 * change.se), quantity
        assert 0.1 < change.se < 3.0
    gain = found.joint.changes["ratio_stable"].gain[1]
    assert gain == pytest.approx(1.4, rel=0.02)
    assert found.summary()["kept_share"] == [1.0, 1.0]
    told = found.flags(["a", "b"])
    assert len(told) == 1 and "without a plateau under other shapes" in told[0]


def test_a_water_of_another_scan_is_flagged(make):
    """Its amplitude says a gain of 1, what does not respond one of 1.4."""
    ways = {}
    for name, factor in (("right", 1.4), ("wrong", 1.0)):
        scales = [Scale(0.5, 1000.0, 0.005), Scale(0.5 / factor, 1000.0 * factor, 0.005)]
        scans = [
            make(["rest"] * 24, 1.0, 1, scale=scales[0]),
            make(["task"] * 24, 1.4, 2, scale=scales[1]),
        ]
        found = fit_scans(scans, "rest", ["task"], FitOptions())
        (ways[name],) = found.gain_controls(["a", "b"], 1.0)
    assert ways["right"].flag == ""
    assert "one of the waters is not that of its scan" in ways["wrong"].flag
    assert ways["wrong"].value == pytest.approx(-33.6, abs=2)


def test_a_scan_without_the_units_conditions_is_refused(make):
    scans = [make(["rest"] * 24, 1.0, 1), make(["other"] * 24, 1.0, 2)]
    with pytest.raises(DataError, match="no transient of its conditions"):
        fit_scans(scans, "rest", ["task"], FitOptions())
