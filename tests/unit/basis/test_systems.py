"""The table of spin systems."""

from __future__ import annotations

import pytest

from fmrsflow.basis import systems

PROTONS = {
    # Protons per molecule bound to carbon (Govindaraju 2000, structures), and the amide protons of
    # NAA (one) and NAAG (two), which exchange slowly.
    **{"Ala": 4, "Asc": 4, "Asp": 3, "Cr": 5, "PCr": 5, "GABA": 6, "Glc": 7, "Gln": 5, "Glu": 5},
    **{"Gly": 2, "GPC": 18, "PCh": 13, "GSH": 10, "mI": 6, "sI": 6, "Lac": 4, "NAA": 7},
    **{"NAAG": 13, "PE": 4, "Ser": 3, "Tau": 4, "H2O": 2},
}


@pytest.mark.parametrize("name", PROTONS)
def test_each_molecule_has_its_protons(name):
    assert sum(part.amplitude for part in systems.metabolite(name)) == pytest.approx(PROTONS[name])


def test_every_metabolite_of_a_basis_is_in_the_table_and_none_else():
    assert {row["metabolite"] for row in systems.rows()} == {*systems.METABOLITES, "H2O"}


def test_every_value_names_a_known_source():
    assert {row["source"] for row in systems.rows()} <= set(systems.SOURCES)
    cited = systems.citations(["GABA", "Glu"])
    assert [users for source, users in cited.items() if source.startswith("Near")] == [["GABA"]]


def test_values_lie_where_protons_of_metabolites_do():
    for row in systems.rows():
        value = float(row["value"])
        if row["kind"] == "shift":
            assert 1 < value < 9
        elif row["kind"] == "coupling":
            # Two protons of one carbon couple by -9 to -18 Hz, all else by less than 12.
            assert -18 < value < -9 or 0 < value < 12


def test_an_unknown_metabolite_is_told_with_the_known_ones():
    with pytest.raises(KeyError, match="no spin system of 'Foo'; there are Ala"):
        systems.metabolite("Foo")


def test_the_relative_shares_of_the_anomers_make_one_glucose():
    assert sum(part.weight for part in systems.metabolite("Glc")) == pytest.approx(1.0)
