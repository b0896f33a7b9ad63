"""What a page is made from: results of a scan, a site, a consortium, as the stage read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.study import Scan, Site

Row = Mapping[str, str]
"""A row of a table; values are text, `n/a` is missing."""

STAGES = ("convert", "preprocess", "anatomy", "fit", "quantify", "response")
"""Stages that leave a record for a scan, in the order of the chain."""


@dataclass(frozen=True)
class Links:
    """Where a page leads: relative addresses.

    Attributes
    ----------
    home, site : str
        Consortium page and page of the site.
    previous, next : str
        Neighbouring scan pages of the site; "" at the ends.
    tables : dict
        Text of a download -> address.
    """

    home: str = ""
    site: str = ""
    previous: str = ""
    next: str = ""
    tables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScanResults:
    """Everything that the page of one scan shows; None or empty where a stage left nothing.

    Attributes
    ----------
    records : dict
        Stage -> its record (docs/outputs.md).
    limits : dict
        Exclusion limits: `max_fwhm_tcr_hz`, `min_snr_tcr`.
    transients, concentrations, changes, controls, timecourse : rows of the tables
    fit : dict of arrays
        `_desc-fit_result.npz`.
    corrected : Fids
        Single transients after preprocessing.
    average, matched : Fids
        One transient a condition.
    water : Fids
        Corrected water reference.
    water_phase_deg : array
        Phase of the raw water reference over time.
    blocks : sequence of (onset_s, end_s, name)
        Task blocks.
    voxel_png : bytes
    peers : dict
        Figure of quality -> its values in all scans of the consortium.
    """

    analysis: str
    scan: Scan
    site: Site
    records: Mapping[str, dict]
    limits: Mapping[str, float]
    links: Links = Links()
    transients: Sequence[Row] = ()
    concentrations: Sequence[Row] = ()
    changes: Sequence[Row] = ()
    controls: Sequence[Row] = ()
    timecourse: Sequence[Row] = ()
    fit: Mapping[str, np.ndarray] | None = None
    corrected: Fids | None = None
    average: Fids | None = None
    matched: Fids | None = None
    water: Fids | None = None
    water_phase_deg: np.ndarray | None = None
    blocks: Sequence[tuple[float, float, str]] = ()
    voxel_png: bytes | None = None
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def record(self, stage: str) -> dict:
        """Record of a stage; empty where there is none or the stage failed."""
        record = self.records.get(stage) or {}
        return {} if record.get("status") == "failed" else record
