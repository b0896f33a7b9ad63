"""Folders of data for `fmrsflow init`, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.tables import read_table

PAIN = {
    "Manufacturer": "Philips",
    "PulseSequenceType": "PRESS",
    "ResonantNucleus": ["1H"],
    "SpectrometerFrequency": [127.7],
    "EchoTime": 0.022,
    "RepetitionTime": 4,
}
EVENTS = "onset\tduration\ttrial_type\n600\t120\theat\n"


def put(root: Path, name: str, content="") -> Path:
    """A file below a folder: text, or a mapping as JSON."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) if isinstance(content, dict) else content)
    return path


def svs(root: Path, stem: str, meta: dict | None = PAIN, suffix: str = "svs") -> None:
    """Spectra as the examples have them: an empty file, and its sidecar."""
    put(root, f"{stem}_{suffix}.nii.gz")
    if meta is not None:
        put(root, f"{stem}_{suffix}.json", meta)


def rows(study: Path, sheet: str = "scans") -> list[dict]:
    """Rows of a sheet of a study."""
    return read_table(study / "config" / f"{sheet}.tsv")


def notes(study: Path, kind: str) -> list[str]:
    """Lines of found.tsv of a kind."""
    found = read_table(study / "config" / "found.tsv")
    return [f"{row['file']}: {row['note']}" for row in found if row["kind"] == kind]


def spectra(seed: int, water: bool, n: int = 1) -> Fids:
    """Three singlets in noise, with or without water, at 3 T."""
    rng = np.random.default_rng(seed)
    t = np.arange(1024) * 5e-4
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * t) for ppm in (2.01, 3.03, 3.22))
    fid = (lines + (2e4 if water else 1.0)) * np.exp(-15 * t)
    data = np.tile(fid, (n, 1)) + 0.05 * rng.normal(size=(n, 1024))
    affine = np.diag([20.0, 20.0, 20.0, 1.0])
    return Fids(data[:, None].astype(np.complex64), 5e-4, 123.2, 0.035, 2.0, affine)
