"""`fmrsflow plan`: people and sites for a change to be found; with `--field` the best of a grid of
protocols and designs too, from the Cramer-Rao bound of each. Printed, as TSV and as a page."""

from __future__ import annotations

import argparse
import math
from itertools import islice
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.question import LEAST_READ
from fmrsflow.results import Results
from fmrsflow.study import Study, study_option
from fmrsflow.tables import read_table, write_table

SDS = ("site", "participant", "measurement")
"""Standard deviations, percent, that a plan is made from."""

GRID = {
    "sequence": ["sLASER"],
    "te": [0.030],
    "tr": [1.5, 2.0, 3.0, 4.0, 5.0],
    "voxel": [20.0],
    "block": [16.0, 32.0, 64.0, 128.0],
    "minutes": [5.0, 10.0, 20.0],
}
"""What is compared where an option is not given."""

SCANS_LOOKED_AT = 6
"""Of each site of a study, for its noise."""

PRINTED = 12
"""Designs that the command prints."""


def main(argv: list[str]) -> int:
    """Print the answer; write tables and page with --output."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not 0.05 < arguments.power < 1 or arguments.scans < 1 or min(arguments.sites) < 2:
        parser.error("power lies between 0.05 and 1, scans from 1, sites from 2")
    _check_designs(parser, arguments)
    own = {name: getattr(arguments, f"sd_{name}") for name in SDS}
    own = {name: sd for name, sd in own.items() if sd is not None}
    sds, ends = {"measurement": 0.0}, None
    known = {"site", "participant"} <= set(own)
    # A study that is named must be there; the usual one may be, where designs are compared.
    named = arguments.study != parser.get_default("study")
    there = named or Path(arguments.study).exists()
    if arguments.field and not there and own and not known:
        parser.error(
            "give both --sd-site and --sd-participant: there is no study to read the other"
        )
    if not known and (there or not arguments.field):
        shape = arguments.response if arguments.field else "boxcar"
        sds, ends = _study_sds(arguments.study, arguments.analysis, shape)
        # What is given is taken as known.
        ends = ends and [one | own for one in ends]
    sds |= own
    if min(sds.values()) < 0:
        parser.error("standard deviations must not be negative")
    if arguments.field:
        _plan_designs(arguments, sds, ends, _study_scans(arguments) if there else {})
    else:
        _write(arguments, sds, ends)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fmrsflow plan", description=__doc__)
    study_option(parser)
    parser.add_argument("--analysis", help="analysis of the study (default: the primary one)")
    given = "; the study is read unless --sd-site and --sd-participant are given"
    parser.add_argument("--sd-site", type=float, help=f"SD between sites, percent{given}")
    parser.add_argument("--sd-participant", type=float, help="SD between participants, percent")
    parser.add_argument(
        "--sd-measurement", type=float, help="SD of one scan, percent (without --field)"
    )
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
    parser.add_argument("--output", type=Path, help="folder for tables and page")
    _design_options(parser.add_argument_group("designs, several values of an option make a grid"))
    return parser


def _design_options(group) -> None:
    several = {"nargs": "+", "type": float}
    group.add_argument("--field", **several, help="field, T; compares designs")
    group.add_argument("--sequence", nargs="+", help="PRESS, sLASER, STEAM or SPECIAL")
    group.add_argument("--te", **several, help="echo time, s")
    group.add_argument("--tr", **several, help="repetition time, s")
    group.add_argument("--voxel", **several, help="size of the voxel, mL")
    group.add_argument("--block", **several, help="length of a block of the task, s")
    group.add_argument("--rest", type=float, help="rest before each block, s (default: its length)")
    group.add_argument("--events", type=Path, help="events.tsv in place of blocks")
    group.add_argument("--minutes", **several, help="length of a scan, min")
    group.add_argument("--transients", nargs="+", type=int, help="transients, in place of minutes")
    group.add_argument("--metabolite", default="Glu", help="whose change is to be found")
    group.add_argument("--response", default="hrf", help="assumed shape of the response")
    group.add_argument(
        "--tissue", nargs=3, type=float, help="volume fractions of GM, WM and CSF in the voxel"
    )
    group.add_argument(
        "--snr",
        **several,
        help="SNR of tCr of one transient, one a field, at the first value of each option "
        "(default: that of the study's sites, else of public scans)",
    )
    group.add_argument("--linewidth", **several, help="FWHM of tCr, Hz, one a field")
    group.add_argument(
        "--overhead", type=float, default=20.0, help="time of a visit beside scans, min"
    )


def _check_designs(parser: argparse.ArgumentParser, arguments) -> None:
    """Refuse what cannot be planned."""
    from fmrsflow.plan.grid import METABOLITES, SHAPES

    own = (*GRID, "rest", "events", "transients", "tissue", "snr", "linewidth")
    given = [name for name in own if getattr(arguments, name) is not None]
    if not arguments.field:
        if given:
            parser.error(f"--{given[0]} belongs to designs, which --field asks for")
        return
    if arguments.sd_measurement is not None:
        parser.error("--sd-measurement: the error of a scan follows from its design")
    for name in ("snr", "linewidth"):
        values = getattr(arguments, name)
        if values and len(values) != len(arguments.field):
            parser.error(f"--{name} needs a value for each --field")
    for one, other in (("transients", "minutes"), ("events", "block"), ("events", "rest")):
        if getattr(arguments, one) and getattr(arguments, other):
            parser.error(f"either --{one} or --{other}")
    if arguments.response not in SHAPES:
        parser.error(f"--response is one of {', '.join(SHAPES)}")
    if arguments.metabolite not in METABOLITES:
        parser.error(f"--metabolite is one of {', '.join(METABOLITES)}")
    positive = ("field", "te", "tr", "voxel", "block", "minutes", "transients", "snr", "linewidth")
    for name in positive:
        if min(getattr(arguments, name) or [1.0]) <= 0:
            parser.error(f"--{name} is above 0")
    if arguments.overhead < 0 or (arguments.rest is not None and arguments.rest <= 0):
        parser.error("--overhead must not be negative, --rest is above 0")


def _plan_designs(arguments, sds: dict[str, float], ends, scans: dict) -> None:
    from fmrsflow.plan.answer import make_plan
    from fmrsflow.report.plan_words import lines

    made = make_plan(_asked(arguments, sds, ends), scans)
    print("\n".join(lines(made, PRINTED)))
    if arguments.output:
        from fmrsflow.files import write_bytes
        from fmrsflow.report.plan_page import plan_page
        from fmrsflow.tables.plan import TABLES

        for name, rows in made.tables().items():
            write_table(arguments.output / f"{name}.tsv", rows, TABLES[name])
        write_bytes(arguments.output / "plan.html", plan_page(made).encode())
        print(arguments.output / "plan.html")


def _asked(arguments, sds: dict[str, float], ends):
    """What is to be planned, from the command line; SDs in points of the plateau."""
    from fmrsflow.concentration import Tissue
    from fmrsflow.plan.answer import Asked
    from fmrsflow.plan.people import Wish
    from fmrsflow.sites.power import ChangeSpread

    def spread(one):
        """Of people and sites alone."""
        return ChangeSpread(one["site"], one["participant"])

    known = {"site", "participant"} <= set(sds)
    wish = Wish(
        arguments.effect,
        arguments.power,
        arguments.scans,
        arguments.overhead,
        spread(sds) if known else None,
        ends and (spread(ends[0]), spread(ends[1])),
    )
    values = {name: getattr(arguments, name) or default for name, default in GRID.items()}
    return Asked(
        fields_t=arguments.field,
        sequences=values["sequence"],
        te_s=values["te"],
        tr_s=values["tr"],
        volumes_ml=values["voxel"],
        tasks=_tasks(arguments, values),
        metabolite=arguments.metabolite,
        response=arguments.response,
        wish=wish,
        sites=arguments.sites,
        participants=arguments.participants,
        tissue=Tissue(*arguments.tissue) if arguments.tissue else None,
        snr=arguments.snr or (),
        fwhm_hz=arguments.linewidth or (),
    )


def _tasks(arguments, values) -> list:
    from fmrsflow.events import events_of
    from fmrsflow.fit.foreseen import length_of
    from fmrsflow.plan import answer

    if arguments.events:
        events = events_of(read_table(arguments.events), arguments.events.name)
        if arguments.transients:
            return [answer.listed_events(events, lambda _, n=n: n) for n in arguments.transients]
        return [answer.listed_events(events, lambda tr_s: length_of(events, tr_s))]
    lengths = arguments.transients or values["minutes"]
    make = answer.blocks_of_transients if arguments.transients else answer.blocks_of_minutes
    return [make(block, arguments.rest, n) for block in values["block"] for n in lengths]


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


def _study_sds(study: str, analysis: str | None, shape: str):
    """SDs that power.tsv of a study was made with, and the ends of their intervals, least first
    (None where it has none), in points of the plateau under a shape of the response (`boxcar`: of
    the difference); DataError where there are no SDs."""
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
    found = [{part: first[f"sd_{part}_percent"] for part in SDS}, *ends]
    share = _share(made, shape)
    sds, *ends = ({part: sd / share for part, sd in one.items()} for one in found)
    return sds, ends if known else None


def _share(made, shape: str) -> float:
    """What the difference of the study's own design holds of a plateau; 1 where its table of
    plateaus does not say, or none is left to divide by."""
    rows = made.table("plateau") if shape != "boxcar" and made.has("plateau.tsv") else []
    shares = [row["boxcar_reads"] for row in rows if row["shape"] == shape]
    return shares[0] if shares and shares[0] >= LEAST_READ else 1.0


def _study_scans(arguments) -> dict:
    """Scans of a study that take part in its statistics, at most `SCANS_LOOKED_AT` of each site."""
    loaded = Study.load(arguments.study)
    analysis = arguments.analysis or loaded.config["primary"]
    names, results = loaded.analysis(analysis), Results(loaded)
    made = results.group("sites", analysis)
    quality = made.table("quality") if made.exists else []
    used = {row["scan"]: row for row in quality if row["used"]}
    found = {}
    for site in loaded.sites.values():
        scans = (scan for scan in loaded.scans_of(site.name) if scan.key in used)
        read = (_measured(results, names, scan, used[scan.key]) for scan in scans)
        if own := list(islice((one for one in read if one is not None), SCANS_LOOKED_AT)):
            found[site] = own
    return found


def _measured(results: Results, names: dict, scan, row: dict):
    """A scan as the plan looks at it; None where voxel or tissue is not known."""
    import numpy as np

    from fmrsflow.concentration import Tissue
    from fmrsflow.plan.sites import MeasuredScan

    of = {
        stage: results.of(stage, names, scan)
        for stage in ("convert", "anatomy", "preprocess", "fit")
    }
    records = {stage: one.record for stage, one in of.items()}
    tissue = [row[f"v_{name}"] for name in ("gm", "wm", "csf")]
    if not records["anatomy"].get("volume_ml") or any(map(math.isnan, tissue)):
        return None
    rows = [one for one in of["preprocess"].table("transients") if one["kept"] and one["condition"]]
    joint = of["fit"].table("joint") if of["fit"].has("joint.tsv") else []
    told = [one for one in joint if one["linewidth_model"] != "none"]
    told = [one for one in told if one["contrast"] == told[0]["contrast"]]
    converted = records["convert"]
    return MeasuredScan(
        snr_tcr=row["snr_tcr"],
        fwhm_hz=row["fwhm_tcr_hz"],
        excitations=row["n_kept"] * (converted.get("excitations_per_transient") or 1),
        readout_s=converted["n_points"] / converted["spectral_width_hz"],
        volume_ml=records["anatomy"]["volume_ml"],
        tissue=Tissue(*(share / sum(tissue) for share in tissue)),
        labels=[one["condition"] for one in rows],
        time_s=np.array([one["time_s"] for one in rows]),
        gain=(records["fit"].get("joint") or {}).get("gain_percent", 0.0) / 100,
        told={one["metabolite"]: one["change_se_percent"] for one in told},
    )


def _print(rows: list[dict], column: str, title: str, form: str) -> None:
    sites = sorted({row["sites"] for row in rows})
    people = sorted({row["participants"] for row in rows})
    value = {(row["sites"], row["participants"]): row[column] for row in rows}
    print(f"\n{title}\n{'participants a site':>20}" + "".join(f"{k:>4} sites" for k in sites))
    for n in people:
        print(f"{n:>20}" + "".join(f"{form.format(value[k, n]):>10}" for k in sites))
