"""Configuration and sheets of a published dataset, for `fmrsflow run` as it was."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import yaml

from fmrsflow.bundles import PATH_SETTINGS
from fmrsflow.files import write_bytes
from fmrsflow.participants import person_columns
from fmrsflow.sheets import schema
from fmrsflow.study import ANALYSIS_SETTINGS, PATH_COLUMNS, Scan, Study
from fmrsflow.tables import table_bytes

TOP = {
    **dict.fromkeys(PATH_SETTINGS[""]),
    "results": "results",
    "data_root": "..",
    "sites_sheet": "config/sites.tsv",
    "scans_sheet": "config/scans.tsv",
    "participants_sheet": "config/participants.tsv",
    "only_sites": None,
}
"""Keys of config.yaml that hold for a dataset; `code` is the folder of the study."""


def with_files(scan: Scan, files: dict[str, str]) -> Scan:
    """A scan with these files of the dataset, by column of scans.tsv, and no others. Which of its
    transients are water stands in their header."""
    none = dict.fromkeys((*PATH_COLUMNS, "water_transients"), "")
    return replace(scan, **none | files)


def write_code(folder: Path, study: Study, scans: Sequence[Scan], people: list[dict]) -> None:
    """Write config.yaml and the sheets of the scans that are given."""
    config = copy.deepcopy(study.config) | TOP
    for values, key, _ in _files_of_settings(config):
        del values[key]
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    write_bytes(folder / "config.yaml", text.encode())
    sites = {scan.site for scan in scans}
    rows = {
        "sites": [{"site": name} | asdict(study.sites[name]) for name in sorted(sites)],
        "scans": [asdict(scan) for scan in scans],
        "participants": [row | {"person": row["person"].removeprefix("sub-")} for row in people],
    }
    for sheet, own in rows.items():
        columns = list(schema(f"{sheet}_sheet"))
        if sheet == "participants":
            columns = person_columns(config["sites"])
        cells = [{column: _cell(row.get(column)) for column in columns} for row in own]
        write_bytes(folder / f"{sheet}.tsv", table_bytes(cells))


def files_of_settings(config: dict) -> list[str]:
    """Settings that name a file of the site, as `fit.spline.joint_design`: the dataset has none."""
    own = [key for key in ("norms", "preregistration") if config[key]]
    return [*own, *(called for _, _, called in _files_of_settings(config))]


def _files_of_settings(config: dict) -> list[tuple[dict, str, str]]:
    """Where the setting stands, its key, and what it is called."""
    found = []
    for section, keys in PATH_SETTINGS.items():
        if section in ANALYSIS_SETTINGS:
            own = [(f"{section}.{name}", values) for name, values in config[section].items()]
        else:
            own = [(section, config[section])] if section else []
        found += [
            (values, key, f"{where}.{key}")
            for where, values in own
            for key in keys
            if values.get(key)
        ]
    return found


def _cell(value) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "" if value is None else str(value)
