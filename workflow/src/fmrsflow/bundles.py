"""What leaves a site that may not share raw data (how a centre checks it: bundle_merge.py).

A bundle is a ZIP with fixed dates: the records and tables of one site, condition averages and fits,
its part of the study, and MANIFEST.json with the digest of each file. Raw FIDs, single transients,
images, names of source files and paths of the configuration stay at home.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fmrsflow.errors import DataError
from fmrsflow.files import json_bytes
from fmrsflow.participants import OF_SITE, person_columns
from fmrsflow.results import Output, Results, record_bytes
from fmrsflow.source_names import column_of
from fmrsflow.study import (
    PATH_COLUMNS,
    PATH_SETTINGS,
    STAGE_SETTINGS,
    WITHHELD,
    Scan,
    Study,
    Unit,
    blanked,
    without_paths,
)

FORMAT = 1
MANIFEST = "MANIFEST.json"
STUDY = "study.json"

LEAVES = {
    "convert": ("svs.json", "mrsref.json"),
    "anatomy": (),
    "bold": (
        "area.tsv",
        "area.json",
        "runs.tsv",
        "runs.json",
        "response.tsv",
        "response.json",
        "histogram.tsv",
        "histogram.json",
        "clusters.tsv",
        "clusters.json",
        "roi.tsv",
        "roi.json",
    ),
    "preprocess": (
        "transients.tsv",
        "transients.json",
        "water.tsv",
        "water.json",
        "average.nii.gz",
        "matched.nii.gz",
    ),
    "fit": (
        "amplitudes.tsv",
        "amplitudes.json",
        "joint.tsv",
        "joint.json",
        "timecourse.tsv",
        "timecourse.json",
        "result.npz",
    ),
    "quantify": ("concentrations.tsv", "concentrations.json"),
    "response": (
        "change.tsv",
        "change.json",
        "controls.tsv",
        "controls.json",
        "plateaus.tsv",
        "plateaus.json",
    ),
}
"""Files of each stage that a bundle holds beside its records; whatever is not listed stays."""


def pack(study: Study, site: str) -> tuple[bytes, dict]:
    """The bundle of a site and its manifest.

    Parameters
    ----------
    study : Study
        Frozen, with every stage of every analysis run.

    Raises
    ------
    DataError
        No such site, or a record missing (the workflow has not run to its end).
    """
    scans = tuple(scan for scan in study.scans if scan.site == site)
    if not scans:
        raise DataError(f"the study has no scan of a site {site!r}")
    part = replace(
        study,
        config=without_paths(study.config),
        sites={site: study.sites[site]},
        scans=tuple(_without_names(scan) for scan in scans),
        participants=tuple(_of_people(study, site)),
        preregistration={},  # that of the consortium is named where bundles are merged
    )
    files, outputs = {STUDY: part.save_text().encode()}, {}
    results = Results(study)
    for stage, own, item in results_of(replace(study, scans=scans)):
        output = results.of(stage, own, item)
        if not output.exists:
            raise DataError(f"{item.key}: {stage} has not run; run the workflow to its end first")
        for name in LEAVES[stage]:
            if output.has(name):
                files[below(study, output.place(name))] = _clean(output, name)
        outputs[below(study, output.record_path)] = item, output
    digests = {name: digest_of(content) for name, content in files.items()}
    # In the order of the chain: a record that is the input of another comes first.
    for name, (item, output) in outputs.items():
        files[name] = _clean_record(study, item, output, digests)
        digests[name] = digest_of(files[name])
    columns = sorted({key for row in part.participants for key in row} - {"site"})
    manifest = {
        "format": FORMAT,
        "site": site,
        "scans": [scan.key for scan in scans],
        "software": study.software,
        "withheld": "raw FIDs, single transients, water references, images, BOLD of single "
        "voxels, names of source files, paths of the configuration",
        "of_persons": f"labels of scans{''.join(f', {one}' for one in columns)}; "
        "scanner model and software; times of processing",
        "levels": _levels(part, files),
        "files": dict(sorted(digests.items())),
    }
    files[MANIFEST] = json_bytes(manifest)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue(), manifest


def leaving(study: Study, site: str) -> Iterator[tuple[Output, str]]:
    """Output and name of every file beside a record that a bundle of the site takes."""
    part = replace(study, scans=tuple(study.scans_of(site)))
    results = Results(study)
    for stage, own, item in results_of(part):
        output = results.of(stage, own, item)
        if output.exists:
            yield from ((output, name) for name in LEAVES[stage] if output.has(name))


def _levels(part: Study, files: dict[str, bytes]) -> dict[str, list[str]]:
    """Words of the site's own that leave, for its consent: what a study calls its tasks,
    conditions and trial types, and what it says of persons; by where they stand."""
    found: dict[str, set[str]] = {}
    for scan in part.scans:
        for column in ("task", "acq", "voi", "condition"):
            found.setdefault(f"scans.tsv {column}", set()).add(getattr(scan, column))
    groups = [one for one in part.config["sites"].get("groups") or () if one not in OF_SITE]
    for row in part.participants:
        for column in ("person", *groups):
            found.setdefault(f"participants.tsv {column}", set()).add(row.get(column) or "")
    for name, content in files.items():
        if name.endswith(("_desc-preprocess_record.json", "_desc-bold_record.json")):
            conditions = json.loads(content).get("conditions") or ()
            found.setdefault("trial types and conditions", set()).update(conditions)
    return {key: sorted(words - {""}) for key, words in found.items() if words - {""}}


def _without_names(scan: Scan) -> Scan:
    """File names may hold a person's name: only that there is a file leaves the site."""
    return replace(scan, **{column: WITHHELD for column in PATH_COLUMNS if getattr(scan, column)})


