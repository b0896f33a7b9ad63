"""Which row of a table of changes answers the study's question (docs/science.md#question).

A change is known by its metabolite, estimator, matched, quantity, contrast and region. A study
asks for one of each (settings `sites`: metabolite, estimator, quantity, region; linewidths
matched). Where a scan or a study lacks that row, the next best on the same metabolite answers:
first by region, then by estimator, then matched before unmatched, then by quantity, then by
contrast. Pages, tables of sites, the accord with BOLD and the curve of analyses all take their row
from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmrsflow.metabolites import in_words

KEYS = ("metabolite", "estimator", "matched", "quantity", "contrast", "region")
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
    is any; of the region its label, None is any."""

    metabolite: str = "Glu"
    estimator: str = "blocks"
    matched: bool = True
    quantity: str = "molal"
    contrast: str = ""
    region: str | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Question:
        """The question of the settings of schemas/sites.yaml."""
        contrast = f"({settings['pair']})" if settings.get("pair") else ""
        asked = (settings[name] for name in ("metabolite", "estimator", "quantity"))
        metabolite, estimator, quantity = asked
        region = settings.get("region") or None
        return cls(metabolite, estimator, True, quantity, contrast, region)

    @property
    def words(self) -> str:
        """The metabolite in words, with the region where it has a name."""
        name = in_words(self.metabolite)
        return f"{name} in {self.region}" if self.region and not self.regions else name

    @property
    def arms(self) -> tuple[str, str] | None:
        """The two arms whose difference is asked for; None where a change is."""
        ending = self.contrast.rpartition("(")[2].rstrip(")")
        first, dash, second = ending.partition("-")
        return (first, second) if dash and self.contrast.endswith(")") else None

    @property
    def regions(self) -> tuple[str, str] | None:
        """The two regions whose difference is asked for; None where one region is."""
        first, dash, second = (self.region or "").partition("-")
        return (first, second) if dash else None

    @property
    def points(self) -> bool:
        """Whether a difference of two changes is asked for, in points of percent change."""
        return bool(self.arms or self.regions)

    def rank(self, row: Mapping[str, Any]) -> tuple[bool, int, bool, int, int]:
        """How far a row on the metabolite is from the question; all zero where it answers it. Rows
        of one unit have no column `region`: they are of its own."""
        return (
            self.region is not None and row.get("region", self.region) != self.region,
            _place(row["estimator"], self.estimator, ESTIMATORS),
            row["matched"] != self.matched,
            _place(row["quantity"], self.quantity, QUANTITIES),
            self._contrast_rank(row["contrast"]),
        )

    def _contrast_rank(self, contrast: str) -> int:
        """0 for the contrast that is asked for; 1 for the same conditions in another arm, as those
        of a scan, which knows of no arms; 2 for another."""
        if contrast.endswith(self.contrast):
            return 0
        return 1 if without_arms(contrast).endswith(without_arms(self.contrast)) else 2

    def answered_by(self, row: Mapping[str, Any]) -> bool:
        """Whether a row answers exactly this question."""
        return row["metabolite"] == self.metabolite and not any(self.rank(row))

    def best(self, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The row that answers, else the next best on the metabolite; among equals that of the
        first region by name, the first of these, None where no row is on the metabolite."""
        own = [row for row in rows if row["metabolite"] == self.metabolite]
        return min(own, key=lambda row: (*self.rank(row), row.get("region", "")), default=None)

    def differs(self, other: Question) -> list[str]:
        """What an answer (`other`) has instead of what is asked for, in words."""
        found = [
            f"{name} {theirs} for {own}"
            for name, own, theirs in (
                ("estimator", self.estimator, other.estimator),
                ("quantity", self.quantity, other.quantity),
                ("contrast", self.contrast, other.contrast),
                ("region", self.region or "", other.region or "none"),
            )
            if own and not theirs.endswith(own)
        ]
        return found + (["line widths not matched"] if self.matched > other.matched else [])


def ways_to_answer(
    rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Rows of sensitivity.tsv that answer the main question of their analysis by another estimator,
    matching or quantity. Another contrast, arm or region is another question."""
    main = next((row for row in rows if row["main"]), None)
    main = main or Question.from_settings(settings).best(rows)
    same = ("metabolite", "contrast", "region")
    return [row for row in rows if main and all(row[name] == main[name] for name in same)]


def without_arms(contrast: str) -> str:
    """A contrast without the arm or pair of arms that it ends with.

    >>> without_arms("task-rest (on-off)")
    'task-rest'
    """
    return contrast.partition("(")[0].rstrip()


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
