"""What was registered before, and what all analyses say together, in words of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fmrsflow.question import Question
from fmrsflow.report.effect_words import unit_of
from fmrsflow.report.render import signed
from fmrsflow.sites.multiverse import ALL, COMPLETE, PERSONS, SITES
from fmrsflow.tables import Row
from fmrsflow.words import count


def registered_words(registered: Mapping, deviations: Sequence[Row]) -> str:
    """What file was registered and how many deviations there are; "" where none was."""
    if not registered.get("sha256"):
        return ""
    told = count(len(deviations), "deviation") if deviations else "no deviation"
    return (
        f"The run was checked against the preregistration {registered['file']} (SHA-256 "
        f"{registered['sha256'][:12]}...): {told}."
    )


def joint_words(tests: Sequence[Row], registered: Mapping, asked: Question) -> Iterator[str]:
    """The joint test of all analyses, a sentence each on what it is, finds and assumes."""
    by = {(row["flipped"], row["people"]): row for row in tests}
    first, second = by.get((PERSONS, ALL)), by.get((SITES, ALL))
    if not first or not second:
        return
    if not first["n_flips"]:
        yield f"All analyses together: the joint test {first['reason']}."
        return
    unit = unit_of(asked)
    weighed = (
        "weighing what the preregistration says"
        if registered.get("sha256")
        else "each counting the same, since nothing was registered"
    )
    persons = count(first["n_persons"], "person")
    least, most = signed(first["least_percent"]), signed(first["greatest_percent"])
    yield (
        f"The main answers of {count(first['n_analyses'], 'analysis', 'analyses')} together, "
        f"{weighed}: the median of their means over {persons} is "
        f"{signed(first['median_percent'])} {unit} (from {least} to {most} {unit}). If nothing "
        "changed in anybody, the signs of a person's changes could as well be the opposite, in all "
        f"analyses at once. Flipped so, person by person, {_p(first, 'patterns of signs')}."
    )
    yield (
        "That takes sites to have no effect of their own. With the people of a site flipped "
        f"together it need not be so: {_p(second, 'patterns')}. Believe the second unless sites "
        "are known to be alike. Both take changes to scatter evenly about zero where there is "
        "none, and are not among the tests counted above."
    )
    complete = by.get((PERSONS, COMPLETE))
    if complete:
        lacking = count(first["n_missing"], "change")
        yield (
            f"{lacking} of a person in an analysis {'is' if first['n_missing'] == 1 else 'are'} "
            "missing and took no part there. Of the "
            f"{count(complete['n_persons'], 'person')} with every analysis alone, "
            f"{_p(complete, 'patterns')}."
        )


def _p(row: Row, what: str) -> str:
    if not row["n_flips"]:
        return f"p {row['reason']}"
    which = "all" if row["exact"] else "a sample of"
    least = f"; {row['reason']}" if row["reason"] else ""
    return f"p is {row['p_median']:.3g} ({which} {row['n_flips']} {what}{least})"
