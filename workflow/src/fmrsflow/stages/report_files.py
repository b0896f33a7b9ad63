"""What the report stage reads: files that earlier stages left of a scan, a site, a study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.files import read_json
from fmrsflow.mismatch.costs import site_costs
from fmrsflow.report.group_figures import FIGURES
from fmrsflow.report.methods import methods
from fmrsflow.report.mismatch_page import Tables
from fmrsflow.report.mrsinmrs import checklist
from fmrsflow.report.pages import BOLD_PICTURES
from fmrsflow.report.results import (
    STAGES,
    ConsortiumResults,
    Links,
    Question,
    ScanResults,
    ScanSummary,
    SiteResults,
)
from fmrsflow.report.verdict import verdict
from fmrsflow.report.words import headline
from fmrsflow.stages import report_tables as tables
from fmrsflow.study import STAGE_SETTINGS, Scan, Study, Unit, directory
from fmrsflow.tables import read_table

LINE_POINTS = 160
"""Points of a spectrum's small picture."""


def page_path(study: Study, analysis: str, scan: Scan) -> Path:
    """Path of a scan's page."""
    return study.results / analysis / "report" / "scans" / scan.site / f"{scan.stem}.html"


def read_scan(
    study: Study, analysis: str, scan: Scan, peers: dict, light: bool = False
) -> ScanResults:
    """What the stages left of a scan under an analysis; `light` without images and FIDs."""
    job = Job("response", study, scan, study.config["analyses"][analysis])
    unit = next(unit for unit in study.units() if any(one is scan for one in unit.scans))
    items = {stage: unit if stage == "response" else scan for stage in (*STAGES, "bold")}
    records = {
        stage: record for stage, item in items.items() if (record := _record(job, stage, item))
    }
    read = _Reader(
        job, {stage for stage, record in records.items() if record["status"] != "failed"}
    )

    def text(stage: str, what: str, item: Scan | Unit = scan) -> list[dict[str, str]]:
        return read_table(job.earlier(stage, item).path(f"{what}.tsv"))

    results = ScanResults(
        analysis=analysis,
        scan=scan,
        site=study.site(scan),
        records=records,
        limits=study.config["quality"],
        asked=_question(study, analysis),
        concentrations=read(text, "quantify", "concentrations") or (),
        changes=read(text, "response", "change", unit) or (),
        controls=read(text, "response", "controls", unit) or (),
    )
    if light:
        return replace(results, fit=read(partial(_spectra, job), "fit", "result"))
    return replace(
        results,
        links=_links(job, analysis, items, records),
        transients=read(text, "preprocess", "transients") or (),
        timecourse=read(text, "fit", "timecourse") or (),
        fit=read(job.arrays, "fit", "result"),
        corrected=read(job.fids, "preprocess", "svs"),
        average=read(job.fids, "preprocess", "average"),
        matched=read(job.fids, "preprocess", "matched"),
        water=read(job.fids, "preprocess", "mrsref"),
        water_phase_deg=_water_phase(read(job.fids, "convert", "mrsref")),
        blocks=_blocks(job),
        voxel_png=_picture(read, job, "anatomy", "voxel"),
        bold_pictures={
            name: png
            for name in BOLD_PICTURES
            if (png := _picture(read, job, "bold", name)) is not None
        },
        peers=peers,
    )


def _spectra(job: Job, stage: str, file: str) -> dict[str, np.ndarray]:
    """The measured spectra alone; the arrays of single metabolites are many times as large."""
    return job.earlier(stage).arrays(file, ("ppm", "spectra", "data"))


class _Reader:
    """Reads outputs of stages that did not fail; None where a stage left no such file."""

    def __init__(self, job: Job, stages: set[str]):
        self.job, self.stages = job, stages

    def __call__(self, read, stage: str, *what):
        if stage not in self.stages:
            return None
        try:
            return read(stage, *what)
        except FileNotFoundError:
            return None


def _record(job: Job, stage: str, item: Scan | Unit) -> dict | None:
    path = job.study.record_path(stage, _names(job, stage), item)
    return read_json(path) if path.exists() else None


def _names(job: Job, stage: str) -> dict[str, str]:
    return {name: job.names[name] for name in STAGE_SETTINGS[stage]}


