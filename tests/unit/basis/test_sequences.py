"""Sequences from a site's row."""

from __future__ import annotations

import pytest

from fmrsflow.basis.sequences import Delay, Pulse, press, sequence, slaser, special, steam
from fmrsflow.errors import DataError


def pathway(one):
    """Sum of order times delay: what chemical shift does until the echo (0: refocused)."""
    order, total = 0, 0.0
    for step in one.steps:
        if isinstance(step, Pulse):
            order = step.keep
        else:
            total += order * step.duration_s
    return total, order


@pytest.mark.parametrize(
    "one",
    [
        press(0.03, 0.011),
        press(0.144),
        slaser(0.028),
        slaser(0.028, (0.004, 0.00675, 0.0055, 0.00725, 0.0045)),
        steam(0.02, 0.03),
        special(0.0085),
    ],
)
def test_every_sequence_refocuses_chemical_shift_and_ends_in_the_detected_order(one):
    total, order = pathway(one)
    assert total == pytest.approx(0.0, abs=1e-12)
    assert order == -1


@pytest.mark.parametrize("one", [press(0.03, 0.011), slaser(0.028), special(0.0085)])
def test_delays_add_up_to_the_echo_time(one):
    delays = sum(step.duration_s for step in one.steps if isinstance(step, Delay))
    assert delays == pytest.approx(one.te_s)


def test_spellings_of_vendors_mean_the_same_sequence():
    for name in ("PRESS", "press", "svs_se", "PROBE-P"):
        assert sequence(name, 0.03).name == "PRESS"
    for name in ("sLASER", "semi-LASER", "svs_slaser"):
        assert sequence(name, 0.03).name == "sLASER"
    assert sequence("svs_st", 0.02, tm_s=0.01).name == "STEAM"


def test_times_of_the_site_win_over_the_defaults():
    assert dict(sequence("PRESS", 0.03, 0.011).times) == {"te1_s": 0.011}
    assert dict(sequence("PRESS", 0.03, 0.011, vendor="GE").times) == {"te1_s": 0.011}
    assert dict(sequence("PRESS", 0.020).times) == {"te1_s": 0.010}
    assert dict(sequence("STEAM", 0.02, tm_s=0.017).times) == {"tm_s": 0.017}


@pytest.mark.parametrize(
    ("vendor", "te1_s"), [("Siemens", 0.0164), ("Philips", 0.0163), ("GE", 0.0165)]
)
@pytest.mark.parametrize("te_s", [0.034, 0.035, 0.144])
def test_te1_is_that_of_the_vendor_whatever_the_echo_time(vendor, te1_s, te_s):
    assert dict(sequence("PRESS", te_s, vendor=vendor).times) == {"te1_s": te1_s}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sLASER", 0.028, None, None, (0.004, 0.007)), "five delays above 0, not 4 7 ms"),
        (
            ("sLASER", 0.032, None, None, (0.004, 0.00675, 0.0055, 0.00725, 0.0045)),
            "add up to 28 ms, TE is 32 ms",
        ),
        (
            ("sLASER", 0.028, None, None, (0.005, 0.007, 0.006, 0.006, 0.004)),
            "leave 2 ms of chemical shift at the echo",
        ),
        (("MEGA-PRESS", 0.068), "MEGA-PRESS.*is not simulated"),
        (("PRESS", 30.0), "te_s counts in seconds"),
        (("PRESS", 0.03, 0.04), "TE1 of PRESS is 40 ms but TE is 30 ms"),
    ],
)
def test_what_cannot_be_simulated_is_told(arguments, message):
    with pytest.raises(DataError, match=message):
        sequence(*arguments)
