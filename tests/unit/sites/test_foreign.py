"""Tables of others: against published analyses and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress, ttest_ind

from fmrsflow.errors import DataError
from fmrsflow.sites.foreign import answers, measurements
from fmrsflow.stages.sites import main
from fmrsflow.tables import read_table

DYESTUFF = {
    "A": (1545, 1440, 1440, 1520, 1580),
    "B": (1540, 1555, 1490, 1560, 1495),
    "C": (1595, 1550, 1605, 1510, 1560),
    "D": (1445, 1440, 1595, 1465, 1545),
    "E": (1595, 1630, 1515, 1635, 1625),
    "F": (1520, 1455, 1450, 1480, 1445),
}
"""Yield of dye by batch: Davies & Goldsmith 1972, Statistical Methods in Research and Production,
4th ed., section 6.4; data set Dyestuff of lme4."""


def row(site, person, value, metabolite="Glu", **more):
    return {"site": site, "person": person, "metabolite": metabolite, "value": str(value), **more}


def effect(rows, term="mean", model="one stage"):
    return next(one for one in rows if one["term"] == term and one["model"] == model)


def test_the_dyestuff_example_of_lme4():
    """Balanced, so that REML is the analysis of variance: mean 1527.50, SE 19.38, SDs 42.00 and
    49.51, as lmer(Yield ~ 1 + (1 | Batch)) prints them; 5 degrees of freedom."""
    values = np.array(list(DYESTUFF.values()), float)
    between = 5 * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    rows = [
        row(batch, f"{batch}{j}", value)
        for batch, values in DYESTUFF.items()
        for j, value in enumerate(values)
    ]
    found = effect(answers(measurements(rows, ()), ()))
    assert found["estimate"] == pytest.approx(1527.5, rel=1e-6)
    assert found["se"] == pytest.approx(np.sqrt(between / 30), rel=1e-4)
    assert found["site_sd"] == pytest.approx(np.sqrt((between - within) / 5), rel=1e-4)
    assert found["person_sd"] == pytest.approx(np.sqrt(within), rel=1e-4)
    assert found["df"] == pytest.approx(5.0, abs=1e-2)
    printed = [found[name] for name in ("estimate", "se", "site_sd", "person_sd")]
    assert [round(one, 2) for one in printed] == [1527.5, 19.38, 42.0, 49.51]


@pytest.fixture(scope="module")
def people():
    """Two sites of equal means; values with an effect of age and group, known to the t tests."""
    rng = np.random.default_rng(1)
    ages = rng.integers(20, 60, 40)
    group = np.tile(["patients", "controls"], 20)
    value = 10 + 0.05 * (ages - 40) + rng.standard_normal(40) + (group == "patients")
    return ages, group, value


def test_one_site_without_repetition_is_the_classical_tests(people):
    ages, group, value = people
    rows = [
        row("x", str(j), value[j], age=str(ages[j]), group=group[j], other="") for j in range(40)
    ]
    line = linregress(ages, value)
    found = effect(answers(measurements(rows, ["age"]), ["age"]), "age", "one stage with age")
    assert found["estimate"] == pytest.approx(line.slope, rel=1e-6)
    assert found["se"] == pytest.approx(line.stderr, rel=1e-4)
    assert found["p"] == pytest.approx(line.pvalue, rel=1e-4)
    assert found["df"] == pytest.approx(38, rel=1e-4)
    test = ttest_ind(value[group == "patients"], value[group == "controls"])
    rows = answers(measurements(rows, ["group"]), ["group"])
    found = effect(rows, "group patients less controls", "one stage with group")
    assert found["p"] == pytest.approx(test.pvalue, rel=1e-4)
    low, high = test.confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((low, high), rel=1e-4)


def test_an_interaction_is_the_difference_of_differences():
    rng = np.random.default_rng(2)
    cells = [(g, f) for g in ("a", "b") for f in ("3T", "7T") for _ in range(12)]
    cells += [("a", "3T")]  # the most common of both
    value = rng.standard_normal(len(cells))
    rows = [row("x", str(j), value[j], group=g, field=f) for j, (g, f) in enumerate(cells)]
    named = ["group", "field", "group:field"]
    found = effect(
        answers(measurements(rows, named), named),
        "group b less a x field 7T less 3T",
        "one stage with group, field, group:field",
    )
    mean = {cell: value[[one == cell for one in cells]].mean() for cell in dict.fromkeys(cells)}
    by_hand = mean["b", "7T"] - mean["a", "7T"] - mean["b", "3T"] + mean["a", "3T"]
    assert found["estimate"] == pytest.approx(by_hand, abs=1e-6)


def test_people_of_two_sites_are_two_unless_a_person_says_otherwise():
    rows = [
        {"site": site, "subject": "01", "metabolite": "Glu", "value": "1"} for site in ("a", "b")
    ]
    assert len({one.person for one in measurements(rows, ())}) == 2
    rows = [row(site, "p1", 1.0) for site in ("a", "b")]
    assert len({one.person for one in measurements(rows, ())}) == 1


def test_spans_and_missing_cells_are_told():
    rng = np.random.default_rng(3)
    ages = ["35-40", "n/a", *map(str, range(20, 32))]
    rows = [row("x", str(j), rng.standard_normal(), age=age) for j, age in enumerate(ages)]
    found = effect(answers(measurements(rows, ["age"]), ["age"]), "age", "one stage with age")
    assert found["n"] == 13
    assert "1 row without a covariate left out" in found["reason"]
    assert "age: 1 span taken at the middle" in found["reason"]


def test_a_covariate_that_does_not_vary_is_told():
    rows = [row("x", str(j), j, age="30") for j in range(6)]
    found = effect(answers(measurements(rows, ["age"]), ["age"]), "mean", "one stage with age")
    assert "do not vary" in found["reason"] and "estimate" not in found


@pytest.mark.parametrize(
    ("rows", "covariates", "said"),
    [
        ([{"site": "a", "person": "1", "value": "1"}], [], "lacks the column metabolite"),
        ([row("a", "1", 1.0)], ["age"], "lacks the column age"),
        ([row("a", "1", "x")], [], "row 2: value: 'x' is not a finite number"),
        ([row("a", "1", "inf")], [], "is not a finite number"),
        ([row("a", "1", 1.0, se="0")], [], "row 2: se is not positive"),
        ([row("a", "", 1.0)], [], "row 2: person is empty"),
        ([row("a", "1", "n/a")], [], "holds no row with a value"),
        ([], [], "lacks the column site"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(rows, covariates, said):
    with pytest.raises(DataError, match=said):
        measurements(rows, covariates)


def test_the_command_writes_effects_of_each_metabolite_and_region(tmp_path, capsys):
    rng = np.random.default_rng(4)
    lines = ["site\tperson\tregion\tmetabolite\tchange_percent\tse\tage\tsecret"]
    for site in "abcd":
        for person in range(6):
            for region in ("acc", "pcc"):
                for name in ("Glu", "GABA"):
                    lines.append(
                        f"{site}\t{site}{person}\t{region}\t{name}\t"
                        f"{3 + rng.standard_normal():.3f}\t0.5\t{20 + person}\tanna"
                    )
    path = tmp_path / "t.tsv"
    path.write_text("\n".join(lines) + "\n")
    asked = ["--table", str(path), "--covariates", "age", "--output", str(tmp_path / "out")]
    assert main(asked) == 0
    rows = read_table(tmp_path / "out" / "effects.tsv")
    assert {(one["metabolite"], one["region"]) for one in rows} == {
        (name, region) for name in ("Glu", "GABA") for region in ("acc", "pcc")
    }
    assert len(rows) == 4 * 4  # site means, one stage, and two terms with age
    stages = [one for one in rows if one["term"] == "mean" and one["model"] != "one stage with age"]
    for first, second in zip(stages[::2], stages[1::2]):
        assert float(first["estimate"]) == pytest.approx(float(second["estimate"]), abs=0.3)
    text = (tmp_path / "out" / "effects.tsv").read_text() + capsys.readouterr().out
    assert "anna" not in text and "secret" not in text
    with pytest.raises(SystemExit):
        main(["--table", str(path)])
