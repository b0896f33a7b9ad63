"""What pages say of BOLD: its sign in the MRS voxel, against that of the metabolite's change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmrsflow.bold.concordance import LEAST_PERSONS
from fmrsflow.metabolites import in_words
from fmrsflow.report.render import signed
from fmrsflow.report.results import ConsortiumResults, ScanResults
from fmrsflow.report.words import headline
from fmrsflow.tables import Row
from fmrsflow.words import count

SURE = 0.95
"""Probability of a sign above which it is called sure."""


def scan_words(results: ScanResults) -> str:
    """BOLD in the voxel of one scan in sentences; "" where there is no run."""
    record = results.record("bold")
    if not record or not results.bold_area:
        return ""
    row = results.bold_area[-1]
    mean, se = row["area_mean"], row["area_mean_se"]
    runs = record.get("n_runs", 1)
    words = (
        f"Mean area under the response of {count(row['n_voxels'], 'voxel')} of the BOLD series "
        f"inside the MRS voxel, {f'{runs} runs combined, ' if runs > 1 else ''}95 % interval: "
        f"{signed(mean - 1.96 * se)} to {signed(mean + 1.96 * se)} % s. {_direction(mean, se)} "
        f"{100 * row['negative_share']:.0f} % of the voxels respond with a fall."
    )
    if record.get("not_used"):
        return f"{words} Not used: {record['not_used']}."
    change = headline(results.changes, results.asked)
    if change and math.isfinite(change["se_percent"]):
        words += (
            f" {results.asked.words.capitalize()}: {signed(change['change_percent'])} % "
            f"(95 % interval {signed(change['low_percent'])} to "
            f"{signed(change['high_percent'])} %)."
        )
    return words


def _direction(value: float, se: float) -> str:
    if abs(value) <= 1.96 * se:
        return "It may be of either sign."
    return f"BOLD {'rises' if value > 0 else 'falls'} with the task."


def heading(results: ConsortiumResults) -> str:
    """What was measured beside the metabolite: BOLD by fMRI, or the line width alone."""
    measures = {row["measure"] for row in results.bold_pairs}
    if "area" in measures or not measures:
        return f"BOLD and {in_words(results.asked.metabolite)}"
    return f"Line width of tCr and {in_words(results.asked.metabolite)} (no fMRI)"


def consortium_words(results: ConsortiumResults) -> list[str]:
    """Whether persons of more BOLD are those of more change, a sentence or two a measure."""
    return [_test_words(row, results) for row in results.bold_tests]


_MEASURES = {
    "area": "BOLD (area under the fMRI response)",
    "linewidth": "The narrowing of the tCr line in the task",
}


def _test_words(row: Row, results: ConsortiumResults) -> str:
    own = [
        pair for pair in results.bold_pairs if pair["measure"] == row["measure"] and pair["used"]
    ]
    sure = sum(max(pair["p_same_sign"], 1 - pair["p_same_sign"]) > SURE for pair in own)
    doubt = f"{sure or 'none'} of the {row['n']} {'is' if sure == 1 else 'are'} sure"
    words = (
        f"{_MEASURES[row['measure']]} and {in_words(results.asked.metabolite)} have one sign in "
        f"{row['same_sign']} of {count(row['n'], 'voxel')} of "
        f"{count(row['n_persons'], 'person')}. Given the errors of both, "
        f"{row['n'] * row['expected_share']:.1f} are expected to have; {doubt} (probability of "
        f"one sign above {SURE:g} or below {1 - SURE:.2g}). What the signs of each measure give by "
        f"themselves, whoever they belong to, is {row['same_sign_by_chance']:.1f}. "
    )
    return words + _persons_words(row)


def _persons_words(row: Row) -> str:
    """What the comparison of persons shows, which needs enough of them."""
    n = row["n_exchanged"]
    if n < LEAST_PERSONS:
        return (
            f"Whether persons of more are those of more change is not tested: {count(n, 'person')} "
            f"measured at places that others were too, {LEAST_PERSONS} are needed."
        )
    if math.isnan(row["correlation"]):
        return "Over persons nothing can be compared: one of the two does not vary."
    true = row["correlation_true"]
    errors = (
        "their errors explain all of the scatter"
        if math.isnan(true)
        else f"{true:.2f} without the scatter that their errors explain"
    )
    shown = (
        "persons of more go with more change"
        if row["correlation"] > 0
        else "persons of more go with less change"
    )
    if row["p_value"] >= 0.05:
        shown = "no relation over persons is shown"
    words = (
        f"Over {n} persons within sites and places the two correlate by {row['correlation']:.2f} "
        f"({errors}); exchanging persons, p = {row['p_value']:.2g}: {shown}."
    )
    if row["measure"] == "linewidth":
        words += (
            " Both come from the same spectra, whose errors they share: no proof that BOLD and the "
            "metabolite go together."
        )
    return words


def pair_rows(results: ConsortiumResults) -> Sequence[Row]:
    """Rows of the fMRI measure, of the linewidth where there is none."""
    for measure in _MEASURES:
        if own := [row for row in results.bold_pairs if row["measure"] == measure]:
            return own
    return ()


def caption(name: str, results: ConsortiumResults) -> str:
    """What a picture of the bold stage over the analysis shows."""
    if name.startswith("concordance_"):
        measure = name.removeprefix("concordance_")
        return f"{_MEASURES[measure]} and the change of {in_words(results.asked.metabolite)}."
    what = name.removeprefix("group_")
    if what == "area":
        return "Activation of the whole brain over persons."
    region, _, contrast = what.rpartition("ppi-")
    place = f" of the voxel {region.strip('_')}" if region else ""
    return f"Connectivity{place} over persons: {contrast}."
