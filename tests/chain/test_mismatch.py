"""The small edition of the mismatch benchmark against its frozen scores: a change that makes an
analysis worse is seen in review, as a change of tests/chain/mismatch_small.tsv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from chain_tools import snakemake

from fmrsflow.stages.mismatch import main
from fmrsflow.tables import read_table, write_table

FROZEN = Path(__file__).with_name("mismatch_small.tsv")
"""Scores of the change, a row a contestant, and of concentrations, a row a metabolite."""

KEY = ("factor", "dose", "contestant", "metabolite", "n", "failures")
SCORES = ("bias", "rmse", "coverage", "flagged")

CLOSE = 0.03
"""Percentage points (of the concentration: percent). Another processor may end an optimisation
elsewhere by much less; a change of the analysis that moves a score by more is told."""


def scores(folder: Path) -> list[dict[str, str]]:
    """Scores of the small edition, made in `folder`."""
    assert main(["make", "small", str(folder), "--cores", "2", "--no-engines"]) == 0
    snakemake(folder / "curves", "--cores", "2", "--quiet", "all", "--", "all_response")
    assert main(["score", str(folder)]) == 0
    rows = [row | {"metabolite": "change of Glu"} for row in read_table(folder / "curves.tsv")]
    for row in read_table(folder / "concentrations.tsv"):
        rows.append(row | {"contestant": row["analysis"], "flagged": "n/a"})
    return [{name: row[name] for name in (*KEY, *SCORES)} for row in rows]


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("FMRSFLOW_MISMATCH"),
    reason="six minutes of CPU time: with FMRSFLOW_MISMATCH=1, before a release and where an "
    "analysis changes",
)
def test_no_score_of_the_small_edition_has_changed(tmp_path):
    found, frozen = scores(tmp_path), read_table(FROZEN)
    assert [[row[name] for name in KEY] for row in found] == [
        [row[name] for name in KEY] for row in frozen
    ]
    changed = [
        f"{old['factor']} {old['dose']}, {old['contestant']}, {old['metabolite']}: {name} "
        f"{old[name]} -> {new[name]}"
        for old, new in zip(frozen, found)
        for name in SCORES
        if old[name] != new[name] and abs(float(old[name]) - float(new[name])) > CLOSE
    ]
    told = f"freeze the new scores where they are meant to change: python {Path(__file__).name}"
    assert not changed, "\n".join([*changed, told])
    assert "Leaderboard" in (tmp_path / "mismatch.html").read_text()


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as name:
        write_table(FROZEN, scores(Path(name)))
