"""Who is ranked against whom where contestants saw different scans."""

from __future__ import annotations

import numpy as np

from fmrsflow.mismatch.scores import Outcome
from fmrsflow.mismatch.scoring import _curves


def outcomes(n_pairs: int, sd: float) -> list[Outcome]:
    """Pairs of mirrored errors; those of fewer pairs are the first of those of more."""
    noise = np.random.default_rng(3).standard_normal(n_pairs)
    errors = sd * np.column_stack([noise, -noise]).ravel()
    return [Outcome(n // 2, 3.0, 3.0 + e, 0.0, 6.0, False, 1.0) for n, e in enumerate(errors)]


def ranked(**by_name) -> dict[str, dict]:
    changes = {(3, "nominal", None, ""): by_name}
    return {row["contestant"]: row for row in _curves(changes, 1)}


def test_an_engine_that_saw_fewer_scans_is_ranked_before_what_it_beats_on_them():
    found = ranked(own=outcomes(20, 1.0), other=outcomes(20, 2.0), engine=outcomes(15, 0.1))
    assert {name: row["rank"] for name, row in found.items()} == {"engine": 1, "own": 2, "other": 3}
    assert found["own"]["better"] == "engine" and found["other"]["better"] == "own; engine"
    assert found["own"]["rmse_shared"] != found["own"]["rmse"]
    assert found["engine"]["rmse_shared"] == found["engine"]["rmse"]
