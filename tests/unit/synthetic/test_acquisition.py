"""The generator's basis is the one that a fit of the site assumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmrsflow.basis.systems import METABOLITES
from fmrsflow.stages import basis as stage
from fmrsflow.study import Site
from fmrsflow.synthetic.acquisition import basis_of
from fmrsflow.synthetic.plan import SitePlan

ROWS = {
    "press": ("Philips", 3.0, "PRESS", 0.035),
    "slaser": ("Siemens", 7.0, "sLASER", 0.032),
}


def bases(name: str, pulses: dict):
    """The generator's basis of a site and the fit's, on the generator's axis."""
    vendor, field_t, sequence, te_s = ROWS[name]
    plan = SitePlan(name, vendor, field_t, sequence, te_s, 2.0, **pulses)
    made = basis_of(plan)
    fitted = stage.make(Site(name, vendor, field_t, sequence, te_s, 2.0, "own"), pulses, Path("."))
    return made, fitted.resampled(made.dwell_s, made.n_points, made.frequency_mhz)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("pulses", [{}, {"pulses": "ideal"}])
def test_generator_and_fit_have_one_basis_by_default_and_with_ideal_pulses(name, pulses):
    made, fitted = bases(name, pulses)
    assert made.made["pulses"] == fitted.made["pulses"] == pulses.get("pulses", "shaped")
    time_s = np.arange(made.n_points) * made.dwell_s
    for metabolite in METABOLITES:
        if metabolite in ("NAA", "NAAG"):
            continue  # their amides lie beyond the middle of the interpolation
        one, other = (
            each.fids[each.index(metabolite)] * np.exp(-3 * np.pi * time_s)
            for each in (made, fitted)
        )
        # The magnet of the generator differs by a per mille from its nominal field.
        product = np.vdot(one, other).real / np.linalg.norm(one) / np.linalg.norm(other)
        assert product > 0.9995, metabolite
