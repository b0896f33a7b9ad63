"""Where the files of the workflow lie: Snakefile, rules, schemas, profiles, configuration."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

INSTALLED = "_repository"
"""Folder of the package in which a wheel has them, laid out as in the repository (envs/wheel.py);
digests of code leave out what begins with `_`."""


def _root() -> Path:
    inside = PACKAGE / INSTALLED
    return inside if inside.is_dir() else PACKAGE.parents[2]


ROOT = _root()
"""The clone that this package is imported from, or the wheel's copy of what it needs of one."""

SNAKEFILE = ROOT / "Snakefile"
SCHEMAS = ROOT / "workflow" / "schemas"
PROFILES = ROOT / "workflow" / "profiles"
PRESETS = ROOT / "workflow" / "presets"
