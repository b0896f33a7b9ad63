"""What pages say of BOLD: its sign in the MRS voxel, against that of the metabolite's change."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def consortium_words(results: ConsortiumResults) -> list[str]:
    """Whether BOLD and the change have one sign, a sentence a measure."""
    return [_test_words(row, results) for row in results.bold_tests]


_MEASURES = {
    "area": "BOLD (area under the fMRI response)",
    "linewidth": "BOLD (narrowing of tCr)",
}


def _test_words(row: Row, results: ConsortiumResults) -> str:
    own = [
        pair for pair in results.bold_pairs if pair["measure"] == row["measure"] and pair["used"]
    ]
    sure = sum(max(pair["p_same_sign"], 1 - pair["p_same_sign"]) > SURE for pair in own)
    least = 0.5 ** row["n_persons"]
    doubt = f"{sure or 'none'} of the {row['n']} {'is' if sure == 1 else 'are'} sure"
    words = (
        f"{_MEASURES[row['measure']]} and {results.asked.words} have one sign in "
        f"{row['same_sign']} of {count(row['n'], 'voxel')} of "
        f"{count(row['n_persons'], 'person')}. Given the errors of both, "
        f"{row['n'] * row['expected_share']:.1f} are expected to have; {doubt} (probability of "
        f"one sign above {SURE:g} or below {1 - SURE:.2g}). If signs were random, accord this "
        f"close would be found with p = {row['p_value']:.2g} where voxels are independent, and "
        f"with p = {row['p_value_persons']:.2g} where those of a person go together"
    )
    if least > 0.05:
        words += f" ({count(row['n_persons'], 'person')} cannot give less than {least:.2g})"
    return words + "."


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
        return f"Change of {results.asked.words} against BOLD in the same box: {measure}."
    what = name.removeprefix("group_")
    if what == "area":
        return "Activation of the whole brain over persons."
    region, _, contrast = what.rpartition("ppi-")
    place = f" of the voxel {region.strip('_')}" if region else ""
    return f"Connectivity{place} over persons: {contrast}."
