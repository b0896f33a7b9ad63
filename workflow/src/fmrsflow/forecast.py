"""What a run will cost, before it: jobs, CPU time and space, from measured costs.

Each cost is a start (imports, and what the first scan of a job pays) and what a scan adds: a part
of its own, and one by its transients, samples or voxels of its T1w. They were measured stage by
stage (2026-12-01, six scans each of 32, 96 and 256 transients, T1w of 2.5, 2.0 and 1.5 mm, in SDAT
and NIfTI-MRS of up to 16 coils); those of tables of many sites are of docs/scale.md.
`benchmarks/run.py start` compares whole runs with them. CPU time is scaled by how fast this machine
does `_work`, which took `WORK_S` there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from fmrsflow.study import Scan, Study
from fmrsflow.words import count, duration

WORK_S = 0.0654
"""CPU seconds of `_work` on the machine and in the hours of the measurement; median of 146."""

POINT_BYTES = 7.6
"""Of a complex sample in a compressed NIfTI-MRS: noise does not compress."""

SAMPLED = 3
"""Scans of a site whose headers are read; the others are taken to be like their median."""


@dataclass(frozen=True)
class Size:
    """What the cost of a scan goes by.

    Attributes
    ----------
    transients : float
    samples : float
        Complex samples of one coil, in units of transients of 2,048 points.
    stored : float
        The same of all coils.
    voxels : float
        Of the T1w, millions; 0 where there is none.
    vendor : bool
        Whether a converter has to run.
    """

    transients: float
    samples: float
    stored: float
    voxels: float
    vendor: bool


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a job and of a scan in it, and bytes that a scan leaves."""

    job_s: float
    scan_s: Callable[[Size], float]
    scan_bytes: Callable[[Size], float]


def _samples_bytes(samples: float) -> float:
    return POINT_BYTES * 2048 * samples


COSTS = {
    "convert": Cost(
        0.65,
        lambda one: (0.22 + 0.0036 * one.stored if one.vendor else 0.05) + 0.0006 * one.stored,
        lambda one: _samples_bytes(one.stored) * 1.05 + 3e4,
    ),
    "segment": Cost(
        0.70, lambda one: 0.07 + 0.39 * one.voxels, lambda one: 1.1e6 * one.voxels + 1e4
    ),
    "anatomy": Cost(1.25, lambda one: 0.07 + 0.37 * one.voxels, lambda one: 1e5),
    "basis": Cost(0.4, lambda one: 3.6, lambda one: 1.2e7),
    "preprocess": Cost(
        0.88,
        lambda one: 0.19 + 0.0026 * one.samples + 0.00015 * one.stored,
        lambda one: _samples_bytes(one.samples) + 4e4,
    ),
    "fit": Cost(1.0, lambda one: 0.80 + 0.0018 * one.transients, lambda one: 3.3e5),
    "quantify": Cost(0.2, lambda one: 0.031, lambda one: 9e4),
    "response": Cost(0.27, lambda one: 0.045 + 0.00017 * one.transients, lambda one: 3.6e4),
    "pages": Cost(0.73, lambda one: 0.03 + 0.0009 * one.transients, lambda one: 1.25e6),
}
"""By stage; `pages` of an analysis."""

BOLD = Cost(5.0, lambda one: 40.0, lambda one: 5e6)
"""Of a scan with BOLD runs (docs/bold.md); runs differ by far more than scans of spectra."""

ONE_SITE_S, SITES_S, SITES_SCAN_S = 3.0, 14.0, 0.04
CONCORDANCE_S = 3.4
REPORT_S, REPORT_SITE_S = 0.5, 0.15
MULTIVERSE_S, COMPLETE_S = 2.0, 0.15
ANALYSIS_BYTES, SITE_PAGE_BYTES = 2.1e6, 0.7e6

START_S, PLAN_JOB_S = 5.0, 0.05
"""Of the check and snakemake itself, and what it takes for each job."""


@dataclass(frozen=True)
class Forecast:
    """What is to be done in a study.

    Attributes
    ----------
    jobs, done : int
        All jobs of a run to the report; those whose manifest is there.
    cpu_s : float
        Of the jobs that are left, with snakemake itself.
    n_bytes : float
        Of the results of all jobs.
    """

    jobs: int
    done: int
    cpu_s: float
    n_bytes: float

    def __str__(self) -> str:
        left = f", {self.done} of them done" if self.done else ""
        return (
            f"a run to the report: {count(self.jobs, 'job')}{left}, about "
            f"{duration(self.cpu_s)} of CPU, {_space(self.n_bytes)} of results"
        )