def _links(job: Job, analysis: str, items: dict, records: dict) -> Links:
    study, scan = job.study, job.scan
    here = page_path(study, analysis, scan).parent
    report = study.results / analysis / "report"
    own = [other for other in study.scans if other.site == scan.site]
    place = own.index(scan)
    tables = {}
    for stage, record in records.items():
        folder = study.path(directory(stage, _names(job, stage)), items[stage], "").parent
        for name in record["files"]:
            if name.endswith((".tsv", ".nii.gz")):
                tables[name.removeprefix(f"{items[stage].stem}_desc-")] = relative(
                    folder / name, here
                )
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


def _blocks(job: Job) -> list[tuple[float, float, str]]:
    try:
        events = job.events() or []
    except DataError:
        return []  # convert or preprocess has told of it
    rest = job.settings.get("response", {}).get("rest", "rest")
    return [
        (row["onset"], row["onset"] + row["duration"], row["trial_type"])
        for row in events
        if row["trial_type"] != rest
    ]


def _picture(read: _Reader, job: Job, stage: str, name: str) -> bytes | None:
    return read(lambda stage, name: job.earlier(stage).content(name), stage, f"{name}.png")


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


def peers(study: Study, analysis: str) -> dict[str, list[float]]:
    """SNR and line width of every scan, from the table of the sites stage."""
    path = study.results / analysis / "sites" / "quality.tsv"
    if not path.exists():
        return {}
    rows = read_table(path)
    return {
        name: [float(row[name]) for row in rows if row.get(name) not in (None, "n/a")]
        for name in ("snr_tcr", "fwhm_tcr_hz")
    }


def read_group(study: Study, analysis: str) -> list[tuple[ScanSummary, ScanResults]]:
    """Every scan of a study in short, with the light part of its results."""
    report = study.results / analysis / "report"
    found = []
    for scan in study.scans:
        results = read_scan(study, analysis, scan, {}, light=True)
        judged = verdict(results)
        failed = next(
            (r for s, r in results.records.items() if r["status"] != "ok" and s != "anatomy"), {}
        )
        reached = [stage for stage in STAGES if results.record(stage)]
        summary = ScanSummary(
            scan=scan,
            page=relative(page_path(study, analysis, scan), report),
            person=study.person(scan),
            verdict=judged,
            reached=reached[-1] if reached else "",
            failed_at=failed.get("failed_at") or "",
            quality=quality_figures(results),
            line=None if results.fit is None else _line(results.fit),
            converted=results.record("convert"),
            change=headline(results.changes, results.asked),
        )
        found.append((summary, results))
    return found


BENCHMARK = Path(__file__).resolve().parents[4] / "docs" / "mismatch"
"""Committed tables of the mismatch benchmark."""


def read_benchmark(folder: Path) -> Tables | None:
    """Tables of a scored edition of the mismatch benchmark; None where there are none."""
    if not (folder / "made.json").is_file():
        return None
    names = ("curves", "concentrations", "attribution", "quality")
    tables = {
        name: read_table(path) if (path := folder / f"{name}.tsv").is_file() else ()
        for name in names
    }
    return Tables(**tables, made=read_json(folder / "made.json"))


