"""`fmrsflow report [--study FILE] ANALYSIS [KEY...]`: pages of these scans, or with no key those of
the sites and the consortium."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fmrsflow.edge import Job, read_json, read_table, write_bytes
from fmrsflow.errors import DataError
from fmrsflow.report.results import STAGES, Links, ScanResults
from fmrsflow.study import STAGE_SETTINGS, Scan, Study, Unit, directory


def main(argv: list[str]) -> int:
    """Write the pages that the command line names."""
    parser = argparse.ArgumentParser(prog="fmrsflow report", description=__doc__)
    parser.add_argument("--study", default="results/study.json", help="the frozen study")
    parser.add_argument("analysis", help="name of an analysis")
    parser.add_argument("keys", nargs="*", help="scans, as site/sub-..; none: sites and consortium")
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    if arguments.keys:
        write_scan_pages(study, arguments.analysis, arguments.keys)
    else:
        from fmrsflow.stages.report_group import write_group_pages

        write_group_pages(study, arguments.analysis)
    return 0


def write_scan_pages(study: Study, analysis: str, keys: list[str]) -> None:
    """Write report/scans/<site>/<stem>.html of each scan."""
    from fmrsflow.report.pages import scan_page

    peers = _peers(study, analysis)
    for key in keys:
        scan = study.scan(key)
        write_bytes(
            page_path(study, analysis, scan),
            scan_page(read_scan(study, analysis, scan, peers)).encode(),
        )


def page_path(study: Study, analysis: str, scan: Scan) -> Path:
    """Path of a scan's page."""
    return study.results / analysis / "report" / "scans" / scan.site / f"{scan.stem}.html"


def read_scan(study: Study, analysis: str, scan: Scan, peers: dict) -> ScanResults:
    """What the stages left of a scan under an analysis."""
    job = Job("report", study, scan, study.config["analyses"][analysis])
    unit = next(unit for unit in study.units() if scan in unit.scans)
    items = {stage: unit if stage == "response" else scan for stage in STAGES}
    records = {
        stage: record for stage, item in items.items() if (record := _record(job, stage, item))
    }
    read = _Reader(
        job, {stage for stage, record in records.items() if record["status"] != "failed"}
    )
    transients = read(job.table, "preprocess", "transients") or []
    return ScanResults(
        analysis=analysis,
        scan=scan,
        site=study.site(scan),
        records=records,
        limits=study.config["quality"],
        links=_links(job, analysis, items, records),
        transients=transients,
        concentrations=read(job.table, "quantify", "concentrations") or (),
        changes=read(job.table, "response", "change", unit) or (),
        controls=read(job.table, "response", "controls", unit) or (),
        timecourse=read(job.table, "fit", "timecourse") or (),
        fit=read(job.arrays, "fit", "result"),
        corrected=read(job.fids, "preprocess", "svs"),
        average=read(job.fids, "preprocess", "average"),
        matched=read(job.fids, "preprocess", "matched"),
        water=read(job.fids, "preprocess", "mrsref"),
        water_phase_deg=_water_phase(read(job.fids, "convert", "mrsref")),
        blocks=_blocks(job),
        voxel_png=_voxel(read, job),
        peers=peers,
    )


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
    from urllib.parse import quote

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


def _voxel(read: _Reader, job: Job) -> bytes | None:
    path = read(job.path, "anatomy", "voxel.png")
    return None if path is None else path.read_bytes()


def _water_phase(reference):
    """Phase of the raw reference, degrees, without offset and slope, as far as it is measured."""
    if reference is None:
        return None
    import numpy as np

    from fmrsflow.preprocess.coils import coil_weights, combine
    from fmrsflow.preprocess.eddy import eddy_phase

    eddy = eddy_phase(combine(reference, coil_weights(reference)))
    count = max(8, min(int(eddy.trusted_s / reference.dwell_s), int(0.4 / reference.dwell_s)))
    phase, point = np.rad2deg(eddy.phase_rad[:count]), np.arange(count)
    return phase - np.polyval(np.polyfit(point, phase, 1), point)


def _peers(study: Study, analysis: str) -> dict[str, list[float]]:
    path = study.results / analysis / "sites" / "quality.tsv"
    if not path.exists():
        return {}
    rows = read_table(path)
    return {
        name: [float(row[name]) for row in rows if row.get(name) not in (None, "n/a")]
        for name in ("snr_tcr", "fwhm_tcr_hz")
    }
