"""Which row of a table of changes answers the study's question (docs/science.md#question).

A change is known by its metabolite, estimator, matched, quantity and contrast. A study
asks for one of each (settings `sites`: metabolite, estimator, quantity; linewidths matched). Where
a scan or a study lacks that row, the next best on the same metabolite answers: first by estimator,
then matched before unmatched, then by quantity, then by contrast. Pages, tables of sites, the
accord with BOLD and the curve of analyses all take their row from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmrsflow.metabolites import in_words

KEYS = ("metabolite", "estimator", "matched", "quantity", "contrast")
"""Columns that make a question; each combination is answered by itself."""

ESTIMATORS = ("blocks", "joint", "timecourse")
"""In the order in which one stands in for another."""

QUANTITIES = ("molal", "ratio_tcr", "ratio_stable", "raw")
"""In the order in which one stands in for another."""

WATER_SCALED = ("molal", "molar", "alpha_corrected")
"""Quantities of concentrations.tsv that water scales; concentration.ABSOLUTE has their formulas."""

LEAST_READ = 0.5
"""Least share of a plateau that task less rest must hold by the design, where the response lags
like BOLD, for the plateau to be stated: no metabolite is known to respond faster."""


@dataclass(frozen=True)
class Question:
    """What a study asks first: one value of each column of `KEYS`; of the contrast how it ends, ""
    is any."""

    metabolite: str = "Glu"
    estimator: str = "blocks"
    matched: bool = True
    quantity: str = "molal"
    contrast: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Question:
        """The question of the settings of schemas/sites.yaml."""
        contrast = f"({settings['pair']})" if settings.get("pair") else ""
        asked = (settings[name] for name in ("metabolite", "estimator", "quantity"))
        metabolite, estimator, quantity = asked
        return cls(metabolite, estimator, True, quantity, contrast)

    @property
    def words(self) -> str:
        """The metabolite in words."""
        return in_words(self.metabolite)

    @property
    def arms(self) -> tuple[str, str] | None:
        """The two arms whose difference is asked for; None where a change is."""
        ending = self.contrast.rpartition("(")[2].rstrip(")")
        first, dash, second = ending.partition("-")
        return (first, second) if dash and self.contrast.endswith(")") else None

    def rank(self, row: Mapping[str, Any]) -> tuple[int, bool, int, bool]:
        """How far a row on the metabolite is from the question; all zero where it answers it."""
        return (
            _place(row["estimator"], self.estimator, ESTIMATORS),
            row["matched"] != self.matched,
            _place(row["quantity"], self.quantity, QUANTITIES),
            not row["contrast"].endswith(self.contrast),
        )

    def answered_by(self, row: Mapping[str, Any]) -> bool:
        """Whether a row answers exactly this question."""
        return row["metabolite"] == self.metabolite and not any(self.rank(row))

    def best(self, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The row that answers, else the next best on the metabolite; the first among equals, None
        where no row is on the metabolite."""
        own = [row for row in rows if row["metabolite"] == self.metabolite]
        return min(own, key=self.rank, default=None)


def main_key(keys: Iterable[tuple], settings: Mapping[str, Any]) -> tuple | None:
    """The key (values of `KEYS`) that the report answers first; None where none is on the
    metabolite."""
    rows = [dict(zip(KEYS, key)) for key in keys]
    answer = Question.from_settings(settings).best(rows)
    return None if answer is None else tuple(answer[name] for name in KEYS)


def _place(value: str, asked: str, order: tuple[str, ...]) -> int:
    """Place of a value in an order that what is asked for leads."""
    preferred = (asked, *(one for one in order if one != asked))
    return preferred.index(value) if value in preferred else len(preferred)
