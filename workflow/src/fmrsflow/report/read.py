"""What the report stage reads: files that earlier stages left of a scan, a site, a study."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from fmrsflow import preregistration
from fmrsflow.edge import Job
from fmrsflow.errors import Damaged, DataError, Pruned
from fmrsflow.question import Question, ways_to_answer
from fmrsflow.report import answers as tables
from fmrsflow.report.group_figures import FIGURES
from fmrsflow.report.methods import Answered, asked_for, methods
from fmrsflow.report.mrsinmrs import Item, checklist
from fmrsflow.report.overlay import Overlay, overlay
from fmrsflow.report.pages import BOLD_PICTURES
from fmrsflow.report.results import (
    STAGES,
    ConsortiumResults,
    Links,
    ScanResults,
    ScanSummary,
    SiteResults,
)
from fmrsflow.report.verdict import verdict
from fmrsflow.report.whole import Whole
from fmrsflow.report.words import headline
from fmrsflow.results import Output, Results
from fmrsflow.sites.many_tests import MAIN
from fmrsflow.study import Scan, Site, Study, Unit
from fmrsflow.tables import Row

PROTOCOL = ("te_s", "tr_s", "n_transients", "spectral_width_hz", "frequency_mhz", "vendor")
"""What a site's page asks for of the record of a conversion."""

LINE_POINTS = 160
"""Points of a spectrum's small picture."""


def page_path(study: Study, analysis: str, scan: Scan) -> Path:
    """Path of a scan's page."""
    return study.results / analysis / "report" / "scans" / scan.site / f"{scan.stem}.html"


def read_scan(
    results: Results,
    analysis: str,
    scan: Scan,
    peers: dict,
    light: bool = False,
    compared: Sequence[tuple[str, str]] = (),
) -> ScanResults:
    """What the stages left of a scan under an analysis; `light` without images and FIDs;
    `compared`: its entry in what the function of that name gives."""
    study = results.study
    read = _Reader(results, analysis, scan)
    found = {
        "concentrations": read("quantify", "table", "concentrations") or (),
        "changes": read("response", "table", "change") or (),
        "controls": read("response", "table", "controls") or (),
    }
    if light:
        found["sidecar"] = read("convert", "json", "svs") or {}
        found["fit"] = _light_fit(read)
    else:
        pictures = {name: read("bold", "content", f"{name}.png") for name in BOLD_PICTURES}
        names = study.config["analyses"][analysis]
        found |= {
            "links": _links(study, analysis, scan, read.outputs),
            "transients": read("preprocess", "table", "transients") or (),
            "water_course": read("preprocess", "table", "water") or (),
            "timecourse": read("fit", "table", "timecourse") or (),
            "fit": read("fit", "arrays", "result"),
            "corrected": read("preprocess", "fids", "svs"),
            "average": read("preprocess", "fids", "average"),
            "matched": read("preprocess", "fids", "matched"),
            "water": read("preprocess", "fids", "mrsref"),
            "water_phase_deg": _water_phase(read("convert", "fids", "mrsref")),
            "overlay": _overlay(results, names, read.unit, read.records),
            "blocks": _blocks(study, analysis, scan),
            "voxel_png": read("anatomy", "content", "voxel.png"),
            "bold_pictures": {name: one for name, one in pictures.items() if one is not None},
            "bold_area": read("bold", "table", "area") or (),
            "bold_runs": read("bold", "table", "runs") or (),
            "peers": peers,
        }
    return ScanResults(
        analysis=analysis,
        scan=scan,
        site=study.site(scan),
        records=read.records,
        limits=study.config["quality"],
        # A scan is in its own region.
        asked=replace(_question(results, analysis), region=None),
        compared=compared,
        **found,
    )


def _light_fit(read: _Reader) -> dict | None:
    """Spectra for the small picture of a scan; none where they were pruned, since ten thousand fits
    for ten thousand small pictures are too much."""
    try:
        # The arrays of single metabolites are many times as large as the measured spectra.
        return read("fit", "arrays", "result", names=("ppm", "spectra", "data"))
    except Pruned:
        return None


