"""Covariates and groups of people: against published analyses, another program, and the page."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.question import KEYS, Question
from fmrsflow.report.people_words import people_words
from fmrsflow.sites.covariates import (
    Column,
    as_tests,
    contradictions,
    covariates,
    effects_of,
    terms_of,
    varying,
)
from fmrsflow.sites.variance import Sample, decompose
from fmrsflow.tables import parse_table, table_bytes
from fmrsflow.tables.sites import TABLES

ORTHODONT = {
    "Female": (
        "21 20 21.5 23", "21 21.5 24 25.5", "20.5 24 24.5 26", "23.5 24.5 25 26.5",
        "21.5 23 22.5 23.5", "20 21 21 22.5", "21.5 22.5 23 25", "23 23 23.5 24", "20 21 22 21.5",
        "16.5 19 19 19.5", "24.5 25 28 28",
    ),
    "Male": (
        "26 25 29 31", "21.5 22.5 23 26.5", "23 22.5 24 27.5", "25.5 27.5 26.5 27",
        "20 23.5 22.5 26", "24.5 25.5 27 28.5", "22 22 24.5 26.5", "24 21.5 24.5 25.5",
        "23 20.5 31 26", "27.5 28 31 31.5", "23 23 23.5 25", "21.5 23.5 24 28", "17 24.5 26 29.5",
        "22.5 25.5 25.5 26", "23 24.5 26 30", "22 21.5 23.5 25",
    ),
}  # fmt: skip
"""Distance (mm) at the ages 8, 10, 12, 14: Potthoff & Roy 1964, Biometrika 51:313; data set
Orthodont of nlme."""


def sample_of(values, sites, people, se=None, vendors=None):
    n = len(values)
    known = np.full(n, np.nan) if se is None else np.full(n, se)
    vendors = vendors or ("",) * n
    return Sample(np.array(values, float), known, tuple(sites), tuple(vendors), tuple(people))


def term(rows, name):
    return next(one for one in rows if one["term"] == name)


@pytest.fixture(scope="module")
def orthodont():
    values, people, cells = [], [], []
    for sex, children in ORTHODONT.items():
        for k, line in enumerate(children):
            for age, value in zip((8, 10, 12, 14), line.split()):
                values.append(float(value))
                people.append(f"{sex}{k}")
                cells.append({"age": str(age), "sex": sex})
    return sample_of(values, ["x"] * len(values), people), cells


def test_the_published_model_of_orthodont(orthodont):
    """lme(distance ~ age + Sex, random = ~1 | Subject) of Pinheiro & Bates 2000: age 0.660185
    (0.061606, 80 df), female -2.321023 (0.761417, 25 df), SDs 1.807425 and 1.431592."""
    sample, cells = orthodont
    terms = terms_of(("age", "sex"), (), ("sex",), cells)
    rows = effects_of(sample, cells, terms)
    age, sex = term(rows, "age"), term(rows, "sex Female less Male")
    assert age["estimate"] == pytest.approx(0.660185, abs=1e-6)
    assert sex["estimate"] == pytest.approx(-2.321023, abs=1e-6)
    assert age["se"] == pytest.approx(0.0616059, rel=1e-4)
    assert sex["se"] == pytest.approx(0.7614168, rel=1e-4)
    assert (age["df"], sex["df"]) == (pytest.approx(80, rel=1e-3), pytest.approx(25, rel=1e-3))
    assert sex["person_sd"] == pytest.approx(1.807425, rel=1e-4)
    assert sex["session_sd"] == pytest.approx(1.431592, rel=1e-4)
    assert (sex["n_level"], sex["n_reference"]) == (11, 16)
    mean = term(rows, "mean")["estimate"]  # of boys at 11 years: their intercept is 17.706713
    assert mean == pytest.approx(17.706713 + 11 * 0.660185, abs=1e-5)


def test_the_published_interaction_of_orthodont(orthodont):
    """lme(distance ~ age * Sex, random = ~1 | Subject): age x female -0.304830 (0.121421)."""
    sample, cells = orthodont
    rows = effects_of(sample, cells, terms_of(("age", "sex"), ("age:sex",), ("sex",), cells))
    found = term(rows, "age x sex Female less Male")
    assert found["estimate"] == pytest.approx(-0.304830, abs=1e-6)
    assert found["se"] == pytest.approx(0.1214209, rel=1e-4)
    # A difference of groups is that at the mean age, with the interaction or without.
    assert term(rows, "sex Female less Male")["estimate"] == pytest.approx(-2.321023, abs=1e-6)


def nested():
    """Six sites of eight people with two sessions."""
    rng = np.random.default_rng(7)
    values, sites, people, cells = [], [], [], []
    for s in range(6):
        effect = rng.normal(0, 0.8)
        for p in range(8):
            age = int(rng.integers(20, 60))
            group = "patients" if p % 3 == 0 else "controls"
            own = rng.normal(0, 1.5)
            for _ in range(2):
                true = 3 + effect + own + 0.04 * (age - 40) - 1.2 * (group == "patients")
                values.append(true + rng.normal(0, 1))
                sites.append(f"s{s}")
                people.append(f"s{s}/{p}")
                cells.append({"age": str(age), "group": group})
    return sample_of(values, sites, people), cells


def test_sites_people_and_sessions_are_those_of_statsmodels():
    """statsmodels 0.15.0, MixedLM by REML: mixedlm("y ~ c + C(group)", groups="site",
    vc_formula={"person": "0 + C(person)"}), c the age about its mean; and with c:C(group)."""
    sample, cells = nested()
    rows = effects_of(sample, cells, terms_of(("age", "group"), ("age:group",), ("group",), cells))
    group = term(rows, "group patients less controls")
    assert group["estimate"] == pytest.approx(-1.060313, rel=1e-4)
    assert term(rows, "age")["estimate"] == pytest.approx(0.03429747, rel=1e-4)
    assert term(rows, "mean")["estimate"] == pytest.approx(2.430632, rel=1e-4)
    crossed = term(rows, "age x group patients less controls")
    assert crossed["estimate"] == pytest.approx(0.0644839, rel=1e-4)
    found = [group[name] for name in ("site_sd", "person_sd", "session_sd")]
    assert found == pytest.approx([0.83011, 1.48303133, 0.83548069], rel=1e-3)
    # Its errors take the components for known, as those before Kenward & Roger do.
    x = np.column_stack(
        [
            np.ones(96),
            np.array([float(one["age"]) for one in cells]) - 39.0,
            [one["group"] == "patients" for one in cells],
        ]
    )
    plain = np.sqrt(np.diag(decompose(sample, fixed=x, intervals=False).fitted.covariance))
    assert plain[1:] == pytest.approx([0.01997577, 0.4763281], rel=1e-4)
    assert group["se"] >= plain[2] and group["df"] < 46


SITES = {
    f"s{j}": {"vendor": ("GE", "Philips", "Siemens")[j % 3], "field_t": (3.0, 7.0)[j % 2],
              "protocol": ("standardised", "own")[j % 2], "te_s": 0.03}
    for j in range(6)
}  # fmt: skip
SETTINGS = {"covariates": ["age"], "groups": ["group"], "interactions": ["group:protocol"]}
MAIN = dict(zip(KEYS, ("Glu", "joint", True, "molal", "task-rest", "")))
CHOSEN = tuple(MAIN.values())


def responses(rng, each=8, difference=-1.5, metabolites=("Glu", "GABA", "tCr"), sites=SITES):
    """Rows of responses.tsv and cells of people, patients changing less by `difference`."""
    rows, people = [], {}
    for site in sites:
        effect = rng.normal(0, 0.5)
        for k in range(each):
            person = f"{site}/{k:02d}"
            group = ("controls", "patients")[k % 2]
            people[site, person] = {"age": str(20 + 3 * k), "group": group}
            true = 3 + effect + rng.normal(0, 1) + difference * (group == "patients")
            for name in metabolites:
                rows.append(
                    {**MAIN, "metabolite": name, "site": site, "person": person, "unit": person,
                     "change_percent": true + 0.5 * rng.standard_normal(), "se_percent": 0.5,
                     "used": True, "reason": ""}
                )  # fmt: skip
    return rows, people


def test_each_metabolite_of_the_main_question_has_its_rows_and_others_have_none():
    rows, people = responses(np.random.default_rng(1))
    other = [{**row, "estimator": "blocks"} for row in rows]
    found = covariates([*rows, *other], SITES, people, SETTINGS, CHOSEN)
    assert {(row["metabolite"], row["role"]) for row in found} == {
        ("Glu", "main"), ("GABA", "tested"), ("tCr", "control"),
    }  # fmt: skip
    assert {row["estimator"] for row in found} == {"joint"}
    terms = list(dict.fromkeys(row["term"] for row in found))
    assert terms == [
        "age",
        "group patients less controls",
        "protocol standardised less own",
        "group patients less controls x protocol standardised less own",
    ]
    (glu,) = (one for one in found if one["term"] == terms[1] and one["metabolite"] == "Glu")
    assert glu["low"] < -1.5 < glu["high"] < 0
    both = [row["p"] for row in found if row["term"] == terms[1] and row["role"] != "control"]
    assert glu["p_holm"] == pytest.approx(max(2 * min(both), glu["p"]))  # Holm of two
    assert glu["varies_low"] < glu["estimate"] < glu["varies_high"]
    (control,) = (one for one in found if one["term"] == terms[1] and one["metabolite"] == "tCr")
    assert "p" in control and "p_holm" not in control
    named = {row["what"] for row in as_tests(found)}
    assert named == {f"effect of {one}" for one in terms}
    parse_table(table_bytes(found, TABLES["covariates"]), TABLES["covariates"], "covariates")


def test_order_of_rows_and_people_changes_no_byte():
    rows, people = responses(np.random.default_rng(2))
    shuffled = dict(sorted(people.items(), key=lambda one: one[0][::-1], reverse=True))
    first = covariates(rows, SITES, people, SETTINGS, CHOSEN)
    again = covariates(rows, SITES, shuffled, SETTINGS, CHOSEN)
    assert table_bytes(first, TABLES["covariates"]) == table_bytes(again, TABLES["covariates"])


def test_people_without_a_cell_are_left_out_and_counted():
    rows, people = responses(np.random.default_rng(3))
    del people["s0", "s0/00"]["age"], people["s1", "s1/01"]
    found = covariates(rows, SITES, people, SETTINGS, CHOSEN)
    assert {(row["n"], row["n_left_out"]) for row in found} == {(46, 2)}
    assert all("2 rows without a covariate left out" in row["reason"] for row in found)
    asked = Question("Glu", "joint", True, "molal", "task-rest", "")
    read = parse_table(table_bytes(found, TABLES["covariates"]), TABLES["covariates"], "t")
    assert (
        "2 of 48 changes are of people without one of these columns"
        in people_words(read, asked)[-1]
    )


def test_few_people_of_a_group_are_described_and_not_tested():
    rows, people = responses(np.random.default_rng(4), 4)
    for cells in list(people.values())[1:]:
        cells["group"] = "controls"
    for key in list(people)[:4]:
        people[key]["group"] = "patients"
    found = covariates(rows, SITES, people, {"groups": ["group"]}, CHOSEN)
    assert all(
        "p" not in row and "not tested: 4 people of a group" in row["reason"] for row in found
    )
    assert as_tests(found) == []


def test_groups_that_are_sites_are_told():
    rows, people = responses(np.random.default_rng(5))
    for (site, _), cells in people.items():
        cells["group"] = "patients" if site in ("s0", "s1", "s2") else "controls"
    (row, *_) = covariates(rows, SITES, people, {"groups": ["group"]}, CHOSEN)
    assert "no site has both groups" in row["reason"]
    assert row["df"] < 5  # of six sites, not of 48 people


def test_two_sites_say_nothing_of_protocols_but_of_people():
    """A site of each protocol: nothing shows how sites differ, so that protocols cannot be
    compared, and groups within sites can."""
    two = {name: SITES[name] for name in ("s0", "s1")}
    rows, people = responses(np.random.default_rng(6), 20, sites=two)
    found = covariates(rows, two, people, SETTINGS, CHOSEN)
    own = {row["term"]: row for row in found if row["metabolite"] == "Glu"}
    protocol = own["protocol standardised less own"]
    assert "2 sites cannot show how sites differ beside it" in protocol["reason"]
    assert "estimate" not in protocol
    assert own["group patients less controls"]["high"] < 0
    crossed = own["group patients less controls x protocol standardised less own"]
    assert crossed["low"] < 0 < crossed["high"]


def test_a_level_that_nobody_has_here_is_told_and_the_others_answer():
    rows, people = responses(np.random.default_rng(8))
    lost = [row for row in rows if row["metabolite"] != "GABA" or row["site"] != "s5"]
    for key, cells in people.items():
        if key[0] == "s5":
            cells["group"] = "others"
    found = covariates(lost, SITES, people, {"groups": ["group"]}, CHOSEN)
    gaba = [row for row in found if row["metabolite"] == "GABA"]
    assert len(gaba) == 1 and "group: nobody of others here" in gaba[0]["reason"]
    assert len([row for row in found if row["metabolite"] == "Glu"]) == 2


def test_codes_of_groups_that_are_taken_as_numbers_are_told():
    rows, people = responses(np.random.default_rng(9))
    for k, cells in enumerate(people.values()):
        cells["arm"] = str(1 + k % 3)
    (row, *_) = covariates(rows, SITES, people, {"covariates": ["arm"]}, CHOSEN)
    assert "3 whole numbers taken as amounts, not as codes of groups" in row["reason"]


def test_a_difference_that_varies_between_sites_has_a_wider_interval():
    rng = np.random.default_rng(10)
    values, sites, people, cells = [], [], [], []
    for s in range(12):
        moved = rng.normal(0, 2)
        for k in range(20):
            group = ("a", "b")[k % 2]
            values.append(moved * (group == "b") + rng.normal())
            sites.append(f"s{s:02d}")
            people.append(f"s{s:02d}/{k}")
            cells.append({"group": group})
    sample, terms = sample_of(values, sites, people), terms_of(("group",), (), ("group",), cells)
    row = term(effects_of(sample, cells, terms), "group b less a")
    found = varying(sample, cells, terms, row)
    assert found["varies_sd"] == pytest.approx(2, abs=0.8)
    assert found["varies_high"] - found["varies_low"] > 2 * (row["high"] - row["low"])


def test_somebody_in_two_groups_is_told():
    people = {("a", "p"): {"sex": "F"}, ("b", "p"): {"sex": "M"}, ("b", "q"): {"sex": "M"}}
    (found,) = contradictions(people, {"groups": ["sex"]})
    assert found[:2] == ("b", "p") and "sex of p is M here and F at a" in found[2]


def words(**cells):
    columns = TABLES["covariates"]
    start = {**MAIN, "column": "group", "level": "patients", "reference": "controls", "n": 40,
             "term": "group patients less controls", "n_left_out": 0, "n_level": 20,
             "n_reference": 20, "n_persons": 40, "n_sites": 4, "role": "main"}  # fmt: skip
    rows = parse_table(table_bytes([{**start, **cells}], columns), columns, "t")
    return people_words(rows, Question("Glu", "joint", True, "molal", "task-rest", ""))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            {"estimate": -1.2, "low": -2.0, "high": -0.4, "p_holm": 0.01},
            "The change of glutamate while the task ran was 1.20 points lower in patients than in "
            "controls (group) (95 % interval −2.00 to −0.40 points; 20 and 20 people); the "
            "interval leaves no difference out.",
        ),
        (
            {"estimate": -1.2, "low": -2.0, "high": 0.4, "p_holm": 0.2},
            "was −1.2 points different in patients than in controls (group) (95 % interval −2.0 to "
            "+0.4 points; 20 and 20 people); no difference at all is still possible: none is shown",
        ),
        (
            {"estimate": -1.2, "low": -2.0, "high": -0.4, "p_holm": 0.07},
            "p is 0.07: by that no difference is still possible.",
        ),
        (
            {"column": "age", "level": "", "reference": "", "n_level": None, "n_reference": None,
             "estimate": 0.042, "low": 0.01, "high": 0.08},
            "With each unit of age, the change of glutamate while the task ran was 0.042 points "
            "higher (95 % interval +0.010 to +0.080 points; 40 persons at 4 sites)",
        ),
        (
            {"column": "group:protocol", "level": "patients:own",
             "reference": "controls:standardised", "estimate": 1.0, "low": 0.5, "high": 1.5},
            "The difference group patients less controls in the change of glutamate while the task "
            "ran was 1.00 points higher in own than in standardised (protocol)",
        ),
        (
            {"column": "age:group", "level": ":patients", "reference": ":controls",
             "estimate": 1.0, "low": -0.5, "high": 2.5},
            "What the change of glutamate while the task ran gains by a unit of age was +1.0 "
            "points different in patients than in controls (group)",
        ),
        (
            {"estimate": 1.0, "low": 0.5, "high": 1.5, "varies_sd": 0.4, "varies_low": -0.1,
             "varies_high": 2.1},
            "If it varies from site to site (SD estimated as 0.4), the interval is −0.1 to +2.1.",
        ),
        ({"reason": "cannot be estimated because x"}, "controls, glutamate: cannot be estimated"),
    ],
)  # fmt: skip
def test_words_follow_the_interval(cells, said):
    assert said in " ".join(words(**cells))


def test_the_product_of_two_columns_names_both():
    a = Column("age", "age", "", "", np.array([1.0, 2.0]))
    b = Column("group x less y", "group", "x", "y", np.array([0.0, 1.0]))
    both = a.times(b)
    assert (both.column, both.level, both.reference) == ("age:group", ":x", ":y")
    assert both.values.tolist() == [0.0, 2.0]
