"""`fmrsflow check [STUDY]`: all errors of a study's files, before anything runs."""

from __future__ import annotations

import argparse
import os
import sys

from fmrsflow.convert.exports import not_compared, same_exports
from fmrsflow.errors import DataError
from fmrsflow.events import conditions, events_of, without_strays
from fmrsflow.identity import same_measurements
from fmrsflow.preregistration import deviations
from fmrsflow.scan_figures import WHOLE
from fmrsflow.sheets import StudyError, missing_files, read_config, read_study
from fmrsflow.study import Study
from fmrsflow.surroundings import troubles
from fmrsflow.tables import read_table
from fmrsflow.words import count

CONFIG = "config/config.yaml"

MOST_UNITS = 12
"""Units that are named where several lack the same."""

MOST_DESIGNS = 12
"""Designs, those of most scans, that are looked at: events may be random in each scan."""


def main(argv: list[str]) -> int:
    """Print every problem; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="fmrsflow check", description=__doc__)
    parser.add_argument(
        "study",
        nargs="?",
        default=CONFIG,
        help=f"folder of the study, or a configuration in this folder (default: {CONFIG})",
    )
    config = parser.parse_args(argv).study
    if os.path.isdir(config):
        os.chdir(config)
        config = CONFIG
    try:
        study = read_study(read_config(config), config)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    missing = [] if study.config["synthetic"] else missing_files(study)
    unread, designs = ([], []) if study.config["synthetic"] else _designs(study)
    wrong = [*_settings(study), *_sequences(study), *same_measurements(study), *unread]
    if not study.config["synthetic"]:
        wrong += same_exports(study)
        designs += not_compared(study)
    wrong += troubles(study)
    print("\n".join([*wrong, *missing]), file=sys.stderr)
    told = [*designs, *_without_change(study), *_deviations(study)]
    print("".join(f"{line}\n" for line in told), end="")
    print(
        ", ".join(
            [
                count(len(study.sites), "site"),
                count(len(study.scans), "scan"),
                count(len(study.units()), "response unit"),
                count(len(study.config["analyses"]), "analysis", "analyses"),
                count(len(missing), "missing file"),
            ]
        )
    )
    if missing or wrong:
        return 1
    if not study.config["synthetic"]:
        from fmrsflow.forecast import forecast, slowness

        print(forecast(study, slowness()))
    return 0


def _deviations(study: Study) -> list[str]:
    """What is otherwise than it was registered, as far as the files say."""
    return [
        f"not as registered: {' '.join(filter(None, (one['analysis'], one['what'])))}: "
        f"{one['run']} for {one['registered']}"
        for one in deviations(study)
    ]


def _without_change(study: Study) -> list[str]:
    """Units whose scans have one condition, by what the sheet says of it: they have concentrations
    and no change, unless an analysis has a design of its own for them."""
    used = {analysis["fit"] for analysis in study.config["analyses"].values()}
    if any(study.setting("fit", name).get("joint_design") for name in used):
        return []
    found: dict[str, list[str]] = {}
    for unit in study.units():
        names = {scan.condition or WHOLE for scan in unit.scans}
        if len(names) == 1 and not any(scan.events for scan in unit.scans):
            scans = " with ".join(scan.key for scan in unit.scans)
            found.setdefault(names.pop(), []).append(scans)
    return [
        f"one condition ({name}) and so no percent change in {count(len(units), 'response unit')}: "
        f"{', '.join(units[:MOST_UNITS])}"
        + (f" and {len(units) - MOST_UNITS} more" if units[MOST_UNITS:] else "")
        + "; a change needs events, or scans of another `condition` of one session, acq and run or "
        "of one `unit`"
        for name, units in found.items()
    ]


def _sequences(study: Study) -> list[str]:
    """Sites whose sequence cannot be simulated for the basis that an analysis asks for."""
    from fmrsflow.basis.site import steps_of

    names = {analysis["basis"] for analysis in study.config["analyses"].values()}
    if all(study.setting("basis", name)["source"] != "simulate" for name in names):
        return []
    found = []
    for site in study.sites.values():
        try:
            steps_of(site)
        except DataError as error:
            found.append(f"sites.tsv: site {site.name}: {error}")
    return found


def _settings(study: Study) -> list[str]:
    """Fit settings whose shapes of a response mean nothing."""
    from fmrsflow.fit.options import FitOptions

    found = []
    for name in {analysis["fit"]: None for analysis in study.config["analyses"].values()}:
        try:
            FitOptions.from_settings(study.setting("fit", name))
        except ValueError as error:
            found.append(f"fit setting {name}: {error}")
    return found


def _designs(study: Study) -> tuple[list[str], list[str]]:
    """Events that cannot be read, and for each design what it can show of a response."""
    unread, scans = [], {}
    for scan in study.scans:
        path = study.data_root / scan.events
        if not scan.events or not path.is_file():
            continue
        try:
            events = events_of(read_table(path), scan.events)
        except DataError as error:
            unread.append(f"{scan.key}: {error}")
            continue
        site = study.sites[scan.site]
        spans = tuple((row["onset"], row["duration"], row["trial_type"]) for row in events)
        key = (site.tr_s, site.transients, scan.excitations_per_transient or 1, spans)
        scans.setdefault(key, (events, []))[1].append(scan.key)
    found = []
    several = sorted(scans.items(), key=lambda one: -len(one[1][1]))
    for (tr_s, transients, each, _), (events, keys) in several[:MOST_DESIGNS]:
        where = f"{keys[0]}" + (f" and {len(keys) - 1} more like it" if keys[1:] else "")
        if not tr_s:
            found.append(f"{where}: no repetition time in sites.tsv, so no word on its design")
            continue
        found += [
            f"{where}: {said}"
            for said in dict.fromkeys(
                line
                for analysis in study.config["analyses"].values()
                for line in _foreseen(study, analysis, events, tr_s, transients, each)
            )
        ]
    if several[MOST_DESIGNS:]:
        found.append(f"{len(several) - MOST_DESIGNS} more designs are not looked at")
    return unread, found


def _foreseen(study: Study, analysis: dict, events, tr_s: float, transients, each) -> list[str]:
    """What an analysis can show of the response to these events."""
    from fmrsflow.fit.design import Timing
    from fmrsflow.fit.foreseen import foreseen, length_of, words
    from fmrsflow.fit.options import FitOptions
    from fmrsflow.preprocess.timing import Timing as Excitations

    try:
        setting = study.setting("preprocess", analysis["preprocess"])
        options = FitOptions.from_settings(study.setting("fit", analysis["fit"]))
        own = [row for row in events if row["trial_type"] not in setting["nested_events"]]
        n = transients or length_of(own, each * tr_s)
        places = Excitations.of(n, each, tr_s)
        excited = conditions(own, places.n_excitations, tr_s, setting["lag_s"])
        labels, _ = without_strays(places.labels(excited), own)
        offsets = tr_s * (places.scan[0] - places.scan_at[0])
        shown = foreseen(labels, Timing(tr_s * places.scan_at, events, offsets), options)
    except (DataError, ValueError) as error:
        return [str(error)]
    return [
        f"{task}, {n} transients of {each * tr_s:g} s: {words(shapes)}"
        for task, shapes in shown.items()
    ]