ENDINGS = {"table": ".tsv", "arrays": ".npz", "fids": ".nii.gz", "json": ".json", "content": ""}


class _Reader:
    """Reads what the stages left of a scan, one file a call.

    None stands for what a stage that failed left, and for what no stage wrote. A stage with a
    damaged record or file counts as failed; its reason says what to do.
    """

    def __init__(self, results: Results, analysis: str, scan: Scan):
        study = results.study
        names = study.config["analyses"][analysis]
        unit = study.unit_of(scan)
        self.unit = unit
        self.records: dict[str, dict] = {}
        self.outputs: dict[str, Output] = {}
        for stage in (*STAGES, "bold"):
            output = results.of(stage, names, unit if stage == "response" else scan)
            if not output.exists:
                continue
            try:
                self.records[stage] = output.record
                self.outputs[stage] = output
            except (Damaged, OSError) as damage:
                self._failed(stage, damage)

    def __call__(self, stage: str, kind: str, what: str, **more):
        """A file of a stage as its `kind` (a method of `Output`)."""
        if self.records.get(stage, {"status": "failed"})["status"] == "failed":
            return None
        if not self.outputs[stage].has(what + ENDINGS[kind]):
            return None
        try:
            return getattr(self.outputs[stage], kind)(what, **more)
        except (Damaged, OSError) as damage:
            self._failed(stage, damage)
            return None

    def _failed(self, stage: str, damage: Damaged | OSError) -> None:
        self.records[stage] = self.records.get(stage, {}) | {
            "status": "failed",
            "reason": str(damage),
            "failed_at": stage,
        }


def _overlay(
    results: Results, names: Mapping[str, str], unit: Unit, records: Mapping[str, dict]
) -> Overlay | None:
    """Averages of a unit's scans, rest first; None where it is one scan or one of them failed."""
    if len(unit.scans) < 2:
        return None
    rest = (records.get("response") or {}).get("rest")
    scans = sorted(unit.scans, key=lambda scan: scan.condition != rest)
    averages, waters = [], []
    for scan in scans:
        done, fitted = (results.of(stage, names, scan) for stage in ("preprocess", "fit"))
        try:
            if not done.exists or done.record["status"] == "failed":
                return None
            averages.append(done.fids("average"))
            waters.append(fitted.record.get("water_amplitude") if fitted.exists else None)
        except Damaged:
            return None  # the page of that scan reports it
    if any(one.n_transients != 1 for one in averages):
        return None
    return overlay(averages, [scan.condition for scan in scans], waters)


def _links(study: Study, analysis: str, scan: Scan, outputs: Mapping[str, Output]) -> Links:
    here = page_path(study, analysis, scan).parent
    report = study.results / analysis / "report"
    own = study.scans_of(scan.site)
    place = own.index(scan)
    tables = {
        f"{stage}_{name}": relative(output.place(name), here)
        for stage, output in outputs.items()
        for name in output.names
        if name.endswith((".tsv", ".nii.gz"))
    }
    return Links(
        home=relative(report / "index.html", here),
        site=relative(report / site_page_name(scan.site), here),
        previous=relative(here / f"{own[place - 1].stem}.html", here) if place else "",
        next=relative(here / f"{own[place + 1].stem}.html", here) if own[place + 1 :] else "",
        tables=tables,
    )


def site_page_name(site: str) -> str:
    """File name of a site's page."""
    return f"site-{site}.html"


def relative(path: Path, start: Path) -> str:
    """Address of a file from a page in the folder `start`."""
    return quote(os.path.relpath(path, start))


def _blocks(study: Study, analysis: str, scan: Scan) -> list[tuple[float, float, str]]:
    names = study.config["analyses"][analysis]
    try:
        events = Job("response", study, scan, names).events() or []
    except DataError:
        return []  # convert or preprocess has reported it
    rest = study.setting("response", names["response"]).get("rest", "rest")
    return [
        (row["onset"], row["onset"] + row["duration"], row["trial_type"])
        for row in events
        if row["trial_type"] != rest
    ]


