"""The stage `convert` on one scan of a site."""

from __future__ import annotations

from pathlib import Path

from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.files import read_json
from fmrsflow.stages.convert import process
from fmrsflow.study import Scan, Site, Study


def converted(
    site: Site, data: Path, results: Path, mrs: str, ref: str = "", **columns
) -> tuple[dict, Path]:
    """Record of the stage for one scan (`columns`: others of its row), and its files' folder."""
    config = {"results": str(results), "data_root": str(data)}
    study = Study(config, {site.name: site}, (Scan(site.name, "01", mrs, ref=ref, **columns),))
    job = Job("convert", study, study.scans[0], {})
    run_job(job, process)
    return read_json(job.record_path), job.record_path.parent
