"""What made an output: versions of the software and digests of its code."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import cache_from_source
from pathlib import Path

from fmrsflow.bids_uris import dataset_links
from fmrsflow.commit import commit_of
from fmrsflow.definitions import Key, Package
from fmrsflow.files import write_bytes, write_json
from fmrsflow.layout import INSTALLED, PACKAGE
from fmrsflow.study import STAGE_SETTINGS, Study

DEPENDENCIES = (
    "snakemake",
    "numpy",
    "scipy",
    "nibabel",
    "nifti-mrs",
    "spec2nii",
    "dcm2niix",
    "simpleitk",
    "scikit-learn",
    "nilearn",
)


def software() -> dict:
    """Name, version, commit and dependencies of this workflow, as BIDS `GeneratedBy` wants it.

    The digest tells programs apart that Commit calls by one name: two edited checkouts (`-dirty`),
    two images that were built without a commit (`unknown`). Those of the stages tell whether two
    programs give the same numbers (versions.py).
    """
    found = {}
    for name in DEPENDENCIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "Name": "fmrsflow",
        "Version": version("fmrsflow"),
        "Commit": _commit(),
        "CodeDigest": package_digest(),
        "Stages": {stage: code_digest(stage) for stage in STAGE_SETTINGS},
        "Python": ".".join(str(part) for part in sys.version_info[:3]),
        "Dependencies": found,
    }


def dataset_description(study: Study) -> dict:
    """`dataset_description.json` of the results as a BIDS derivative."""
    made = {"Description": "functional MR spectroscopy, from vendor files to the consortium"}
    if study.config.get("container"):
        made["Container"] = {"Tag": study.config["container"]}
    links = dataset_links(study)
    return {
        "Name": "fmrsflow results",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        **({"DatasetLinks": links} if links else {}),
        "GeneratedBy": [
            {**{key: one for key, one in study.software.items() if key != "Stages"}, **made}
        ],
    }


def write_dataset(study: Study) -> None:
    """What makes a folder of results a BIDS derivative: its description, and `.bidsignore` with the
    folders and files for which the standard has no names (settings, sites, analyses)."""
    write_json(study.results / "dataset_description.json", dataset_description(study))
    folders = [*(f"{stage}*" for stage in STAGE_SETTINGS), *study.config["analyses"]]
    folders += ["multiverse", "cache"]
    ignored = [*folders, "study.json", "complete.json"]
    write_bytes(study.results / ".bidsignore", "".join(f"{one}\n" for one in ignored).encode())


@cache
def code_digest(stage: str) -> str:
    """Digest of what the code of a stage does: of every definition that its command can reach.

    Rules carry it as a parameter, so that a changed science reruns exactly the stages that use it
    (Snakemake does not see an imported package) and a comment reruns none.
    """
    kept = kept_digests()
    if stage not in kept:
        kept[stage] = _package().digest(*roots(stage))
        _keep_digests(kept)
    return kept[stage]


def roots(stage: str) -> tuple[Key, ...]:
    """Definitions (module, name) from which the command of a stage starts."""
    return (f"fmrsflow.stages.{stage}", "main"), ("fmrsflow.arithmetic", "fix")


@cache
def package_digest() -> str:
    """Digest of the bytes of every module, table and template of this package; a wheel's is that of
    the clone that it was built from."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE)
        skip = "__pycache__" in path.parts or name.parts[0] == INSTALLED
        if path.is_file() and not skip and path.name[0] != ".":
            digest.update(str(name).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _package() -> Package:
    return Package(PACKAGE)


@cache
def kept_digests() -> dict[str, str]:
    """Digests of stages that stand beside the compiled modules, if no file has changed since.

    Each job of a cluster asks for all of them again, and parsing takes half a second.
    """
    try:
        kept = json.loads(_kept_file().read_text())
        return kept["stages"] if kept["package"] == package_digest() else {}
    except (OSError, ValueError):
        return {}


def _keep_digests(stages: dict[str, str]) -> None:
    kept = _kept_file()
    own = kept.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a package that this user may not write
        kept.parent.mkdir(exist_ok=True)
        own.write_text(json.dumps({"package": package_digest(), "stages": stages}))
        own.replace(kept)


def _kept_file() -> Path:
    return Path(cache_from_source(str(PACKAGE / "definitions.py"))).with_suffix(".json")


def _commit() -> str:
    """That of the checkout; a wheel holds that of its clone (envs/wheel.py), an image has none and
    is told when it is built (Containerfile)."""
    unknown = os.environ.get("FMRSFLOW_COMMIT", "unknown")
    if (PACKAGE / INSTALLED).is_dir():
        # A wheel: a repository around its environment is another project's.
        told = PACKAGE / INSTALLED / "commit.txt"
        return told.read_text().strip() if told.is_file() else unknown
    return commit_of(PACKAGE) or unknown
