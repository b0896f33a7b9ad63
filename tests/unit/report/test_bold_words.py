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


def test_the_answer_says_how_many_signs_agree_and_what_two_persons_can_show(consortium):
    rows = pairs()
    (words,) = bold_words.consortium_words(
        replace(consortium, bold_pairs=rows, bold_tests=[outcome(rows)])
    )
    assert "one sign in 4 of 4 voxels of 2 persons" in words
    # All four signs agree in 1 of 16 patterns, those of both persons in 1 of 4.
    assert "p = 0.062" in words and "p = 0.25 where those of a person" in words
    assert "2 persons cannot give less than 0.25" in words
    # -6.6 and +6.9 stand 4 SE from 0; -2.2 and 0.6 do not.
    assert "2 of the 4 are sure (probability of one sign above 0.95 or below 0.05)" in words


def test_discord_is_told_as_such(consortium):
    rows = pairs(((-30.0, 6.6), (-12.0, 5.2), (28.0, -6.9), (20.0, -4.6)))
    (words,) = bold_words.consortium_words(
        replace(consortium, bold_pairs=rows, bold_tests=[outcome(rows)])
    )
    assert "one sign in 0 of 4 voxels" in words and "p = 1 where" in words


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
    doubtful = replace(shown, bold_area=[{**area, "area_mean": 3.0}])
    assert "It may be of either sign." in bold_words.scan_words(doubtful)
    assert bold_words.scan_words(results) == ""
