"""The plan of a study: its ranking, its tables and its page."""

from __future__ import annotations

import math
import re

import pytest

from fmrsflow.errors import DataError
from fmrsflow.plan.answer import (
    Asked,
    blocks_of_minutes,
    blocks_of_transients,
    listed_events,
    make_plan,
)
from fmrsflow.plan.people import Wish
from fmrsflow.report.plan_page import plan_page
from fmrsflow.report.plan_words import lines
from fmrsflow.sites.power import ChangeSpread
from fmrsflow.tables import parse_table, table_bytes
from fmrsflow.tables.plan import TABLES

SPREAD = ChangeSpread(0.5, 1.5)


def asked(**changes) -> Asked:
    """Two TRs, two blocks and two lengths at 3T."""
    given = {
        "fields_t": [3.0],
        "sequences": ["sLASER"],
        "te_s": [0.030],
        "tr_s": [2.0, 4.0],
        "volumes_ml": [20.0],
        "tasks": [blocks_of_minutes(b, None, m) for b in (8.0, 64.0) for m in (5.0, 10.0)],
        "metabolite": "Glu",
        "response": "hrf",
        "wish": Wish(3.0, 0.8, 1, 20.0, SPREAD, (ChangeSpread(0.0, 1.0), ChangeSpread(0.8, 2.0))),
        "sites": [4, 8],
        "participants": [4, 12],
    }
    return Asked(**(given | changes))


@pytest.fixture(scope="module")
def answer():
    return make_plan(asked(), {})


def test_the_best_ones_come_first_and_blocks_that_hold_nothing_last(answer):
    times = [row["relative_time"] for row in answer.rows]
    assert times[0] == 1.0
    known = [one for one in times if one is not None]
    assert known == sorted(known)
    assert [row["block_s"] for row in answer.rows[:4]] == [64.0] * 4
    # A response like BOLD in blocks of 8 s: rest holds as much of it as the task.
    last = answer.rows[-1]
    assert last["relative_time"] is None and last["participants"] is None
    assert "holds nothing of a plateau" in last["reason"]


def test_rows_are_consistent(answer):
    for row in answer.rows:
        assert row["scan_min"] == pytest.approx(row["transients"] * row["tr_s"] / 60)
        if row["se_as_plateau_percent"] is not None:
            assert row["se_as_plateau_percent"] == pytest.approx(row["se_percent"] / row["reads"])
            assert row["participants_high"] >= row["participants"]
            people = row["participants"] * row["sites"]
            assert row["hours"] == pytest.approx(people * (row["scan_min"] + 20) / 60)


def test_tables_have_the_columns_that_are_declared(answer):
    tables = answer.tables()
    assert set(tables) == {"designs", "errors", "plan"}
    for name, rows in tables.items():
        content = table_bytes(rows, TABLES[name])
        assert len(parse_table(content, TABLES[name], name)) == len(rows)
        assert set(rows[0]) <= set(TABLES[name])


def test_each_option_is_compared_alone(answer):
    worth = answer.worth()
    assert set(worth) == {"tr_s", "block_s", "minutes"}
    best = answer.best.design.settings()
    for name, rows in worth.items():
        (own,) = (row for row in rows if row[0] == best[name])
        assert own[2] == pytest.approx(1.0)
        assert len(rows) == 2


def test_without_sds_the_error_of_a_scan_ranks_and_no_people_are_told(answer):
    alone = make_plan(asked(wish=Wish(3.0, 0.8, 1, 20.0), tr_s=[2.0]), {})
    assert "plan" not in alone.tables()
    assert alone.rows[0]["participants"] is None
    assert any("not known" in line for line in lines(alone, 3))
    assert "SDs between people and sites are not known" in plan_page(alone)


def test_snr_and_linewidth_that_are_given_count(answer):
    given = asked(snr=[12.0], fwhm_hz=[5.0], tr_s=[2.0], tasks=[blocks_of_transients(64, 32.0, 96)])
    found = make_plan(given, {})
    (row,) = found.rows
    assert row["snr_tcr"] == pytest.approx(12.0)
    assert (row["fwhm_tcr_hz"], row["rest_s"], row["transients"]) == (5.0, 32.0, 96)
    assert "SNR given" in row["noise"]
    half = make_plan(asked(snr=[24.0], fwhm_hz=[5.0], tr_s=[2.0], tasks=given.tasks), {})
    # Gain is what does not fall with the noise.
    assert 0.5 < half.rows[0]["se_percent"] / row["se_percent"] < 0.6


def test_events_stand_in_place_of_blocks():
    events = [{"onset": 20.0 + 40 * k, "duration": 20.0, "trial_type": "video"} for k in range(6)]
    found = make_plan(asked(tasks=[listed_events(events, lambda tr_s: round(260 / tr_s))]), {})
    assert {row["transients"] for row in found.rows} == {65, 130}
    assert all(math.isnan(row["block_s"]) for row in found.rows)
    assert "events" in lines(found, 1)[0]


def test_a_grid_in_which_nothing_can_be_told_is_refused():
    with pytest.raises(DataError, match="no event lies within the scan"):
        make_plan(asked(tasks=[blocks_of_minutes(64.0, None, 0.5)]), {})
    with pytest.raises(DataError, match="seconds"):
        make_plan(asked(te_s=[30.0]), {})
    with pytest.raises(DataError, match="at most"):
        make_plan(asked(volumes_ml=list(range(1, 400))), {})


def test_the_page_is_whole(answer):
    page = plan_page(answer)
    for part in ("Recommended:", "Why this one", "What it depends on", "People and sites",
                 "Cramér-Rao"):  # fmt: skip
        assert part in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.S).lower().replace(
        "nanome", ""
    )