def forecast(study: Study, speed: float = 1.0) -> Forecast:
    """Jobs, CPU time and space of a run to the report.

    Parameters
    ----------
    study : Study
    speed : float
        Time that this machine takes over that of the one of the measurement (`slowness`).
    """
    sizes = _sizes(study)
    n_jobs = n_done = 0
    cpu_s = n_bytes = 0.0

    def add(jobs: dict, cost: Cost, places: Callable[[str], Path], size: Callable) -> None:
        """Count the jobs of a stage: `places` tells a job's manifest, `size` that of its items."""
        nonlocal n_jobs, n_done, cpu_s, n_bytes
        for job, items in jobs.items():
            n_jobs += 1
            n_bytes += sum(cost.scan_bytes(size(item)) for item in items)
            if places(job).exists():
                n_done += 1
            else:
                cpu_s += cost.job_s + sum(cost.scan_s(size(item)) for item in items)

    nothing = Size(0, 0, 0, 0, False)

    def of_item(item) -> Size:
        """Of a scan, or of the first scan of a unit; nothing where it is of neither."""
        members = getattr(item, "scans", (item,))
        return sizes.get(members[0].key, nothing)

    for stage, cost in {**COSTS, "bold": BOLD}.items():
        if stage == "pages":
            continue
        for names in study.choices(stage):
            add(
                study.jobs(stage),
                cost,
                lambda job, stage=stage, names=names: study.manifest_path(stage, names, job),
                of_item,
            )
    n_scans, n_sites = len(study.scans), len({scan.site for scan in study.scans})
    for analysis in study.config["analyses"]:
        folder = study.results / analysis

        def page_manifest(job: str, folder: Path = folder) -> Path:
            """Of a job that makes pages of an analysis."""
            return folder / "report" / "batches" / f"{job}.json"

        add(study.jobs("convert"), COSTS["pages"], page_manifest, of_item)
        for place, cost_s in (
            ("sites", (SITES_S if n_sites > 1 else ONE_SITE_S) + SITES_SCAN_S * n_scans),
            ("bold", CONCORDANCE_S),
            ("report", REPORT_S + REPORT_SITE_S * n_sites),
        ):
            n_jobs += 1
            if (folder / place / "record.json").exists():
                n_done += 1
            else:
                cpu_s += cost_s
        n_bytes += ANALYSIS_BYTES + SITE_PAGE_BYTES * (n_sites + 1)
    ends = (("multiverse/record", MULTIVERSE_S), ("complete", COMPLETE_S), ("complete", 0.0))
    for place, cost_s in ends:  # the last for Snakemake's own `all`
        n_jobs += 1
        if (study.results / f"{place}.json").exists():
            n_done += 1
        else:
            cpu_s += cost_s
    cpu_s += START_S + PLAN_JOB_S * (n_jobs - n_done)
    return Forecast(n_jobs, n_done, speed * cpu_s, n_bytes)


def slowness() -> float:
    """CPU time of this machine over that of the one of the measurement, for the same work."""
    _work()
    return median(_work() for _ in range(3)) / WORK_S


def _work() -> float:
    """CPU seconds of a mix of what stages do: matrices, transforms, and plain Python."""
    start = time.process_time()
    matrix = np.linspace(0, 1, 90_000).reshape(300, 300)
    for _ in range(20):
        matrix = matrix @ matrix
        matrix /= abs(matrix).max()
    np.fft.fft(np.ones((200, 2048), complex))
    total = 0.0
    for n in range(400_000):
        total += n * 0.5
    np.linalg.svd(matrix[:200, :200])
    return time.process_time() - start


def _sizes(study: Study) -> dict[str, Size]:
    """Size of each scan, by its key."""
    found = {}
    for site in study.sites.values():
        scans = study.scans_of(site.name)
        picked = scans[:: max(1, len(scans) // SAMPLED)][:SAMPLED]
        read = [_read(study, scan, site.transients) for scan in picked]
        if not read:
            continue
        usual = Size(
            *(
                median(getattr(one, name) for one in read)
                for name in ("transients", "samples", "stored", "voxels")
            ),
            read[0].vendor,
        )
        found |= {scan.key: usual for scan in scans}
    return found


def _read(study: Study, scan: Scan, promised: int | None) -> Size:
    path = study.data_root / scan.mrs
    vendor = not path.name.endswith((".nii", ".nii.gz"))
    transients, points, coils = _shape(path, promised)
    samples = transients * points / 2048
    t1w = study.data_root / scan.t1w if scan.t1w else None
    voxels = math.prod(_image(t1w)[0][:3]) / 1e6 if t1w else 0.0
    return Size(transients, samples, samples * coils, voxels, vendor)


def _shape(path: Path, promised: int | None) -> tuple[float, float, float]:
    """Transients, points and coils of a scan: of its header, else by the size of its file."""
    if path.name.endswith((".nii", ".nii.gz")):
        shape, header = _image(path)
        if len(shape) > 3:
            tags = [header.get(f"dim_{n}") for n in (5, 6, 7)]
            lengths = dict(zip(tags, shape[4:]))
            coils = lengths.pop("DIM_COIL", 1)
            return math.prod(lengths.values()), shape[3], coils
    stored = _bytes(path) / (8 * 2048)
    transients = promised or max(1.0, stored)
    return transients, 2048, max(1.0, stored / transients)


def _image(path: Path) -> tuple[tuple[int, ...], dict]:
    """Shape and NIfTI-MRS header of an image; empty where it cannot be read: the stages say why."""
    import nibabel as nib

    from fmrsflow.errors import DataError
    from fmrsflow.fids import header_extension

    try:
        image = nib.load(path)
    except Exception:  # damaged in one of many ways, and nothing but a guess depends on it
        return (), {}
    try:
        return image.shape, header_extension(image)
    except (DataError, ValueError):
        return image.shape, {}


def _bytes(path: Path) -> float:
    files: Iterable[Path] = path.iterdir() if path.is_dir() else [path]
    try:
        return float(sum(one.stat().st_size for one in files))
    except OSError:
        return 0.0


def _space(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
