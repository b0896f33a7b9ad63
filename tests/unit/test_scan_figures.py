"""Figures of a scan: one definition each."""

from __future__ import annotations

import math

import pytest

from fmrsflow.scan_figures import FIGURES, scan_figures, transients, typical

PREPROCESS = {
    "snr_tcr": 40.0,
    "fwhm_tcr_hz": 6.0,
    "fwhm_water_hz": None,
    "residual_water": 0.004,
    "drift_hz": -3.0,
    "n_kept": {"rest": 30, "task": 32},
    "n_removed": {"rest": 2, "task": 0},
}
FIT = {
    "fqn": {"rest": 1.4, "task": 1.3, "rest:matched": 0.4, "all": 1.1},
    "mrar_percent": {"rest": 2.0, "all": 1.5},
    "joint": {"bold_narrowing_hz": 0.2},
}


def test_fqn_and_residual_are_those_of_the_average_over_all_conditions():
    found = scan_figures(PREPROCESS, FIT)
    assert (found["fqn"], found["mrar_percent"]) == (1.1, 1.5)


def test_a_drift_keeps_its_sign_and_what_is_not_known_is_left_out():
    found = scan_figures(PREPROCESS, {"fqn": {"rest": 1.4}, "joint": {"bold_narrowing_hz": None}})
    assert found["drift_hz"] == -3.0
    assert not {"fwhm_water_hz", "fqn", "mrar_percent", "bold_narrowing_hz"} & set(found)
    assert scan_figures({}, {}) == {}
    assert "fqn" not in scan_figures({}, {"fqn": {"all": math.nan}})


def test_rejected_transients_are_counted_over_all_conditions():
    assert transients(PREPROCESS) == (62, 2)
    assert scan_figures(PREPROCESS, {})["rejected_percent"] == pytest.approx(100 * 2 / 64)


def test_a_typical_drift_is_one_of_size():
    assert typical("drift_hz", [-3.0, 3.0, 1.0]) == 3.0
    assert typical("snr_tcr", [30.0, 50.0]) == 40.0
    assert math.isnan(typical("fqn", []))


def test_every_figure_has_title_and_definition():
    assert all(one.title and one.definition for one in FIGURES.values())
    assert FIGURES["drift_hz"].label == "Frequency drift (Hz)"
    assert FIGURES["fqn"].label == "Fit quality number"