def read_site(study: Study, analysis: str, group, name: str) -> SiteResults:
    """What the page of a site shows."""
    own = [(summary, results) for summary, results in group if summary.scan.site == name]
    asked = _question(study, analysis)
    medians = {
        figure: float(np.median(values))
        for figure in FIGURES
        if (values := [s.quality[figure] for s, _ in own if figure in s.quality])
    }
    benchmark = read_benchmark(BENCHMARK)
    names = list(study.sites)
    place = names.index(name)
    passed = {stage: [r.record(stage) for _, r in own if r.record(stage)] for stage in STAGES}
    job = [
        Job("response", study, summary.scan, study.config["analyses"][analysis])
        for summary, _ in own
    ]
    items = checklist(
        study.sites[name],
        passed["convert"],
        [_sidecar(one) for one, (_, r) in zip(job, own) if r.record("convert")],
        passed["preprocess"],
        passed["fit"],
        passed["quantify"],
        study.software,
        study.config["quality"],
    )
    return SiteResults(
        analysis=analysis,
        site=study.sites[name],
        scans=[summary for summary, _ in own],
        limits=study.config["quality"],
        others={
            figure: [
                summary.quality[figure]
                for summary, _ in group
                if summary.scan.site != name and figure in summary.quality
            ]
            for figure in FIGURES
        },
        checklist=items,
        costs=site_costs(medians, study.sites[name].field_t, benchmark.curves, benchmark.quality)
        if benchmark
        else (),
        effect=tables.site_effects(_tables(study, analysis, ("sites",)), asked).get(name),
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


def read_consortium(study: Study, analysis: str, group) -> ConsortiumResults:
    """What the page of the consortium shows."""
    report = study.results / analysis / "report"
    folder = study.results / analysis / "sites"
    asked = _question(study, analysis)
    # The same rows as those of the multiverse's own table, which need not have been made yet.
    curve = [
        {"analysis": name, **choice, **row}
        | {"main": "true" if row["main"] == "true" and name == analysis else "false"}
        for name, choice in study.config["analyses"].items()
        for row in _tables(study, name, ("sensitivity",)).get("sensitivity", ())
        if row["metabolite"] == asked.metabolite
    ]
    site_pages = {name: quote(site_page_name(name)) for name in study.sites}
    folders = (folder, study.results / "multiverse", study.results / analysis / "bold")
    downloads = {
        path.stem: relative(path, report) for one in folders for path in sorted(one.glob("*.tsv"))
    }
    downloads |= {
        "methods paragraph (Markdown)": "methods.md",
        "references (BibTeX)": "references.bib",
    } | {f"MRSinMRS checklist of {name}": quote(f"mrsinmrs-{name}.tsv") for name in study.sites}
    records = {stage: [r.record(stage) for _, r in group if r.record(stage)] for stage in STAGES}
    return ConsortiumResults(
        analysis=analysis,
        scans=[summary for summary, _ in group],
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
        ),
        links=Links(tables=downloads),
        bold={
            path.stem.removeprefix("concordance_"): path.read_bytes()
            for path in sorted((study.results / analysis / "bold").glob("concordance_*.png"))
        },
        site_pages=site_pages,
        **tables.answers(_tables(study, analysis), curve, asked, study.sites, site_pages),
    )


def _question(study: Study, analysis: str) -> Question:
    path = study.results / analysis / "sites" / "record.json"
    record = read_json(path) if path.exists() else {}
    return tables.question(record, study.config.get("sites", {}))


SHOWN = (
    "sites",
    "meta",
    "variance",
    "cv",
    "equivalence",
    "leave_one_out",
    "power",
    "problems",
    "sensitivity",
)
"""Tables of the sites stage that pages show; those with a row a scan grow to many megabytes."""


def _tables(study: Study, analysis: str, names: tuple[str, ...] = SHOWN) -> dict[str, list[dict]]:
    folder = study.results / analysis / "sites"
    paths = [folder / f"{name}.tsv" for name in names]
    return {path.stem: read_table(path) for path in paths if path.exists()}


def _sidecar(job: Job) -> dict:
    try:
        return job.earlier("convert").json("svs")
    except FileNotFoundError:
        return {}


def quality_figures(results: ScanResults) -> dict[str, float]:
    """Figures of quality of a scan; missing ones left out."""
    quality, fit = results.record("preprocess"), results.record("fit")
    values = {name: quality.get(name) for name in ("snr_tcr", "fwhm_tcr_hz", "drift_hz")}
    if values["drift_hz"] is not None:
        values["drift_hz"] = abs(values["drift_hz"])
    values["fqn"] = next(iter((fit.get("fqn") or {}).values()), None)
    kept, removed = (quality.get(name) for name in ("n_kept", "n_removed"))
    if kept and removed:
        total = sum(kept.values()) + sum(removed.values())
        values["rejected_percent"] = 100 * sum(removed.values()) / max(1, total)
    return {k: float(v) for k, v in values.items() if v is not None and np.isfinite(v)}


def _line(fit: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first spectrum of a fit as a small picture: 0 to 100, high ppm first."""
    ppm, data = fit["ppm"], np.real(fit["data"])
    data = next((one for one in data if np.isfinite(one).all()), None)
    if data is None:
        return np.zeros(2)
    values = np.interp(np.linspace(4.2, 0.2, LINE_POINTS), ppm, data)
    low, high = values.min(), values.max()
    return 100 * (values - low) / ((high - low) or 1.0)
