"""Percent changes of made-up consortia with known components, for the tests of the sites."""

from __future__ import annotations

import numpy as np
import pytest

SETTINGS = {
    "metabolite": "Glu",
    "estimator": "blocks",
    "quantity": "molal",
    "bootstraps": 0,
    "equivalence_percent": 2.0,
    "effect_percent": 3.0,
    "power": 0.8,
}
SAME = {
    "metabolite": "Glu",
    "estimator": "blocks",
    "matched": "true",
    "quantity": "molal",
    "contrast": "task-rest",
    "region": "",
}


def _sites(n: int) -> dict[str, dict]:
    """Sites of three vendors, every other with its own protocol."""
    vendors = ("Siemens", "Philips", "GE")
    return {
        f"s{j:02d}": {
            "vendor": vendors[j % 3],
            "field_t": 7.0 if j % 5 == 4 else 3.0,
            "protocol": ("standardised", "own")[j % 2],
            "te_s": 0.035,
        }
        for j in range(n)
    }


def _responses(
    rng: np.random.Generator,
    n_sites: int,
    n_people: int,
    mean: float = 3.0,
    site_sd: float = 0.8,
    person_sd: float = 1.5,
    se: float = 1.0,
    sessions: int = 1,
    travel: bool = False,
    **same,
) -> list[dict]:
    """Rows as `answer.changes` wants them; with `travel` the same people go to every site."""
    rows = []
    people = rng.normal(0, person_sd, (1 if travel else n_sites, n_people))
    for j, site in enumerate(_sites(n_sites)):
        effect = mean + rng.normal(0, site_sd)
        for person in range(n_people):
            for session in range(sessions):
                own = people[0 if travel else j, person]
                rows.append(
                    {
                        **SAME,
                        **same,
                        "site": site,
                        "person": f"p{person}" if travel else f"{site}/p{person}",
                        "unit": f"{site}/sub-{person}_ses-{session}",
                        "change_percent": float(effect + own + rng.normal(0, se)),
                        "se_percent": se,
                        "used": True,
                        "reason": "",
                    }
                )
    return rows


@pytest.fixture
def settings() -> dict:
    """Settings of the sites stage."""
    return dict(SETTINGS)


@pytest.fixture
def make_sites():
    """Function: sites of a made-up consortium."""
    return _sites


@pytest.fixture
def make_responses():
    """Function: percent changes of a made-up consortium."""
    return _responses
