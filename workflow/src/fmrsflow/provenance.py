"""What made an output: versions of the software and digests of its code."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fmrsflow.study import Study

PACKAGE = Path(__file__).resolve().parent

DEPENDENCIES = (
    "snakemake",
    "numpy",
    "scipy",
    "nibabel",
    "nifti-mrs",
    "spec2nii",
    "hlsvdpropy",
    "simpleitk",
    "scikit-learn",
    "nilearn",
    "statsmodels",
)


def software() -> dict:
    """Name, version, commit and dependencies of this workflow, as BIDS `GeneratedBy` wants it.

    The digest tells programs apart that Commit calls by one name: two edited checkouts (`-dirty`),
    two images that were built without a commit (`unknown`).
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
        "Python": ".".join(str(part) for part in sys.version_info[:3]),
        "Dependencies": found,
    }


def dataset_description(study: Study) -> dict:
    """`dataset_description.json` of the results as a BIDS derivative."""
    made = {"Description": "functional MR spectroscopy, from vendor files to the consortium"}
    if study.config.get("container"):
        made["Container"] = {"Tag": study.config["container"]}
    return {
        "Name": "fmrsflow results",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{**study.software, **made}],
    }


@cache
def code_digest(stage: str) -> str:
    """Digest of every module of this package that a stage imports, directly or not.

    Rules carry it as a parameter, so that a changed science reruns exactly the stages that use it
    (Snakemake does not see an imported package).
    """
    waiting, seen = [PACKAGE / "stages" / f"{stage}.py"], set()
    while waiting:
        path = waiting.pop()
        if path not in seen and path.exists():
            seen.add(path)
            waiting += _imports(path)
    # A module's table (systems.py, systems.tsv) is code too, and so are the templates of pages.
    beside = {path.with_suffix(".tsv") for path in seen}
    if PACKAGE / "report" / "render.py" in seen:
        beside |= set((PACKAGE / "report" / "templates").glob("*"))
    return _digest(seen | {path for path in beside if path.is_file()})


@cache
def package_digest() -> str:
    """Digest of every module, table and template of this package."""
    return _digest(
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != "."
    )


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _imports(path: Path) -> list[Path]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fmrsflow"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("fmrsflow")]
        else:
            continue
        for name in names:
            base = PACKAGE.joinpath(*name.split(".")[1:])
            found += [base.with_suffix(".py"), base / "__init__.py"]
    return found


def _commit() -> str:
    """That of the checkout; an image has none and is told when it is built (Containerfile)."""
    unknown = os.environ.get("FMRSFLOW_COMMIT", "unknown")
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=PACKAGE,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return unknown
    return done.stdout.strip() if done.returncode == 0 else unknown
