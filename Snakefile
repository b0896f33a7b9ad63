"""Multi-site functional MR spectroscopy: from vendor files to the consortium's answer."""

import dataclasses
import json
import os

from snakemake.utils import min_version

from fmrsflow.edge import write_bytes
from fmrsflow.provenance import code_digest, software
from fmrsflow.sheets import StudyError, read_study
from fmrsflow.study import PATH_COLUMNS, STAGE_SETTINGS, batches, directory

min_version("9.0")


configfile: "config/config.yaml"


try:
    STUDY = read_study(config)
except StudyError as error:
    raise WorkflowError(str(error)) from None

RESULTS = STUDY.config["results"]
FROZEN = f"{RESULTS}/study.json"
ANALYSES = STUDY.config["analyses"]


SCAN_BATCHES = [
    batch
    for site in STUDY.sites
    for batch in batches([scan for scan in STUDY.scans if scan.site == site], STUDY.config["batch"])
]


wildcard_constraints:
    analysis="|".join(ANALYSES),
    preprocess="[a-z0-9]+",
    basis="[a-z0-9]+",
    fit="[a-z0-9]+",
    concentration="[a-z0-9]+",
    response="[a-z0-9]+",


def folder(stage):
    """Folder of a stage with its settings as wildcards, for example fit-{preprocess}-{basis}-{fit}."""
    return directory(stage, {name: f"{{{name}}}" for name in STAGE_SETTINGS[stage]})


def records(stage, items, names=None):
    """Records that a stage writes for these scans or units; `names` fills in the settings."""
    where = directory(stage, names) if names else folder(stage)
    return [str(STUDY.path(where, item, f"desc-{stage}_record.json")) for item in items]


def sources(items, *columns):
    """Input files of these scans; a missing one fails its scan alone, in the stage."""
    found = [str(STUDY.data_root / getattr(i, c)) for i in items for c in columns if getattr(i, c)]
    return sorted({path for path in found if path in DEMO_FILES or os.path.exists(path)})


def rows(items, *columns):
    """What the sheets say of these scans, so that an edited row reruns its scans."""
    cells = [[getattr(item, column) for column in columns] for item in items]
    sites = [dataclasses.astuple(STUDY.sites[name]) for name in sorted({i.site for i in items})]
    return json.dumps([cells, sites])


def setting(stage):
    """Params function: the named setting that a job's wildcards choose."""
    return lambda wildcards: json.dumps(STUDY.setting(stage, wildcards[stage]), sort_keys=True)


def memory(mb):
    """Memory of a job, growing with each submission (profile `retries`)."""
    return lambda wildcards, attempt: mb * attempt


def keys(items):
    """Scans or units as the command line of a stage wants them."""
    return [item.key for item in items]


include: "rules/demo.smk"
include: "rules/convert.smk"
include: "rules/anatomy.smk"
include: "rules/basis.smk"
include: "rules/preprocess.smk"
include: "rules/quantify.smk"
include: "rules/response.smk"
include: "rules/bold.smk"
include: "rules/sites.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        expand("{results}/{analysis}/report/index.html", results=RESULTS, analysis=ANALYSES),
        expand("{results}/{analysis}/bold/record.json", results=RESULTS, analysis=ANALYSES),


onstart:
    # Stages read the resolved study from here; written by the first process of a run alone.
    write_bytes(FROZEN, dataclasses.replace(STUDY, software=software()).save_text().encode())
