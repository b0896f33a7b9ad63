"""`fmrsflow plan`: power and minimal detectable change of a study to come, printed, as TSV and as a
picture; SDs from an analysed study, or given."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.results import Results
from fmrsflow.study import Study, study_option
from fmrsflow.tables import write_table

SDS = ("site", "participant", "measurement")
"""Standard deviations, percent, that a plan is made from."""


def main(argv: list[str]) -> int:
    """Print the table; write plan.tsv, plan.svg and plan.png with --output."""
    parser = argparse.ArgumentParser(prog="fmrsflow plan", description=__doc__)
    study_option(parser)
    parser.add_argument("--analysis", help="analysis of the study (default: the primary one)")
    given = "; the study is read unless --sd-site and --sd-participant are given"
    parser.add_argument("--sd-site", type=float, help=f"SD between sites, percent{given}")
    parser.add_argument("--sd-participant", type=float, help="SD between participants, percent")
    parser.add_argument("--sd-measurement", type=float, help="SD of one scan, percent")
    parser.add_argument("--effect", type=float, default=3.0, help="true change, percent")
    parser.add_argument("--power", type=float, default=0.8, help="power of the minimal effect")
    parser.add_argument("--scans", type=int, default=1, help="scans of each participant")
    parser.add_argument(
        "--sites", type=_counts, default=[2, 4, 6, 8, 12, 16, 20, 30], help="as 4,8,12"
    )
    parser.add_argument(
        "--participants",
        type=_counts,
        default=[2, 4, 8, 12, 16, 24, 40],
        help="participants of each site, as 4,8,12",
    )
    parser.add_argument("--output", type=Path, help="folder for plan.tsv, plan.svg, plan.png")
    arguments = parser.parse_args(argv)
    if not 0.05 < arguments.power < 1 or arguments.scans < 1 or min(arguments.sites) < 2:
        parser.error("power lies between 0.05 and 1, scans from 1, sites from 2")
    own = {name: getattr(arguments, f"sd_{name}") for name in SDS}
    own = {name: sd for name, sd in own.items() if sd is not None}
    sds, ends = {"measurement": 0.0}, None
    if not {"site", "participant"} <= set(own):
        sds, ends = _study_sds(arguments.study, arguments.analysis)
        # What is given is taken as known.
        ends = ends and [one | own for one in ends]
    sds |= own
    if min(sds.values()) < 0:
        parser.error("standard deviations must not be negative")
    _write(arguments, sds, ends)
    return 0


def _write(arguments, sds: dict[str, float], ends: list[dict[str, float]] | None) -> None:
    from fmrsflow.sites.power import ChangeSpread, table

    spread = ChangeSpread(**sds, scans=arguments.scans)
    both = ends and tuple(ChangeSpread(**one, scans=arguments.scans) for one in ends)
    rows = table(
        arguments.effect, arguments.sites, arguments.participants, spread, arguments.power, both
    )
    print(
        f"SD between sites {spread.site:.2f} %, participants {spread.participant:.2f} %, one scan "
        f"{spread.measurement:.2f} %, {spread.scans} scan(s) each; two-sided test at 5 %"
    )
    _print(rows, "power", f"power to find a change of {arguments.effect:g} %", "{:.2f}")
    if both:
        wide = both[1]
        print(
            "\nThe study knows these SDs to their 95 % intervals only: at the upper ends (sites "
            f"{wide.site:.2f} %, participants {wide.participant:.2f} %)"
        )
        _print(rows, "power_low", "power there, which a plan should reach", "{:.2f}")
    least = f"smallest change (%) found with power {arguments.power:g}"
    _print(rows, "minimal_effect_percent", least, "{:.1f}")
    if arguments.output:
        from fmrsflow.report.site_figures import power_surface
        from fmrsflow.tables.sites import TABLES

        figure = power_surface(rows)
        columns = {name: TABLES["power"][name] for name in rows[0]}
        write_table(arguments.output / "plan.tsv", rows, columns)
        for kind in ("svg", "png"):
            figure.savefig(arguments.output / f"plan.{kind}", dpi=130)


def _counts(text: str) -> list[int]:
    """`4,8,12` as numbers; argparse reports what is none."""
    counts = sorted({int(part) for part in text.split(",")})
    if counts[0] < 1:
        raise argparse.ArgumentTypeError("counts start at 1")
    return counts


def _study_sds(study: str, analysis: str | None):
    """SDs that power.tsv of a study was made with, and the ends of their intervals, least first
    (None where it has none); DataError where there are no SDs."""
    loaded = Study.load(study)
    name = analysis or loaded.config["primary"]
    loaded.analysis(name)
    made = Results(loaded).group("sites", name)
    if not made.exists:
        raise DataError(
            f"{made.place('power.tsv')} is not there; run the workflow (or `fmrsflow sites "
            f"{name}`) first, or give --sd-site and --sd-participant"
        )
    rows = made.table("power")
    if not rows or math.isnan(rows[0]["sd_site_percent"]):
        reason = rows[0]["reason"] if rows else "it has no response"
        raise DataError(f"analysis {name}: {reason}; give --sd-site and --sd-participant")
    first = rows[0]
    ends = [{part: first[f"sd_{part}_{end}_percent"] for part in SDS} for end in ("low", "high")]
    known = not any(math.isnan(sd) for one in ends for sd in one.values())
    return {part: first[f"sd_{part}_percent"] for part in SDS}, ends if known else None


def _print(rows: list[dict], column: str, title: str, form: str) -> None:
    sites = sorted({row["sites"] for row in rows})
    people = sorted({row["participants"] for row in rows})
    value = {(row["sites"], row["participants"]): row[column] for row in rows}
    print(f"\n{title}\n{'participants a site':>20}" + "".join(f"{k:>4} sites" for k in sites))
    for n in people:
        print(f"{n:>20}" + "".join(f"{form.format(value[k, n]):>10}" for k in sites))
