"""What pages say of BOLD: the sign in the voxel against that of the change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmrsflow.bold.group import Measured, accord, pair_row
from fmrsflow.report import bold_words
from fmrsflow.report.group_pages import consortium_page
from fmrsflow.report.pages import scan_page
from fmrsflow.report.read import read_consortium
from fmrsflow.results import Results
from fmrsflow.tables import bold as columns

FOUR = ((-30.0, -6.6), (-12.0, -2.2), (28.0, 6.9), (20.0, 0.6))
"""Areas, and the changes of Korotkov 2026."""


def pairs(changes=FOUR, se=1.5):
    rows = []
    for number, (bold, change) in enumerate(changes):
        identity = {
            "site": "s", "subject": f"0{number // 2 + 1}", "person": f"s/0{number // 2 + 1}",
            "label": ("left", "right")[number % 2], "contrast": "memory-rest",
            "place": ("left", "right")[number % 2],
            "change_percent": change, "change_se": se,
        }  # fmt: skip
        rows.append(pair_row(identity, "area", Measured(bold, 2.0), 2, ""))
    return rows


def outcome(rows):
    found = accord(rows)
    return {"measure": "area"} | {
        key: getattr(found, key) for key in columns.TEST if key != "measure"
    }


@pytest.fixture
def consortium(study, group):
    return read_consortium(Results(study), "main", group)


def test_two_persons_are_told_by_their_signs_and_not_tested(consortium):
    rows = pairs()
    (words,) = bold_words.consortium_words(
        replace(consortium, bold_pairs=rows, bold_tests=[outcome(rows)])
    )
    assert "one sign in 4 of 4 voxels of 2 persons" in words
    # -6.6 and +6.9 stand 4 SE from 0; -2.2 and 0.6 do not.
    assert "2 of the 4 are sure (probability of one sign above 0.95 or below 0.05)" in words
    # Both of one person fall, both of the other rise: all signs agree in one of two orders.
    assert "by themselves, whoever they belong to, is 2.0" in words
    assert "not tested: 2 persons" in words and "p =" not in words


def people(slope, n=6, measure="area"):
    """One voxel of each of n persons, both measures positive in all."""
    rows = []
    for number in range(n):
        identity = {
            "site": "s", "subject": f"0{number}", "person": f"s/0{number}", "label": f"0{number}",
            "place": "s", "contrast": "memory-rest",
            "change_percent": 20.0 + slope * number**2, "change_se": 0.5,
        }  # fmt: skip
        rows.append(pair_row(identity, measure, Measured(30.0 + number**2, 2.0), 1, ""))
    return rows


@pytest.mark.parametrize(
    ("slope", "said"),
    [(0.5, "persons of more go with more change"), (-0.5, "persons of more go with less change")],
)
def test_a_relation_over_persons_is_told_with_its_direction(consortium, slope, said):
    rows = people(slope)
    (words,) = bold_words.consortium_words(
        replace(consortium, bold_pairs=rows, bold_tests=[outcome(rows)])
    )
    assert "Over 6 persons" in words and words.endswith(f"{said}.")


def test_no_relation_is_told_as_such(consortium):
    rows = people(0.0)
    rows = [row | {"change_percent": 20 + change} for row, change in zip(rows, (3, 1, 2, 3, 1, 2))]
    (words,) = bold_words.consortium_words(
        replace(consortium, bold_pairs=rows, bold_tests=[outcome(rows)])
    )
    assert "no relation over persons is shown" in words and "6 of 6 voxels" in words


def test_the_heading_says_what_was_measured(consortium):
    for measure, title in (
        ("area", "BOLD and glutamate"),
        ("linewidth", "Line width of tCr and glutamate (no fMRI)"),
    ):
        rows = people(0.5, measure=measure)
        shown = replace(
            consortium,
            bold={f"concordance_{measure}": b"png"},
            bold_pairs=rows,
            bold_tests=[outcome(rows) | {"measure": measure}],
        )
        page = consortium_page(shown)
        assert f"<h2>{title}</h2>" in page
        section = page[page.index('id="bold"') :]
        section = section[: section.index("</section>")]
        assert ("BOLD" in section.partition("no proof that BOLD")[0]) is (measure == "area")
        assert ("whose errors they share" in section) is (measure == "linewidth")


def test_the_page_of_the_consortium_shows_every_voxel(consortium):
    rows = pairs()
    page = consortium_page(
        replace(
            consortium, bold={"group_area": b"png"}, bold_pairs=rows, bold_tests=[outcome(rows)]
        )
    )
    section = page[page.index('id="bold"') :]
    section = section[: section.index("</section>")]
    assert section.count("<tr>") == 5 and section.count("<td>yes</td>") == 4
    assert "Activation of the whole brain over persons." in section
    assert consortium_page(consortium).count('<section id="bold"') == 0


def test_the_page_of_a_scan_names_the_runs_and_the_sign(results):
    area = {"condition": "sum", "area_mean": -21.0, "area_mean_se": 3.0, "area_total": -1.0,
            "area_total_se": 1.0, "negative_share": 0.94, "sign": -1, "n_voxels": 245}  # fmt: skip
    runs = [
        {"run": 1, "used": True, "n_volumes": 270, "n_blocks": 12, "area_mean": -20.0,
         "area_mean_se": 4.0, "weight": 0.6, "reason": None},
        {"run": 2, "used": False, "n_volumes": None, "n_blocks": None, "area_mean": float("nan"),
         "area_mean_se": float("nan"), "weight": float("nan"), "reason": "its grid is another"},
    ]  # fmt: skip
    record = {"status": "ok", "n_runs": 2, "negative_share": 0.94}
    shown = replace(
        results,
        records={**results.records, "bold": record},
        bold_area=[area],
        bold_runs=runs,
        bold_pictures={"mask": b"png"},
    )
    words = bold_words.scan_words(shown)
    assert "245 voxels" in words and "2 runs combined" in words
    assert "\u221226.9 to \u221215.1 % s. BOLD falls with the task." in words
    page = scan_page(shown)
    section = page[page.index('id="bold"') :]
    assert "its grid is another" in section and '<td class="number">60</td>' in section
    section = page.partition('<section id="bold"')[2].partition("</section>")[0]
    of_bundle = scan_page(replace(shown, bold_pictures={}))
    assert 'href="#bold"' in of_bundle and 'id="bold"' not in scan_page(results)
    without = of_bundle.partition('<section id="bold"')[2].partition("</section>")[0]
    assert words in without and "<img" in section and "<img" not in without
    doubtful = replace(shown, bold_area=[{**area, "area_mean": 3.0}])
    assert "It may be of either sign." in bold_words.scan_words(doubtful)
    assert bold_words.scan_words(results) == ""
