"""BOLD over all scans of an analysis: accord with glutamate, group maps of activation and
connectivity."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.bold import group
from fmrsflow.bundles import merged
from fmrsflow.errors import DataError
from fmrsflow.exclusion import JUDGED, excluded
from fmrsflow.question import Question
from fmrsflow.results import Output, Results, Writer
from fmrsflow.study import Scan, Study, Unit, study_option
from fmrsflow.tables import bold as columns
from fmrsflow.words import slug


def main(argv: list[str]) -> int:
    """`fmrsflow bold [--study FILE] --analysis NAME`."""
    parser = argparse.ArgumentParser(prog="fmrsflow bold", description=__doc__)
    study_option(parser)
    parser.add_argument("--analysis", required=True, help="analysis that gives the change")
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    results = Results(study)
    writer = Writer(results.group("bold", arguments.analysis), study.software, results.inputs)
    names = study.analysis(arguments.analysis)
    rows = list(pair_rows(results, names))
    writer.save("concordance", rows, columns.CONCORDANCE)
    tests = []
    for measure in group.MEASURES:
        there = [row for row in rows if row["measure"] == measure and row["used"]]
        if there:
            tests.append(_test(writer, measure, there, study.config["sites"]["metabolite"]))
    writer.save("concordance_test", tests, columns.TEST)
    clusters, notes = _group(results, writer)
    writer.save("group_clusters", clusters, columns.GROUP)
    head = {
        "stage": "bold",
        "analysis": arguments.analysis,
        "settings": names,
        "metabolite": study.config["sites"]["metabolite"],
    }
    seeds = {"persons": 0, "permutations": 0}
    writer.finish(head, {"tests": tests, "group": notes, "seeds": seeds})
    return 0


def pair_rows(results: Results, names: dict[str, str]) -> Iterator[dict]:
    """Rows of concordance.tsv: each unit with each measure that it has."""
    study = results.study
    for unit in study.units():
        scan = unit.scan
        change, rest, note = _change(results, unit, names)
        identity = {
            "site": scan.site,
            "subject": scan.subject,
            "person": study.person(scan),
            "label": " ".join(
                filter(None, (scan.subject, scan.session, scan.acq, scan.voi, scan.run))
            ),
            "place": " ".join(
                filter(None, (scan.site, scan.session, scan.acq, scan.voi, scan.run))
            ),
            "contrast": change.get("contrast"),
            "change_percent": change.get("change_percent"),
            "change_se": change.get("se_percent"),
        }
        measured = {
            "area": _area(results, unit, rest),
            "linewidth": _width(results, unit, names, rest),
        }
        for measure, found in measured.items():
            if found is not None:
                yield group.pair_row(identity, measure, found, len(unit.scans), note)


def _change(results: Results, unit: Unit, names: dict[str, str]) -> tuple[dict, str, str]:
    """Row of the unit's change that answers the study's question, its rest, why there is none."""
    response, setting = results.of("response", names, unit), results.study.config["sites"]
    rest = results.study.setting("response", names["response"])["rest"]
    if reason := _why_not(response, "change.tsv"):
        return {}, rest, f"no change: {reason}"
    rest, limits = response.record.get("rest") or rest, results.study.config["quality"]
    for scan in unit.scans:
        outputs = [results.of(stage, names, scan) for stage in JUDGED]
        there = [one for one in outputs if one.exists]
        if reason := next(filter(None, map(_why_not, there)), None):
            return {}, rest, f"no change: {reason}"
        first, *later = (one.record if one.exists else {} for one in outputs)
        if reason := excluded(first, limits, *later):
            return {}, rest, f"no change: {reason}"
    row = group.answer_of(response.table("change"), Question.from_settings(setting))
    return row or {}, rest, "" if row else f"no change of {setting['metabolite']}"


def _why_not(output: Output, *files: str) -> str | None:
    """Why a stage gave no result, or what of it cannot be believed; None where it did."""
    if not output.exists:
        return f"{output.stage} left no record: a fault, which the next run does again"
    if damage := output.damage(*files):
        print(f"bold: {damage}", file=sys.stderr)  # a unit without any measure has no row
        return damage
    return output.record["reason"] or output.record.get("not_used")


def _area(results: Results, unit: Unit, rest: str) -> group.Measured | None:
    records, notes = [], []
    for scan in unit.scans:
        if scan.bold and scan.condition != rest:
            run = results.of("bold", {}, scan)
            if reason := _why_not(run):
                notes.append(f"BOLD not used: {reason}")
            else:
                records.append(run.record)
    return group.mean_area(records, "; ".join(notes))


def _width(results: Results, unit: Unit, names: dict[str, str], rest: str):
    tables = []
    for scan in unit.scans:
        done = results.of("preprocess", names, scan)
        if reason := _why_not(done, "transients.tsv"):
            return group.Measured(None, None, f"no linewidths: {reason}")
        tables.append(done.table("transients"))
    return group.narrowing(tables, rest)


def _test(writer: Writer, measure: str, rows: list[dict], metabolite: str) -> dict:
    from fmrsflow.report.bold_figures import scatter

    found = group.accord(rows)
    text = f"{found.same_sign} of {found.n} of one sign ({found.same_sign_by_chance:.1f} by chance)"
    if math.isfinite(found.p_value):
        text += f"\ncorrelation over persons {found.correlation:.2f}, p = {found.p_value:.2g}"
    figure = scatter(rows, group.MEASURES[measure], metabolite, text)
    writer.save(f"concordance_{measure}", figure)
    return {"measure": measure} | {
        key: getattr(found, key) for key in columns.TEST if key != "measure"
    }


def _group(results: Results, writer: Writer) -> tuple[list[dict], dict]:
    """Clusters of activation, and of each contrast and region, over persons, where runs are in MNI
    space."""
    runs = [scan for scan in results.study.scans if scan.bold]
    if not runs:
        return [], {"status": "absent", "reason": "no scan has a BOLD run"}
    if merged(results.study):
        return [], {"status": "absent", "reason": "maps of persons stayed at the sites"}
    if not all("space-MNI" in Path(name).name for scan in runs for name in scan.files("bold")):
        return [], {
            "status": "absent",
            "reason": "group maps need every run in MNI space (space-MNI in its name)",
        }
    outputs = {scan: results.of("bold", {}, scan) for scan in runs}
    records = {scan: out.record for scan, out in outputs.items() if not _why_not(out)}
    done = {scan: record for scan, record in records.items() if record["status"] == "ok"}
    found, rows, reasons = 0, [], []
    for one in _asked(results.study, done):
        try:
            rows += _group_map(results, writer, one)
            found += 1
        except DataError as problem:
            reasons.append(f"{one.contrast} {one.region}: {problem}".replace(" :", ":"))
    return rows, {"status": "ok" if found else "absent", "reason": "; ".join(reasons)}


@dataclass(frozen=True)
class _Asked:
    """A map over persons: what it shows, the label of the region it belongs to, the image of each
    scan, the scans."""

    contrast: str
    region: str
    image: str
    scans: list[Scan]

    @property
    def stem(self) -> str:
        """Start of the names of its files."""
        name = self.image.removesuffix("_effect")
        return f"group_{self.region + '_' if self.region else ''}{name}"


def _asked(study: Study, done: Mapping[Scan, Mapping]) -> list[_Asked]:
    """Activation of the whole brain, then each contrast of the connectivity of each region."""
    # The voxels of a person name the same runs, whose maps are one.
    own = list({scan.files("bold"): scan for scan in reversed(done)}.values())[::-1]
    asked = [_Asked(group.ACTIVATION, "", "area", own)] if own else []
    contrasts = {
        scan: (record.get("connectivity") or {}).get("contrasts", {})
        for scan, record in done.items()
    }
    of_region = {scan: {(study.region(scan), one) for one in contrasts[scan]} for scan in done}
    for region, contrast in sorted(set().union(*of_region.values())):
        scans = [scan for scan in done if (region, contrast) in of_region[scan]]
        asked.append(_Asked(contrast, region, f"ppi-{slug(contrast)}_effect", scans))
    return asked


def _group_map(results: Results, writer: Writer, asked: _Asked) -> list[dict]:
    from fmrsflow.report.bold_figures import group_map

    setting, by_person = results.study.config["bold"], {}
    for scan in asked.scans:
        image = results.of("bold", {}, scan).image(asked.image)
        if asked.contrast == group.ACTIVATION:
            # Connectivity is of the smoothed run already.
            image = group.smoothed(image, setting["smoothing_fwhm_mm"])
        by_person.setdefault(results.study.person(scan), []).append(image)
    found = group.group_map(by_person, asked.region, asked.contrast, setting)
    for what in ("t", "size", "logp_max_size"):
        writer.save(f"{asked.stem}_{what}", found.images[what])
    what = f"{asked.contrast} {asked.region}".strip()
    writer.save(asked.stem, group_map(found.images, what, len(by_person), setting["cluster_p"]))
    return found.rows
