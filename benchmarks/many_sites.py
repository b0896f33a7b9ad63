"""Large studies for benchmarks: sheets of any number of scans, and bundles of many sites made from
the bundle of one that was measured."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import yaml

from fmrsflow.bundle_merge import Bundle
from fmrsflow.bundles import MANIFEST, STUDY
from fmrsflow.files import write_bytes
from fmrsflow.results import record_bytes
from fmrsflow.study import Scan, Site
from fmrsflow.tables import write_table

ROOT = Path(__file__).resolve().parents[1]
SITE_SD, PERSON_SD = 1.0, 1.5
"""Spread between sites and between people (percent) laid on the changes of a replicated scan."""

_SHIFTED = {
    "change_percent",
    "low_percent",
    "high_percent",
    "bootstrap_low_percent",
    "bootstrap_high_percent",
}


def write_sheets(folder: Path, n_scans: int, n_sites: int, batch: int) -> list[str]:
    """A study of one analysis in `folder`, its files named and not there; names of the sites."""
    sites = [f"site{number:02d}" for number in range(n_sites)]
    rows = [
        asdict(Site(name, "Siemens", 3.0, "PRESS", 0.03, 2.0, "standardised")) for name in sites
    ]
    sheet = [{"site": row.pop("name"), **row} for row in rows]
    write_table(folder / "config" / "sites.tsv", sheet)
    scans = [
        {
            "site": (site := sites[number % n_sites]),
            "subject": f"{number // n_sites:05d}",
            "task": "visual",
            "mrs": f"{site}/{number}.nii.gz",
            "ref": f"{site}/{number}r.nii.gz",
            "t1w": f"{site}/{number}t.nii.gz",
            "events": f"{site}/{number}e.tsv",
        }
        for number in range(n_scans)
    ]
    write_table(folder / "config" / "scans.tsv", scans)
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    main = config["analyses"][config["primary"]]
    config |= {
        "synthetic": None,
        "participants_sheet": None,
        "batch": batch,
        "analyses": {"main": main},
        "primary": "main",
    }
    write_bytes(folder / "config" / "config.yaml", yaml.safe_dump(config).encode())
    return sites


def replicated(measured: Bundle, folder: Path, n_sites: int, n_people: int) -> list[Path]:
    """Bundles of `n_sites` sites of `n_people` scans each.

    A scan is one of the measured bundle under another name, its changes shifted by a seeded amount
    of its site and of its person (`SITE_SD`, `PERSON_SD`), its concentrations scaled alike.
    """
    paths = []
    for study, scans in _sites_of(measured, n_sites, n_people):
        files = {name: content for one in scans for name, content in one.items()}
        files[STUDY] = study.save_text().encode()
        (site,) = study.sites
        paths.append(_zip(folder / f"{site}.fmrsflow.zip", site, files, measured.software))
    return paths


def replicated_results(measured: Bundle, folder: Path, n_sites: int, n_people: int) -> Path:
    """The results that a merge of such bundles writes, below `folder`, before any table of sites;
    their study.json. Arrays and spectra, which are those of the measured scans, are links."""
    results = folder / "results"
    known: dict[bytes, Path] = {}
    studies = []
    for study, scans in _sites_of(measured, n_sites, n_people):
        studies.append(study)
        for name, content in (item for one in scans for item in one.items()):
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith((".npz", ".nii.gz")):
                key = hashlib.sha256(content).digest()
                if key in known:
                    os.link(known[key], results / name)
                    continue
                known[key] = results / name
            (results / name).write_bytes(content)
    whole = replace(
        measured.study,
        config={**measured.study.config, "results": str(results)},
        sites={name: site for one in studies for name, site in one.sites.items()},
        scans=tuple(scan for one in studies for scan in one.scans),
        participants=tuple(row for one in studies for row in one.participants),
    )
    write_bytes(results / "study.json", whole.save_text().encode())
    return results / "study.json"


def _sites_of(measured: Bundle, n_sites: int, n_people: int):
    """Study of each site, its sheet of participants given, and the files of its scans, scan by
    scan."""
    by_scan = {scan: dict(_files_of(measured, scan)) for scan in measured.study.scans}
    (row,) = measured.study.sites.values()
    for number in range(n_sites):
        site = f"site{number:02d}"
        olds = [measured.study.scans[person % len(by_scan)] for person in range(n_people)]
        news = [
            replace(old, site=site, subject=f"{person:03d}")
            for person, old in enumerate(olds, start=1)
        ]
        study = replace(
            measured.study,
            sites={site: replace(row, name=site, protocol=("standardised", "own")[number % 2])},
            scans=tuple(news),
            participants=tuple(
                {"site": site, "subject": new.subject, "person": f"{site}x{new.subject}"}
                for new in news
            ),
        )
        yield study, (_renamed(by_scan[old], old, new) for old, new in zip(olds, news))


def _files_of(bundle: Bundle, scan: Scan) -> Iterator[tuple[str, bytes]]:
    for name, content in bundle.files.items():
        if f"/{scan.folder}/{scan.stem}_" in name:
            yield name, content


def _renamed(files: dict[str, bytes], old: Scan, new: Scan) -> dict[str, bytes]:
    """Files of a scan under another name: tables first, then the records that hold digests."""
    rng = np.random.default_rng(crc32(new.key.encode()))
    shift = PERSON_SD * rng.standard_normal()
    shift += SITE_SD * np.random.default_rng(crc32(new.site.encode())).standard_normal()

    def rename(text: str) -> str:
        text = re.sub(rf"(?<![A-Za-z0-9]){old.site}(?![A-Za-z0-9])", new.site, text)
        text = re.sub(rf"\bsub-{old.subject}(?![A-Za-z0-9])", f"sub-{new.subject}", text)
        return text.replace(f'"subject": "{old.subject}"', f'"subject": "{new.subject}"')

    made: dict[str, bytes] = {}
    for name, content in files.items():
        if name.endswith((".tsv", ".json")):
            content = rename(content.decode()).encode()
        if name.endswith(("_change.tsv", "_concentrations.tsv")):
            content = _moved(content.decode(), shift).encode()
        made[rename(name)] = content
    digests = {Path(name).name: hashlib.sha256(one).hexdigest() for name, one in made.items()}
    for name in [name for name in made if name.endswith("_record.json")]:
        record = json.loads(made[name])
        record["files"] = {file: digests[file] for file in record["files"]}
        # Measurements of their own: `merge` refuses the same ones under two names.
        record["sources"] = {
            source: hashlib.sha256(f"{new.key} {digest}".encode()).hexdigest()
            for source, digest in record.get("sources", {}).items()
        }
        made[name] = record_bytes(record)
    return made


def _moved(table: str, shift: float) -> str:
    """The table with every change shifted (percent), every concentration scaled."""
    header, *lines = table.splitlines()
    columns = header.split("\t")
    rows = [line.split("\t") for line in lines]
    for row in rows:
        for place, column in enumerate(columns):
            if row[place] == "n/a":
                continue
            if column in _SHIFTED:
                row[place] = f"{float(row[place]) + shift:.6g}"
            elif column in ("value", "se", "water_se", "tissue_se", "total_se"):
                row[place] = f"{float(row[place]) * (1 + shift / 50):.6g}"
    return "\n".join([header, *("\t".join(row) for row in rows)]) + "\n"


def _zip(path: Path, site: str, files: dict[str, bytes], software: dict) -> Path:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"format": 1, "site": site, "software": software, "files": digests}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, MANIFEST: json.dumps(manifest).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_bytes(path, buffer.getvalue())
    return path
