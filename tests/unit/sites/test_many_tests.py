"""Few tests are made, those of metabolites by Holm; the rest is described."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.question import KEYS, Question
from fmrsflow.report.answers import answers
from fmrsflow.sites.answer import changes
from fmrsflow.sites.many_tests import holm


def test_holm_is_that_of_his_steps():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    assert list(holm([math.nan, 0.02]))[1] == 0.02 and math.isnan(holm([math.nan, 0.02])[0])
    assert len(holm([])) == 0


def test_holm_holds_the_family_wise_error_where_all_is_null():
    """10,000 families of 5 independent tests: 1 - 0.99^5 = 4.9 %, known to 0.22 %."""
    p = np.random.default_rng(0).uniform(size=(10_000, 5))
    found = np.mean([holm(row).min() < 0.05 for row in p])
    assert found == pytest.approx(1 - 0.99**5, abs=3 * 0.0022)


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(4)
    sheet = {
        name: {
            "vendor": vendor, "field_t": 3.0, "te_s": 0.03,
            "protocol": "own" if name in "AB" else "standardised",
        }
        for name, vendor in zip("ABCDEF", ("GE", "Philips", "Siemens") * 2)
    }  # fmt: skip
    rows = []
    for metabolite, mean in (("Glu", 3.0), ("GABA", 0.0), ("tCr", 0.0), ("tNAA", 0.0)):
        for estimator in ("joint", "blocks"):
            for quantity in ("molal", "ratio_tcr"):
                question = (metabolite, estimator, True, quantity, "task-rest", "")
                for site in sheet:
                    for person in range(6):
                        rows.append(
                            {
                                **dict(zip(KEYS, question)),
                                "site": site,
                                "person": f"{site}/{person}",
                                "unit": f"{site}/sub-{person}",
                                "change_percent": mean + rng.standard_normal(),
                                "se_percent": 0.5,
                                "used": True,
                                "reason": "",
                            }
                        )
    settings = {
        "metabolite": "Glu", "estimator": "joint", "quantity": "molal", "bootstraps": 0,
        "equivalence_percent": 2.0, "effect_percent": 3.0, "power": 0.8,
    }  # fmt: skip
    return changes(rows, sheet, settings)


def test_only_the_main_estimator_is_tested_and_controls_are_called_so(tables):
    roles = {
        (row["metabolite"], row["estimator"], row["quantity"]): row["role"]
        for row in tables["meta"]
    }
    assert roles["Glu", "joint", "molal"] == "main"
    assert roles["GABA", "joint", "molal"] == "tested"
    assert roles["tCr", "joint", "molal"] == roles["tNAA", "joint", "molal"] == "control"
    others = {role for key, role in roles.items() if key[1:] != ("joint", "molal")}
    assert len(roles) == 16 and others == {"described"}
    for row in tables["meta"]:
        assert ("p" in row) is (row["role"] != "described")
        assert ("p_holm" in row) is (row["role"] in ("main", "tested"))
        assert ("q_p" in row) is (row["role"] == "main")
        assert math.isfinite(row["low_percent"])  # intervals stay


def test_the_family_is_that_of_the_metabolites_without_controls(tables):
    own = [row for row in tables["meta"] if "p_holm" in row]
    np.testing.assert_allclose([row["p_holm"] for row in own], holm([row["p"] for row in own]))
    assert {row["metabolite"] for row in own} == {"Glu", "GABA"}


def test_every_p_value_of_the_tables_is_a_test_that_is_counted(tables):
    shown = [row[name] for row in tables["meta"] for name in ("p", "q_p") if name in row]
    terms = [row for row in tables["moderators"] if "p" in row]
    shown += [row["p"] for row in terms]
    shown += [row["p_moderator"] for row in terms if row["moderator"] == "vendor"][:1]
    names = ("p_equivalence", "p_difference")
    shown += [row[name] for row in tables["equivalence"] for name in names if name in row]
    assert sorted(row["p"] for row in tables["tests"]) == sorted(shown)
    assert {row["estimator"] for row in terms} == {"joint"}
    # 4 changes, sites, protocol, 2 vendors and vendor as a whole, equivalence both ways.
    assert len(shown) == 11


def test_the_page_says_how_many_tests_were_made(tables):
    asked = Question("Glu", "joint", True, "molal", "task-rest", "")
    words = answers(tables, [], asked, {}, {})["test_words"]
    assert words.startswith("11 tests made: 2 of no change of Glu, GABA (p by Holm over these 2:")
    assert "2 of what should not change, as controls (tCr" in words
    assert "7 of differences between sites and protocols, not adjusted" in words
    assert "The other 12 answers" in words


def test_without_a_main_question_nothing_is_tested(tables):
    from fmrsflow.sites.many_tests import mark

    copy = {name: [dict(row) for row in tables[name]] for name in ("meta", "moderators")}
    assert mark({**copy, "equivalence": []}, None) == []
    assert all(row["role"] == "described" and "p" not in row for row in copy["meta"])