def _of_people(study: Study, site: str) -> Iterator[dict]:
    """Rows of participants.tsv of a site: the columns that the configuration names, alone."""
    columns = person_columns(study.config["sites"])
    for row in study.participants:
        if row["site"] == site:
            yield {column: row[column] for column in columns if column in row}


def results_of(study: Study) -> Iterator[tuple[str, dict[str, str], Scan | Unit]]:
    """Stage, its named settings, and scan or unit of everything that a bundle holds."""
    for names in study.config["analyses"].values():
        for stage in LEAVES:
            own = {setting: names[setting] for setting in STAGE_SETTINGS[stage]}
            for item in study.items(stage):
                yield stage, own, item


def merged(study: Study) -> bool:
    """Whether results are those of bundles, whose raw data stayed at the sites."""
    return study.config["data_root"] == WITHHELD


def below(study: Study, path: Path) -> str:
    """Name of a result in a bundle: its path below the results."""
    return str(path.relative_to(study.results))


def digest_of(content: bytes) -> str:
    """Digest of a file as the manifest of a bundle has it."""
    return hashlib.sha256(content).hexdigest()


def _clean(output: Output, name: str) -> bytes:
    """A file as it leaves; sidecars lose their links, which are names of files at the site."""
    if name not in ("svs.json", "mrsref.json"):
        return output.content(name)
    links = ("ReferenceSignal", "Sources")
    sidecar = output.json(name.removesuffix(".json"))
    return json_bytes({key: one for key, one in sidecar.items() if key not in links})


def _clean_record(
    study: Study, item: Scan | Unit, output: Output, digests: dict[str, str]
) -> bytes:
    """A record without names of source files, in `sources` as in settings and messages.

    Inputs that stay at the site stand under `withheld`, for their digests; whoever gets the bundle
    cannot check them. `digests` are of what leaves, as it leaves.
    """
    scans = item.scans if isinstance(item, Unit) else (item,)
    names = {name for scan in scans for column in PATH_COLUMNS for name in scan.files(column)}
    record, settings = output.record, dict(output.record["settings"])
    for section, keys in PATH_SETTINGS.items():
        setting = settings.get(section)
        if setting:
            names |= {_filled(setting.get(key) or "", scan) for key in keys for scan in scans}
            settings[section] = blanked(setting, keys)
    inputs = record["inputs"]
    paths = {name: below(study, output.record_path.with_name(name)) for name in record["files"]}
    record = record | {
        "settings": settings,
        "files": {name: digests[path] for name, path in paths.items() if path in digests},
        "inputs": {name: digests[name] for name in inputs if name in digests},
        "withheld": {name: one for name, one in inputs.items() if name not in digests},
    }
    if "sources" in record:
        record["sources"] = _unnamed(record["sources"], scans)
    folders = {str(folder.resolve()) for folder in (study.data_root, study.results)}
    return record_bytes(_without_text(record, _names_in_text(names - {""}, folders)))


def _unnamed(sources: dict[str, str], scans: tuple[Scan, ...]) -> dict[str, str]:
    """Digests of source files by column of scans.tsv; `beside` for what no column names."""
    found: dict[str, list[str]] = {}
    for name, digest in sources.items():
        found.setdefault(column_of(scans, name) or "beside", []).append(digest)
    return {
        f"{WITHHELD}-{column}-{n}": digest
        for column, digests in sorted(found.items())
        for n, digest in enumerate(sorted(digests), start=1)
    }


def _filled(template: str, scan: Scan) -> str:
    """The path of a setting as messages name it."""
    for field, value in {"stem": scan.stem, **scan.entities}.items():
        template = template.replace(f"{{{field}}}", value)
    return template


def _names_in_text(names: set[str], folders: set[str]) -> re.Pattern:
    """What is withheld in a message: these paths, their last parts, files of the same name with
    another ending (a header beside its data), what lies in these folders (whose names may hold a
    space), and every other absolute path."""
    found = {re.escape(folder) for folder in folders}
    for name in names:
        last = PurePosixPath(name).name
        # A folder may be called 1, which is a number in most messages.
        found |= {re.escape(one) for one in (name, last) if "." in one or len(one) > 3}
        if "." in last:
            found.add(re.escape(last.removesuffix(".gz").rpartition(".")[0]) + r"(?:\.\w+)+")
    some = "|".join(sorted(found, key=len, reverse=True))
    before, after = r"(?:[^\s'\"()]*/)?", r"(?:/[^\s'\"():;,]*)?"
    return re.compile(
        rf"{before}(?<![\w-])(?:{some}){after}(?![\w-])|(?<![\w./])/[\w.+@~-]+/[^\s'\"():;,]*"
    )


def _without_text(value, names: re.Pattern, message: bool = False):
    """A record with these names withheld where it speaks in words: reasons, warnings, flags."""
    if isinstance(value, dict):
        return {
            key: _without_text(
                one,
                names,
                message or key in ("warnings", "flags", "implausible") or key.endswith("reason"),
            )
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_without_text(one, names, message) for one in value]
    return names.sub(WITHHELD, value) if message and isinstance(value, str) else value
