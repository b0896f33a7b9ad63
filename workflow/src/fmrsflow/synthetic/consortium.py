"""A whole study on disk: one BIDS folder a site, sheets for the workflow, and the truth.

The workflow reads the site folders and the sheets, never `truth/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fmrsflow.concentration import Tissue
from fmrsflow.fids import Fids
from fmrsflow.files import write_bytes, write_json
from fmrsflow.synthetic import head as heads
from fmrsflow.synthetic import writers
from fmrsflow.synthetic.acquisition import basis_of, blocks, protocol_of
from fmrsflow.synthetic.people import PlannedScan, Visit, generator, identity, place, scans, visits
from fmrsflow.synthetic.plan import Plan, SitePlan
from fmrsflow.synthetic.record import methods_text, study_record
from fmrsflow.synthetic.rows import SCAN_COLUMNS, map_path, scan_row, site_row, t1w_path
from fmrsflow.synthetic.scanner import SimulatedScan, simulate
from fmrsflow.tables import MISSING, flag, integer, number, text, write_table

_IDENTITY = {
    "site": text("site"),
    "subject": text("BIDS label of the participant at this site"),
    "session": text("BIDS label of the session"),
    "task": text("BIDS label of the task"),
    "acq": text("BIDS label of the voxel"),
}

TRUTH_COLUMNS = {
    "scans": {
        **_IDENTITY,
        "condition": text("condition of the whole scan; n/a where events give it"),
        "snr_tcr": number("height of tCr over SD of the real noise, one transient, one SD", "1"),
        "noise_sd": number("SD of the real part of the noise of a combined FID", "a.u."),
        "lorentz_hz": number("Lorentzian FWHM at rest", "Hz"),
        "gauss_hz": number("Gaussian FWHM", "Hz"),
        "skew_hz": number("scale of the exponential skew of B0", "Hz"),
        "narrowing_hz": number("Lorentzian FWHM lost at full BOLD response", "Hz"),
        "drift_hz": number(
            "frequency of the last transients minus that of the first (tenths)", "Hz"
        ),
        "eddy_hz": number("eddy-current offset at the start of the FID", "Hz"),
        "residual_water": number("residual over unsuppressed water", "1"),
        "water_amplitude": number("amplitude of the water reference at t = 0", "a.u."),
        "gm": number("true volume fraction of grey matter", "1"),
        "wm": number("true volume fraction of white matter", "1"),
        "csf": number("true volume fraction of cerebrospinal fluid", "1"),
        "coverage": number("share of the voxel inside the brain", "1"),
    },
    "concentrations": {
        **_IDENTITY,
        "metabolite": text("name"),
        "mmol_per_kg": number("concentration at rest", "mmol/kg tissue water"),
        "amplitude": number("amplitude per molecule at rest", "a.u."),
    },
    "response": {
        **_IDENTITY,
        "metabolite": text("name"),
        "change_percent": number("100 (mean in task - mean at rest) / mean at rest", "%"),
    },
    "transients": {
        **_IDENTITY,
        "transient": integer("number from 0"),
        "shift_hz": number("true frequency shift", "Hz"),
        "phase_deg": number("true zero-order phase", "degree"),
        "lorentz_hz": number("true Lorentzian FWHM", "Hz"),
        "burst": flag("a lipid burst hit it"),
        "echo": flag("a spurious echo hit it"),
    },
}


def write_sheets(plan: Plan, folder: str | Path) -> None:
    """sites.tsv, scans.tsv and participants.tsv: known from the plan, before any data."""
    folder = Path(folder)
    sites = [site_row(site) for site in plan.sites]
    write_table(folder / "sites.tsv", sites)
    people, rows = [], []
    for visit in visits(plan):
        people.append(_participant(visit))
        for scan in scans(plan, visit):
            row = scan_row(plan, scan)
            rows.append({column: row.get(column) for column in SCAN_COLUMNS})
    write_table(folder / "scans.tsv", rows)
    write_table(folder / "participants.tsv", people)


def make(plan: Plan, root: str | Path, cores: int = 1) -> Iterator[Visit]:
    """Write a study below `root`, visit by visit, and yield each visit that is done.

    Memory does not grow with the study: each visit's truth goes to disk as it comes.

    Parameters
    ----------
    plan : Plan
    root : path
        The data root: site folders, `config/` with the sheets, `truth/`, `record.json`.
    cores : int
        Processes; the files are the same for any number.
    """
    root = Path(root)
    write_sheets(plan, root / "config")
    for site in plan.sites:
        _write_site(plan, site, root)
        basis_of(site)  # before the processes start, so that they share it
    tables = {
        name: _Table(root / "truth" / f"{name}.tsv", columns)
        for name, columns in TRUTH_COLUMNS.items()
    }
    for visit, made in _each_visit(plan, root, cores):
        for name, rows in made.items():
            tables[name].append(rows)
        yield visit
    for table in tables.values():
        table.close()
    record = study_record(plan, {site.name: basis_of(site) for site in plan.sites})
    write_json(root / "record.json", record)
    write_bytes(root / "methods.md", methods_text(record).encode())


def make_visit(plan: Plan, visit: Visit, root: Path) -> dict[str, list[dict]]:
    """Write all scans of one person at one site; rows of the truth, by table."""
    head = heads.make_head(
        generator(plan, "anatomy", visit.drawn),
        generator(plan, "visit", place(plan, visit), visit.drawn),
        visit.age,
        plan.participants.spacing_mm,
    )
    _write_anatomy(plan, visit, head, root)
    if plan.bold_sessions:
        from fmrsflow.synthetic.bold import write_bold_runs

        write_bold_runs(plan, visit, head, root)
    rows: dict[str, list[dict]] = {name: [] for name in TRUTH_COLUMNS}
    for scan in scans(plan, visit):
        who = identity(plan, scan)
        operator = generator(plan, "voxel", *who[:4])
        affine = heads.voxel_affine(head, scan.region.centre_mni_mm, scan.region.size_mm, operator)
        shares = heads.fractions(head, affine)
        tissue = Tissue(gm=shares["gm"], wm=shares["wm"], csf=shares["csf"])
        protocol, concentrations = protocol_of(plan, scan, tissue, affine)
        made = simulate(protocol, generator(plan, "signal", *who))
        _write_scan(plan, scan, made, root)
        _truth(rows, scan, protocol, concentrations, made, shares)
    return rows


def _each_visit(plan, root, cores) -> Iterator[tuple[Visit, dict[str, list[dict]]]]:
    if cores == 1:
        for visit in visits(plan):
            yield visit, make_visit(plan, visit, root)
        return
    from collections import deque
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Forked, so that the bases and templates are in memory once.
    with ProcessPoolExecutor(cores, mp_context=get_context("fork")) as pool:
        waiting: deque = deque()
        for visit in visits(plan):
            waiting.append((visit, pool.submit(make_visit, plan, visit, root)))
            if len(waiting) > 2 * cores:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


class _Table:
    """A truth table that grows as visits are done."""

    def __init__(self, path: Path, columns: dict):
        write_table(path, [], columns)
        self.columns = list(columns)
        self.file = path.open("a")

    def append(self, rows: list[dict]) -> None:
        for row in rows:
            cells = (row.get(column) for column in self.columns)
            self.file.write("\t".join(_cell(value) for value in cells) + "\n")

    def close(self) -> None:
        self.file.close()


def _cell(value) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    # More digits than the sheets: the truth is compared with.
    return f"{value:.9g}" if isinstance(value, (float, np.floating)) else str(value)


def _participant(visit: Visit) -> dict:
    return {
        "site": visit.site.name,
        "subject": visit.subject,
        "person": visit.person,
        "age": visit.age,
    }


def _write_site(plan: Plan, site: SitePlan, root: Path) -> None:
    folder = root / site.name
    write_json(
        folder / "dataset_description.json",
        {
            "Name": f"{plan.name}: {site.name} (synthetic)",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": plan.licence,
        },
    )
    # Vendor files have no place in the standard.
    write_bytes(folder / ".bidsignore", b"*.SDAT\n*.SPAR\n*.rda\n")
    people = [
        {"participant_id": f"sub-{visit.subject}", "age": visit.age}
        for visit in visits(plan)
        if visit.site is site
    ]
    write_table(folder / "participants.tsv", people)


def _write_anatomy(plan: Plan, visit: Visit, head: heads.Head, root: Path) -> None:
    t1w = root / t1w_path(visit)
    writers.write_image(head.t1w, head.affine, t1w)
    maps = root / "truth" / t1w.parent.relative_to(root)
    for name, part in head.maps.items():
        path = maps / t1w.name.replace("_T1w", f"_label-{name.upper()}_probseg")
        writers.write_image(np.round(255 * part).astype(np.uint8), head.affine, path, 1 / 255)
    if plan.tissue_maps:
        error = visit.site.tissue_error
        told = {name: (1 - error) * part for name, part in head.maps.items()}
        told["csf"] = told["csf"] + error * sum(head.maps.values())
        for name, part in told.items():
            path = root / map_path(visit, name)
            writers.write_image(np.round(255 * part).astype(np.uint8), head.affine, path, 1 / 255)


def _write_scan(plan: Plan, scan: PlannedScan, made: SimulatedScan, root: Path) -> None:
    row, site = scan_row(plan, scan), scan.visit.site
    _write_fids(made.fids, root / row["mrs"], site, scan)
    _write_fids(made.reference, root / row["ref"], site, scan)
    if "events" in row:
        spans = blocks(plan.design, site.transients * site.tr_s)
        events = [
            {"onset": onset, "duration": duration, "trial_type": name}
            for onset, duration, name in spans
        ]
        write_table(root / row["events"], events)


def _write_fids(fids: Fids, path: Path, site: SitePlan, scan: PlannedScan) -> None:
    if path.suffix == ".SDAT":
        writers.write_sdat(fids, path, site.sequence)
    elif path.suffix == ".rda":
        writers.write_rda(fids, path)
    else:
        writers.write_nifti(fids, path)
        sidecar = {
            "ResonantNucleus": [fids.nucleus],
            "SpectrometerFrequency": [fids.frequency_mhz],
            "SpectralWidth": 1 / fids.dwell_s,
            "EchoTime": fids.te_s,
            "RepetitionTime": fids.tr_s,
            "NumberOfTransients": fids.n_transients,
            "AcquisitionVoxelSize": list(scan.region.size_mm),
            "Manufacturer": site.vendor,
            "MagneticFieldStrength": site.field_t,
        }
        if "_svs" in path.name and scan.task != "rest":
            sidecar["TaskName"] = scan.task
        write_json(path.with_name(path.name.replace(".nii.gz", ".json")), sidecar)


def _truth(rows, scan: PlannedScan, protocol, concentrations, made: SimulatedScan, shares) -> None:
    truth, shape = made.truth, protocol.lineshape
    identity = {
        "site": scan.visit.site.name,
        "subject": scan.visit.subject,
        "session": scan.session,
        "task": scan.task,
        "acq": scan.region.acq,
    }
    tenth = max(1, protocol.n_transients // 10)
    rows["scans"].append(
        {
            **identity,
            "condition": scan.condition,
            "snr_tcr": protocol.noise.snr_tcr,
            "noise_sd": truth.noise_sd,
            "lorentz_hz": shape.lorentz_hz,
            "gauss_hz": shape.gauss_hz,
            "skew_hz": shape.skew_hz,
            "narrowing_hz": shape.narrowing_hz,
            "drift_hz": float(truth.shift_hz[-tenth:].mean() - truth.shift_hz[:tenth].mean()),
            "eddy_hz": protocol.eddy.offset_hz if protocol.eddy else 0.0,
            "residual_water": protocol.residual_water.fraction,
            "water_amplitude": protocol.reference.amplitude,
            **shares,
        }
    )
    for name, value in concentrations.items():
        amplitude = protocol.amplitudes[name]
        rows["concentrations"].append(
            {**identity, "metabolite": name, "mmol_per_kg": value, "amplitude": amplitude}
        )
    changes = truth.change_percent if not scan.condition else protocol.changes_percent
    if scan.condition != "rest":
        for name, value in changes.items():
            rows["response"].append({**identity, "metabolite": name, "change_percent": value})
    for j in range(protocol.n_transients):
        rows["transients"].append(
            {
                **identity,
                "transient": j,
                "shift_hz": truth.shift_hz[j],
                "phase_deg": truth.phase_deg[j],
                "lorentz_hz": truth.lorentz_hz[j],
                "burst": truth.bursts[j],
                "echo": truth.echoes[j],
            }
        )