def _water_phase(reference) -> np.ndarray | None:
    """Phase of the raw reference, degrees, without offset and slope, as far as it is measured."""
    if reference is None:
        return None
    from fmrsflow.preprocess.coils import coil_weights, combine
    from fmrsflow.preprocess.eddy import eddy_phase

    eddy = eddy_phase(combine(reference, coil_weights(reference)))
    count = max(8, min(int(eddy.trusted_s / reference.dwell_s), int(0.25 / reference.dwell_s)))
    phase, point = np.rad2deg(eddy.phase_rad[:count]), np.arange(count)
    return phase - np.polyval(np.polyfit(point, phase, 1), point)


def peers(results: Results, analysis: str) -> dict[str, list[float]]:
    """SNR and line width of every scan, from the table of the sites stage."""
    rows = Whole(results.group("sites", analysis)).table("quality")
    return {
        name: [row[name] for row in rows if math.isfinite(row[name])]
        for name in ("snr_tcr", "fwhm_tcr_hz")
    }


def compared(results: Results, analysis: str) -> dict[str, list[tuple[str, str]]]:
    """What only a comparison of scans tells of each: key -> (`excluded` or `warning`, sentence);
    where its tables are damaged, a warning on every scan."""
    found: dict[str, list[tuple[str, str]]] = {}
    whole = Whole(results.group("sites", analysis))
    for row in whole.table("problems"):
        if row["stage"] == "sites" and row["kind"] in ("excluded", "warning"):
            found.setdefault(row["item"], []).append((row["kind"], row["text"]))
    whole.table("quality")  # of which the page shows where the scan lies among all
    for text in whole.damaged:
        for scan in results.study.scans:
            told = f"what a comparison with the other scans says of it is not known: {text}"
            found.setdefault(scan.key, []).append(("warning", told))
    return found


@dataclass
class Group:
    """Every scan of a study in short.

    Attributes
    ----------
    scans : dict
        Site -> its scans, in the order of the sheet.
    checklists : dict
        Site -> its checklist.
    records : dict
        Stage -> of the records of the scans that passed it what the methods ask for.
    """

    scans: dict[str, list[ScanSummary]] = field(default_factory=dict)
    checklists: dict[str, list[Item]] = field(default_factory=dict)
    records: dict[str, list[dict]] = field(default_factory=lambda: {stage: [] for stage in STAGES})

    def others(self, site: str) -> dict[str, list[float]]:
        """Figure -> its values at all other sites."""
        rest = [one for name, own in self.scans.items() if name != site for one in own]
        return {name: [s.quality[name] for s in rest if name in s.quality] for name in FIGURES}


def read_group(results: Results, analysis: str) -> Group:
    """Read a study site by site, so that records of one site fill the memory, not those of all."""
    study, found = results.study, Group()
    beside = compared(results, analysis)
    report = study.results / analysis / "report"
    for name, site in study.sites.items():
        own = []
        for scan in study.scans_of(name):
            light = read_scan(results, analysis, scan, {}, True, beside.get(scan.key, ()))
            results.release()
            found.scans.setdefault(name, []).append(_summary(study, analysis, light, report))
            own.append(replace(light, fit=None, concentrations=(), changes=(), controls=()))
            for stage in STAGES:
                if record := light.record(stage):
                    first = not found.records[stage]
                    found.records[stage].append(asked_for(stage, record, first))
        passed = {
            stage: [one.record(stage) for one in own if one.record(stage)] for stage in STAGES
        }
        found.checklists[name] = checklist(
            site,
            passed["convert"],
            [one.sidecar for one in own if one.record("convert")],
            passed["preprocess"],
            passed["fit"],
            passed["quantify"],
            study.software,
            study.config["quality"],
            passed["response"],
            {study.region(one.scan) for one in own} - {""},
        )
    return found


