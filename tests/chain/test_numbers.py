"""Numbers of the tiny study are those on record: one that moves needs an entry in CHANGELOG.md."""

from __future__ import annotations

import pytest

import moved

pytestmark = pytest.mark.slow

SMALL_PERCENT, SMALL_ERRORS = 0.01, 0.001
"""Moves that are those of another processor (docs/scale.md, the same numbers everywhere): hundred
times those between kernels."""


def test_no_number_moved(tiny_run):
    results = tiny_run / "results"
    after = moved.numbers(results)
    assert len(after) > 300
    far = [
        one
        for one in moved.moves(moved.frozen(moved.TINY), after)
        if not (one.percent <= SMALL_PERCENT or (one.errors or 1) <= SMALL_ERRORS)
    ]
    mend = f"python benchmarks/moved.py {results} --freeze, and say why in CHANGELOG.md"
    assert not far, "\n".join([*moved.summary(far, len(after)), mend])


def test_a_number_that_moves_is_told_with_its_size():
    key = ("main", "meta", "Glu joint true molal", "change_percent")
    before = {key: "4", (*key[:3], "se_percent"): "0.5"}
    (move,) = moved.moves(before, before | {key: "4.25"})
    assert (move.errors, move.percent) == (0.5, 6.25)
    assert "4 -> 4.25, 0.50 of its errors" in moved.summary([move], 2)[1]
    (gone,) = moved.moves(before, {key: "4"})
    assert "1 there only before or after" in moved.summary([gone], 2)[1]
