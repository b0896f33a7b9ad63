"""ComBat beside the answer, in words: what it would say, and what is no longer in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fmrsflow.question import Question
from fmrsflow.report.effect_words import unit_of
from fmrsflow.report.render import signed
from fmrsflow.tables import Row
from fmrsflow.words import count


def combat_words(rows: Sequence[Row], asked: Question) -> Iterator[str]:
    """Sentences on the row of the main answer; nothing where there is none."""
    row = next((one for one in rows if asked.answered_by(one)), None)
    if row is None:
        return
    if row["combat_percent"] != row["combat_percent"]:
        yield f"ComBat {row['reason']}."
        return
    unit = unit_of(asked)
    yield (
        "ComBat takes the mean and the scatter of each site for the scanner's alone and removes "
        f"them, by empirical Bayes over {count(row['n_metabolites'], 'metabolite')} of "
        f"{count(row['n'], 'person')} at {count(row['n_sites'], 'site')}. Used as it mostly is, as "
        f"if there had been no sites, it gives {signed(row['combat_percent'])} {unit} "
        f"({signed(row['combat_low_percent'])} to {signed(row['combat_high_percent'])}); the mixed "
        f"model {signed(row['change_percent'])} {unit} ({signed(row['low_percent'])} to "
        f"{signed(row['high_percent'])})."
    )
    if row["width_percent"] < 100:
        yield (
            f"Its interval is {row['width_percent']:.0f} % as wide. That is no gain: the site "
            f"means differ by an SD of {row['sites_before_percent']:.1f} and after ComBat by "
            f"{row['sites_after_percent']:.1f}, so that the error no longer holds that other "
            "sites would find something else."
        )
    if row["protocol_before_percent"] == row["protocol_before_percent"]:
        yield (
            "Sites with their own protocol find "
            f"{signed(row['protocol_before_percent'])} points against the standardised one, after "
            f"ComBat {signed(row['protocol_after_percent'])}: a site has one protocol, so that the "
            "difference of protocols leaves with that of sites, real or not."
        )
    yield (
        "So do differences of the people of sites (age, sex, group) of which ComBat is not told; "
        "here it is told of none. It needs three persons a site or more. The answer is that of the "
        "mixed model." + (f" Of the table: {row['reason']}." if row["reason"] else "")
    )
