"""Multi-site functional MR spectroscopy: from vendor files to the consortium's answer."""

import dataclasses
import json
import math
import os
import re
from itertools import product

from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

from fmrsflow.errors import DataError, Unwritable
from fmrsflow.files import write_bytes, write_json
from fmrsflow.provenance import code_digest, dataset_description, software
from fmrsflow.sheets import StudyError, read_study
from fmrsflow.study import PATH_COLUMNS, STAGE_SETTINGS, batches, directory

min_version("9.0")


configfile: "config/config.yaml"


try:
    STUDY = read_study(config)
except StudyError as error:
    raise WorkflowError(str(error)) from None

for engine, command in {
    (fit["engine"], fit["command"])
    for fit in (STUDY.setting("fit", choice["fit"]) for choice in STUDY.config["analyses"].values())
    if fit["engine"] != "fmrsflow"
}:
    # An external engine that is not installed is told before anything runs.
    from fmrsflow.fit.engines import find_command

    try:
        find_command(engine, command)
    except DataError as error:
        raise WorkflowError(str(error)) from None

IMAGE = STUDY.config["container"]
if IMAGE and not re.fullmatch(r"[\w./:@+=,~-]+", IMAGE):
    # It becomes a word of a shell command.
    raise WorkflowError(f"config.yaml: container: {IMAGE!r} is no name of an image or file")
if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
    if not IMAGE:
        raise WorkflowError("--sdm apptainer: set `container` in config.yaml to an image")
    if "://" not in IMAGE and not os.path.exists(IMAGE):
        raise WorkflowError(f"config.yaml: container: there is no file {IMAGE}")


container: IMAGE


# For envs/core.post-deploy.sh, under --sdm conda.
os.environ.update(FMRSFLOW_ROOT=str(workflow.basedir))

RESULTS = STUDY.config["results"]
FROZEN = f"{RESULTS}/study.json"
ANALYSES = STUDY.config["analyses"]


wildcard_constraints:
    analysis="|".join(ANALYSES),
    basis="[a-z0-9]+",


include: "rules/common.smk"
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


rule responses:
    # Every percent change of every analysis, without group statistics and pages.
    input:
        [analysed(analysis) for analysis in ANALYSES],


# Snakemake keeps a function for each rule among the globals and copies all of them for each shell
# command; it calls them by way of the rule, so without the names 10,000 rules cost no longer square.
for name in [
    name for name in globals() if name.startswith("__") and name.endswith(tuple("0123456789"))
]:
    del globals()[name]


onstart:
    # Each round of Snakemake's rate limiter (9.27.1) sets a timer that starts one more round, for
    # good: after some hundred jobs its main process does little else. Local jobs need no limit,
    # and those of a cluster last minutes.
    workflow.scheduler.job_rate_limiter = None
    # Stages read the resolved study from here; written by the first process of a run alone.
    frozen = dataclasses.replace(STUDY, software=software())
    try:
        write_bytes(FROZEN, frozen.save_text().encode())
        write_json(f"{RESULTS}/dataset_description.json", dataset_description(frozen))
    except Unwritable as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    shell("fmrsflow summary --study {FROZEN}")


onerror:
    shell("fmrsflow summary --study {FROZEN}")