def _summary(study: Study, analysis: str, light: ScanResults, report: Path) -> ScanSummary:
    failed = next(
        (r for s, r in light.records.items() if r["status"] != "ok" and s != "anatomy"), {}
    )
    reached = [stage for stage in STAGES if light.record(stage)]
    converted = light.record("convert")
    return ScanSummary(
        scan=light.scan,
        page=relative(page_path(study, analysis, light.scan), report),
        person=study.person(light.scan),
        verdict=verdict(light),
        reached=reached[-1] if reached else "",
        failed_at=failed.get("failed_at") or "",
        quality=light.figures,
        line=None if light.fit is None else _line(light.fit),
        converted={key: converted[key] for key in PROTOCOL if key in converted},
        change=headline(light.changes, light.asked),
        region=study.region(light.scan),
    )


def read_site(results: Results, analysis: str, group: Group, name: str) -> SiteResults:
    """What the page of a site shows."""
    study = results.study
    asked = _question(results, analysis)
    names = list(study.sites)
    place = names.index(name)
    sites = Whole(results.group("sites", analysis))
    return SiteResults(
        analysis=analysis,
        site=study.sites[name],
        scans=group.scans.get(name, []),
        limits=study.config["quality"],
        others=group.others(name),
        checklist=group.checklists[name],
        standing=[row for row in sites.table("standing") if row["site"] == name],
        effect=tables.site_effects({"sites": sites.table("sites")}, asked).get(name),
        asked=asked,
        links=Links(
            home="index.html",
            previous=quote(site_page_name(names[place - 1])) if place else "",
            next=quote(site_page_name(names[place + 1])) if names[place + 1 :] else "",
            tables={
                f"{text} of this checklist": quote(f"mrsinmrs-{name}.{kind}")
                for text, kind in (("table (TSV)", "tsv"), ("Markdown", "md"))
            },
        ),
    )


def read_consortium(results: Results, analysis: str, group: Group) -> ConsortiumResults:
    """What the page of the consortium shows."""
    study = results.study
    report = study.results / analysis / "report"
    asked = _question(results, analysis)
    # The same rows as those of the multiverse's own table, which need not have been made yet.
    weights = preregistration.weights(study)
    whole = sum(weights.values()) or 1.0
    shares = {name: f"{100 * one / whole:.3g} %" for name, one in weights.items()}
    curve = [
        {"analysis": name, **choice, **row, "main": row["main"] and name == analysis}
        | {"weight": shares.get(name, "none") if row["main"] else "none"}
        for name, choice in study.config["analyses"].items()
        for row in ways_to_answer(
            Whole(results.group("sites", name)).table("sensitivity"), study.config["sites"]
        )
    ]
    site_pages = {name: quote(site_page_name(name)) for name in study.sites}
    groups = (
        results.group("sites", analysis), results.multiverse(), results.group("bold", analysis),
    )  # fmt: skip
    sites, multiverse, bold = (Whole(one) for one in groups)
    downloads = {
        name.removesuffix(".tsv"): relative(output.place(name), report)
        for output, one in zip(groups, (sites, multiverse, bold), strict=True)
        for name in one.names
        if name.endswith(".tsv")
    }
    downloads |= {
        "methods paragraph (Markdown)": "methods.md",
        "references (BibTeX)": "references.bib",
    } | {f"MRSinMRS checklist of {name}": quote(f"mrsinmrs-{name}.tsv") for name in study.sites}
    bases, damaged = _bases(results, analysis, study.sites.values())
    records = {**group.records, "basis": bases}
    short = {one.scan.key: one for own in group.scans.values() for one in own}
    found = {name: sites.table(name) for name in SHOWN}
    pictures = {name: bold.content(name) for name in bold.names if name.endswith(".png")}
    shown = {
        "bold": {key.removesuffix(".png"): one for key, one in pictures.items() if one is not None},
        "bold_pairs": bold.table("concordance"),
        "bold_tests": bold.table("concordance_test"),
        "joint": multiverse.table("joint_test"),
        "deviations": multiverse.table("deviations"),
        "registered": multiverse.record.get("preregistration", {}),
        "combat": sites.table("combat"),
    }
    damaged += [row for one in (sites, multiverse, bold) for row in one.problems()]
    found["problems"] = [*found["problems"], *damaged]
    set_question = Question.from_settings(study.config["sites"])
    answers = tables.answers(found, curve, asked, study.sites, site_pages, set_question)
    if sites.damaged and not found["meta"]:
        answers["no_answer"] = "a table of the answer is damaged (see the problems below)"
    return ConsortiumResults(
        analysis=analysis,
        scans=[short[scan.key] for scan in study.scans],
        sites=study.sites,
        limits=study.config["quality"],
        asked=asked,
        persons=len({study.person(scan) for scan in study.scans}),
        methods=methods(
            list(study.sites.values()),
            len(study.scans),
            records,
            study.software,
            study.config["quality"],
            _answered(results, found, asked, sites, bold, shown),
        ),
        links=Links(tables=downloads),
        site_pages=site_pages,
        **shown,
        **answers,
    )


