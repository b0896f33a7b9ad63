"""Rows of the sheets: the names of a synthetic study's files, known from its plan alone."""

from __future__ import annotations

from fmrsflow.synthetic.people import PlannedScan, Visit
from fmrsflow.synthetic.plan import Plan, SitePlan

SCAN_COLUMNS = (
    "site", "subject", "session", "task", "acq", "run", "mrs", "ref", "t1w", "gm", "wm", "csf",
    "events", "condition", "bold", "bold_events", "bold_confounds",
)  # fmt: skip

SITE_COLUMNS = (
    "site", "vendor", "field_t", "sequence", "te_s", "tr_s", "te1_s", "tm_s", "protocol",
    "transients", "spectral_width_hz",
)  # fmt: skip

_SUFFIX = {"nifti": ".nii.gz", "sdat": ".SDAT", "rda": ".rda"}


def site_row(site: SitePlan) -> dict:
    """Row of sites.tsv."""
    values = {name: getattr(site, name) for name in SITE_COLUMNS if name != "site"}
    return {"site": site.name, **values}


def scan_row(plan: Plan, scan: PlannedScan) -> dict:
    """Row of scans.tsv; paths relative to the data root."""
    site, stem = scan.visit.site, scan.stem
    mrs = f"{scan.folder}/mrs/{stem}"
    row = {
        "site": site.name,
        "subject": scan.visit.subject,
        "session": scan.session,
        "task": scan.task,
        "acq": scan.region.acq,
        "mrs": f"{mrs}_svs{_SUFFIX[site.file_format]}",
        "ref": f"{mrs}_mrsref{_SUFFIX[site.reference_format]}",
        "t1w": t1w_path(scan.visit),
        "condition": scan.condition,
    }
    if plan.tissue_maps:
        row |= {name: map_path(scan.visit, name) for name in ("gm", "wm", "csf")}
    if not scan.condition:
        row["events"] = f"{mrs}_events.tsv"
    if plan.bold_sessions and scan.condition in ("", plan.design.task):
        for column, ending in BOLD_FILES.items():
            row[column] = "; ".join(f"{run}_{ending}" for run in bold_runs(plan, scan.visit))
    return row


BOLD_FILES = {
    "bold": "space-T1w_desc-preproc_bold.nii.gz",
    "bold_events": "events.tsv",
    "bold_confounds": "desc-confounds_timeseries.tsv",
}
"""Columns of a BOLD run and how the names of its files end."""


def bold_runs(plan: Plan, visit: Visit) -> list[str]:
    """Start of the names of a person's BOLD runs, one a session, relative to the data root."""
    sessions = (f"fmri{number}" for number in range(1, plan.bold_sessions + 1))
    return [
        f"{visit.site.name}/sub-{visit.subject}/ses-{session}/func/"
        f"sub-{visit.subject}_ses-{session}_task-{plan.design.task}"
        for session in sessions
    ]


def map_path(visit: Visit, tissue: str) -> str:
    """Path of a visit's map of gm, wm or csf, relative to the data root."""
    return t1w_path(visit).replace("_T1w", f"_label-{tissue.upper()}_probseg")


def t1w_path(visit: Visit) -> str:
    """Path of a visit's T1w, relative to the data root."""
    return f"{visit.site.name}/sub-{visit.subject}/anat/sub-{visit.subject}_T1w.nii.gz"
