"""ComBat against neuroCombat, and what it does to the answer."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.sites.answer import changes
from fmrsflow.sites.combat import comparison, harmonised

SIZES = (3, 5, 4, 7)
SITES = [f"s{j}" for j, size in enumerate(SIZES) for _ in range(size)]

# neuroCombat 0.2.12 (PyPI) on `table()`, sites as batches, without covariates: columns 0, 3, 8, 18.
NEUROCOMBAT = [
    [2.392579749, 3.547404696, 3.570038746, 3.125941144],
    [3.474795334, 2.019705297, 3.393504269, 1.347358472],
    [2.50652678, 1.912536038, 1.664504346, 2.434498908],
    [2.696323811, 4.16302581, 3.022224778, 4.974488317],
    [4.382240151, 4.850248704, 5.508388998, 3.95549279],
    [4.858805413, 3.016420624, 4.141347365, 2.807519169],
]


def table() -> np.ndarray:
    """Six features of four sites with shifts and scales, by a formula: the same everywhere."""
    site = np.repeat(np.arange(4), SIZES)
    i, j = np.mgrid[:6, : len(site)]
    wave = np.sin(1.7 * i + 0.9 * j * j) * (1 + 0.3 * site)
    return np.round(2 + wave + 0.8 * np.cos(2.1 * site) + 0.4 * i, 3)


def test_it_is_neurocombat():
    assert harmonised(table(), SITES)[:, [0, 3, 8, 18]] == pytest.approx(
        np.array(NEUROCOMBAT), abs=1e-8
    )


def test_the_order_of_samples_and_the_units_of_features_do_not_matter():
    values, order = table(), np.random.default_rng(1).permutation(len(SITES))
    whole = harmonised(values, SITES)
    mixed = harmonised(values[:, order], [SITES[j] for j in order])
    assert mixed == pytest.approx(whole[:, order])
    scaled = harmonised(values * np.arange(1, 7)[:, None] - 4, SITES)
    assert scaled == pytest.approx(whole * np.arange(1, 7)[:, None] - 4)


@pytest.mark.parametrize(
    ("values", "sites"),
    [
        (table()[:1], SITES),
        (table(), ["one"] * len(SITES)),
        (table()[:, :4], ["a", "a", "a", "b"]),
        (np.tile(table()[:1], (3, 1)), SITES),
    ],
    ids=["one feature", "one site", "one person", "all alike"],
)
def test_what_has_no_prior_is_refused(values, sites):
    with pytest.raises(ValueError, match=r"needed|alike"):
        harmonised(values, sites)


@pytest.fixture
def made(make_responses, make_sites, settings):
    """Function: rows of combat.tsv of a study, its responses changed by `change`."""

    def make(change=lambda rows: rows, **study):
        rng, rows = np.random.default_rng(41), []
        for metabolite in ("Glu", "Gln", "GABA", "tNAA", "Lac"):
            rows += make_responses(rng, 6, 5, metabolite=metabolite, **study)
        rows = change(rows)
        sites = make_sites(6)
        tables = changes(rows, sites, settings)
        key = ("Glu", "blocks", "true", "molal", "task-rest", "")
        return rows, sites, tables, comparison(rows, tables["meta"], sites, key)

    return make


def test_site_effects_leave_and_the_error_gets_too_narrow(made):
    rows, _, tables, found = made(site_sd=2.0, person_sd=0.8, se=0.5)
    assert [row["metabolite"] for row in found] == ["Glu", "Gln", "GABA", "tNAA", "Lac"]
    glu, meta = found[0], tables["meta"][0]
    assert (glu["n_sites"], glu["n"], glu["n_metabolites"]) == (6, 30, 5)
    assert (glu["change_percent"], glu["tau_percent"]) == (
        meta["change_percent"],
        meta["tau_percent"],
    )
    own = [row["change_percent"] for row in rows if row["metabolite"] == "Glu"]
    # Sites of like size: the grand mean stays, but for what priors draw.
    assert glu["combat_percent"] == pytest.approx(np.mean(own), abs=0.1)
    assert glu["sites_after_percent"] < 0.25 * glu["sites_before_percent"]
    assert glu["width_percent"] < 50


def test_a_difference_of_protocols_leaves_with_that_of_sites(made):
    def raised(rows):
        return [
            row | {"change_percent": row["change_percent"] + 4 * (int(row["site"][1:]) % 2)}
            for row in rows
        ]

    *_, found = made(raised, site_sd=0.3, person_sd=0.8, se=0.5)
    for row in found:
        assert row["protocol_before_percent"] == pytest.approx(4, abs=1)
        assert abs(row["protocol_after_percent"]) < 0.5


def test_what_is_lacking_is_left_out_and_told(made):
    def lose(rows):
        for row in rows:
            few = row["site"] == "s05" and row["person"] not in ("s05/p0", "s05/p1")
            alone = row["site"] == "s04" and row["person"] != "s04/p0"
            rare = row["metabolite"] == "Lac" and row["person"].endswith(("p0", "p1"))
            one = row["metabolite"] == "Gln" and row["person"] == "s00/p3"
            row["used"] = not (few or alone or rare or one)
        return rows

    *_, found = made(lose)
    assert [row["metabolite"] for row in found] == ["Glu", "Gln", "GABA", "tNAA"]
    assert (found[0]["n_sites"], found[0]["n"]) == (5, 21)
    assert found[0]["reason"] == (
        "without Lac; without 1 that lack a metabolite; s04 has 1: left out; "
        "s05 has 2: its scatter is hardly known"
    )


def test_one_metabolite_has_a_reason(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(42), 4, 4)
    key = ("Glu", "blocks", "true", "molal", "task-rest", "")
    means = changes(rows, make_sites(4), settings)["meta"]
    (found,) = comparison(rows, means, make_sites(4), key)
    assert found["reason"].startswith("cannot be estimated because 2 metabolites")
    assert comparison(rows, means, make_sites(4), None) == []