def _answered(
    results: Results,
    found: Mapping[str, Sequence[Row]],
    asked: Question,
    sites: Whole,
    bold: Whole,
    shown: Mapping,
) -> Answered:
    """What the group stages found, for the methods."""
    main = sites.record.get("main")
    runs = []
    for scan in results.study.scans if bold.record else ():
        output = results.of("bold", {}, scan) if scan.bold else None
        if output and output.exists and not output.damage():
            one = output.record
            if one["status"] == "ok" and not one.get("not_used"):
                runs.append({key: one.get(key) for key in ("n_runs", "connectivity", "settings")})
        results.release()
    meta = next((row for row in found.get("meta", ()) if row.get("role") == MAIN), {})
    return Answered(
        asked=asked if main else None,
        meta=meta,
        tests=found.get("tests", ()),
        people=found.get("covariates", ()),
        components=[
            row["component"]
            for row in found.get("variance", ())
            if row["outcome"] == "change"
            and asked.answered_by(row)
            and math.isfinite(row["share_percent"])
        ],
        n_excluded=sites.record.get("scans", {}).get("excluded"),
        bold=runs,
        accord=bold.table("concordance_test"),
        joint=shown["joint"],
        n_deviations=len(shown["deviations"]) if shown["registered"].get("sha256") else None,
    )


def _bases(results: Results, analysis: str, sites: Iterable[Site]) -> tuple[list[dict], list[Row]]:
    """Records of the bases of sites, of those that are there, and a problem for a damaged one."""
    found, damaged = [], []
    for site in sites:
        output = results.of("basis", results.study.config["analyses"][analysis], site)
        if not output.exists:
            continue
        if damage := output.damage():
            told = {"stage": "basis", "kind": "fault", "text": damage}
            damaged.append({"site": site.name, "item": site.name, **told})
        elif output.record["status"] == "ok":
            found.append(output.record)
    return found, damaged


def _question(results: Results, analysis: str) -> Question:
    record = Whole(results.group("sites", analysis)).record
    return tables.question(record, results.study.config["sites"])


SHOWN = (
    "sites",
    "meta",
    "plateau",
    "variance",
    "cv",
    "equivalence",
    "tests",
    "covariates",
    "leave_one_out",
    "power",
    "problems",
    "sensitivity",
)
"""Tables of the sites stage that pages show; those with a row a scan grow to many megabytes."""


def _line(fit: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first spectrum of a fit as a small picture: 0 to 100, high ppm first."""
    ppm, data = fit["ppm"], np.real(fit["data"])
    data = next((one for one in data if np.isfinite(one).all()), None)
    if data is None:
        return np.zeros(2)
    values = np.interp(np.linspace(4.2, 0.2, LINE_POINTS), ppm, data)
    low, high = values.min(), values.max()
    return 100 * (values - low) / ((high - low) or 1.0)
