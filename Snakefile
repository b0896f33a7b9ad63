"""Multi-site functional MR spectroscopy: from vendor files to the consortium's answer."""

import dataclasses
import gc
import glob
import math
import os
import re
import sys
from itertools import product

from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

from fmrsflow import manifests, progress, tenancy
from fmrsflow.batch import request_digest
from fmrsflow.errors import DataError
from fmrsflow.files import write_bytes
from fmrsflow.identity import same_measurements
from fmrsflow.layout import ROOT
from fmrsflow.preregistration import REGISTERED
from fmrsflow.provenance import code_digest, software, write_dataset
from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.study import ANALYSIS_SETTINGS, PATH_COLUMNS, STAGE_SETTINGS

min_version("9.0")

# Planning makes millions of objects that stay; to search them for garbage again and again takes a
# tenth of its time.
gc.set_threshold(100_000, 50, 100)


if os.path.lexists("config/config.yaml"):
    # Snakemake's own reader knows no bounds, and does not say which line is wrong.
    try:
        read_config("config/config.yaml")
    except StudyError as error:
        raise WorkflowError(str(error)) from None


configfile: "config/config.yaml"


try:
    STUDY = read_study(config)
    if workflow.is_main_process and (same := same_measurements(STUDY)):
        raise StudyError(same)
except StudyError as error:
    raise WorkflowError(str(error)) from None

for engine, command in {
    (fit["engine"], fit["command"])
    for fit in (STUDY.setting("fit", choice["fit"]) for choice in STUDY.config["analyses"].values())
    if fit["engine"] != "fmrsflow"
}:
    # An external engine that is not installed is reported before anything runs.
    from fmrsflow.fit.engines import find_command

    try:
        find_command(engine, command)
    except DataError as error:
        raise WorkflowError(str(error)) from None

DEPLOYMENT = workflow.deployment_settings.deployment_method
IMAGE = STUDY.config["container"]
if IMAGE and not re.fullmatch(r"[\w./:@+=,~-]+", IMAGE):
    # It becomes a word of a shell command.
    raise WorkflowError(f"config.yaml: container: {IMAGE!r} is no name of an image or file")
if DeploymentMethod.APPTAINER in DEPLOYMENT:
    if not IMAGE:
        raise WorkflowError("--sdm apptainer: set `container` in config.yaml to an image")
    if "://" not in IMAGE and not os.path.exists(IMAGE):
        raise WorkflowError(f"config.yaml: container: there is no file {IMAGE}")


container: IMAGE


# For envs/core.post-deploy.sh, under --sdm conda.
os.environ.update(FMRSFLOW_ROOT=str(ROOT))

# Jobs take the program that parses this file, whether or not its environment is activated; those
# in a container or a conda environment have one of their own. Through the environment, because
# Snakemake takes another text of the command for another code: a moved environment reran all.
os.environ.update(FMRSFLOW_PYTHON="python" if DEPLOYMENT else sys.executable)
# -P, and the variable for jobs of a cluster, which start Snakemake: no module is taken from the
# study's folder, whoever made it.
FMRSFLOW = '"${{FMRSFLOW_PYTHON:-python}}" -P -m fmrsflow'
os.environ.update(PYTHONSAFEPATH="1")
RESULTS = STUDY.config["results"]
DATA_ROOT = STUDY.config["data_root"]
FROZEN = f"{RESULTS}/study.json"
ANALYSES = STUDY.config["analyses"]

if workflow.is_main_process and not workflow.output_settings.dryrun:
    # Stages read the resolved study from here.
    frozen = dataclasses.replace(STUDY, software=software())
    content = frozen.save_text().encode()
    try:
        tenancy.lock(STUDY.results)
        tenancy.check_origin(STUDY)
        if not os.path.exists(FROZEN) or open(FROZEN, "rb").read() != content:
            write_bytes(FROZEN, content)
        write_dataset(frozen)
        tenancy.settle(STUDY)
    except (DataError, OSError) as error:
        raise WorkflowError(str(error)) from None


if workflow.is_main_process and not (
    workflow.output_settings.dryrun or workflow.output_settings.verbose
):
    progress.attach(logger, STUDY)


wildcard_constraints:
    **{name: "|".join(STUDY.config[name]) for name in STAGE_SETTINGS["response"]},
    analysis="|".join(ANALYSES),
    job="[A-Za-z0-9]+_[0-9]+",


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
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        rules.complete.output,


onstart:
    # Each round of Snakemake's rate limiter (9.27.1) sets a timer that starts one more round, for
    # good: after some hundred jobs its main process does little else. Local jobs need no limit,
    # and those of a cluster last minutes.
    workflow.scheduler.job_rate_limiter = None
    os.utime(FROZEN)  # when the run began, for `fmrsflow summary`


onsuccess:
    shell(f"{FMRSFLOW} summary --study {FROZEN}")


onerror:
    shell(f"{FMRSFLOW} summary --study {FROZEN}")
