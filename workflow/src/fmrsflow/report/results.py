"""What a page is made from: results of a scan, a site, a consortium, as the stage read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.question import Question
from fmrsflow.report.methods import Methods
from fmrsflow.report.mrsinmrs import Item
from fmrsflow.report.overlay import Overlay
from fmrsflow.scan_figures import scan_figures
from fmrsflow.study import Scan, Site
from fmrsflow.tables import Row

STAGES = ("convert", "preprocess", "anatomy", "fit", "quantify", "response")
"""Stages that leave a record for a scan, in the order of the chain."""


@dataclass(frozen=True)
class Verdict:
    """What to do with a scan.

    Attributes
    ----------
    kind : str
        "use", "care", "excluded" or "failed".
    label : str
        The same in words.
    reasons : tuple of str
        Why; empty for "use".
    """

    kind: str
    label: str
    reasons: tuple[str, ...]


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
        Exclusion limits: `max_fwhm_tcr_ppm`, `min_snr_tcr`.
    transients, concentrations, changes, controls, timecourse : rows of the tables
    sidecar : dict
        Sidecar of the converted scan, for the checklist of its site.
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
    water_course : rows
        Water over the scan, where it was measured between the transients.
    overlay : Overlay or None
        Averages of rest and task where they are two scans.
    blocks : sequence of (onset_s, end_s, name)
        Task blocks.
    voxel_png : bytes
    bold_pictures : dict
        Name of a picture of the bold stage -> PNG.
    bold_area, bold_runs : rows of the tables of the bold stage
    peers : dict
        Figure of quality -> its values in all scans of the consortium.
    asked : Question
    compared : sequence of (kind, sentence)
        What the tables of the sites say of it beside other scans: `excluded` or `warning`.
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
    sidecar: Mapping = field(default_factory=dict)
    fit: Mapping[str, np.ndarray] | None = None
    corrected: Fids | None = None
    average: Fids | None = None
    matched: Fids | None = None
    water: Fids | None = None
    water_phase_deg: np.ndarray | None = None
    water_course: Sequence[Row] = ()
    overlay: Overlay | None = None
    blocks: Sequence[tuple[float, float, str]] = ()
    voxel_png: bytes | None = None
    bold_pictures: Mapping[str, bytes] = field(default_factory=dict)
    bold_area: Sequence[Row] = ()
    bold_runs: Sequence[Row] = ()
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    asked: Question = Question()
    compared: Sequence[tuple[str, str]] = ()

    def record(self, stage: str) -> dict:
        """Record of a stage; empty where there is none or the stage failed."""
        record = self.records.get(stage) or {}
        return {} if record.get("status") == "failed" else record

    @property
    def figures(self) -> dict[str, float]:
        """Figures of quality of the scan (`scan_figures.FIGURES`); unknown ones left out."""
        return scan_figures(self.record("preprocess"), self.record("fit"))


@dataclass(frozen=True)
class Effect:
    """An estimate (percent) with its interval, and the page that its point leads to."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""
    page: str = ""
    kind: str = ""


@dataclass(frozen=True)
class ScanSummary:
    """One scan as the pages of its site and of the consortium show it.

    Attributes
    ----------
    page : str
        Address of its page from the page that shows it.
    person : str
        Who was scanned; the same at two sites for a travelling participant.
    verdict : Verdict
    reached : str
        Last stage that it passed; "" where not even conversion worked.
    failed_at : str
        Stage that failed (the response too), or where it was excluded; "" otherwise.
    quality : dict
        Figures of the scan (`scan_figures.FIGURES`); unknown ones left out.
    line : array (n,) or None
        Spectrum of the fit range, high ppm first, for a small picture.
    converted : dict
        What the record of the conversion says of the protocol.
    change : row or None
        Row of the response table that answers the question of the study.
    region : str
        Where its voxel lay, by its label; "" where it has none.
    """

    scan: Scan
    page: str
    person: str
    verdict: Verdict
    reached: str = ""
    failed_at: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    line: np.ndarray | None = None
    converted: Mapping = field(default_factory=dict)
    change: Row | None = None
    region: str = ""


@dataclass(frozen=True)
class SiteResults:
    """Everything that the page of one site shows.

    Attributes
    ----------
    scans : sequence of ScanSummary
        In the order of the sheet.
    others : dict
        Figure of quality -> its values at all other sites.
    checklist : sequence of mrsinmrs.Item
    effect : Effect or None
        Change at the site.
    standing : rows of standing.tsv on the site
    costs : sequence of dict
        What the site's quality costs (`text`), and the `factor` of the mismatch page that it is of.
    links : Links
    """

    analysis: str
    site: Site
    scans: Sequence[ScanSummary]
    limits: Mapping[str, float]
    others: Mapping[str, Sequence[float]]
    checklist: Sequence[Item]
    standing: Sequence[Row] = ()
    costs: Sequence[Mapping[str, str]] = ()
    effect: Effect | None = None
    asked: Question = Question()
    links: Links = Links()


@dataclass(frozen=True)
class ConsortiumResults:
    """Everything that the consortium's page shows.

    Attributes
    ----------
    scans : sequence of ScanSummary
    sites : dict
        Name -> Site.
    asked : Question
    persons : int
        Participants, travelling ones counted once.
    methods : methods.Methods
    site_pages : dict
        Site -> address of its page.
    effects : sequence of Effect
        One a site.
    pooled : Effect or None
        All sites together; `note` says how many scans and sites.
    no_answer : str
        Why there is no pooled effect.
    prediction : (low, high) or None
        Where a further site would lie.
    shares : sequence of (component, share, low, high)
        Percent of the variance.
    multiverse : sequence of Effect
        One a way to answer the question.
    choices : sequence of dict
        The choices behind each of `multiverse`.
    primary : sequence of bool
        Which of `multiverse` are the main answer of their analysis.
    joint, deviations : rows of the multiverse's tables joint_test and deviations
    registered : mapping
        `file` and `sha256` of the preregistration; None where there was none.
    combat : rows of combat.tsv
    cv : rows of cv.tsv
    people : rows of covariates.tsv
    left_out : rows of leave_one_out.tsv on the main answer
    problems : sequence of dict
        `kind`, `stage`, `text`, `count`, `items`.
    bold : dict
        Name of a picture of the bold stage over the analysis -> PNG.
    bold_pairs, bold_tests : rows of its tables concordance and concordance_test
    power : rows of a power table (`sites`, `participants`, `power`)
    tiles : sequence of (name, value, note)
    caveats : sequence of str
        What else a reader of the answer must know.
    test_words : str
        How many tests were made, and how they were adjusted.
    """

    analysis: str
    scans: Sequence[ScanSummary]
    sites: Mapping[str, Site]
    limits: Mapping[str, float]
    asked: Question
    persons: int
    methods: Methods
    links: Links
    site_pages: Mapping[str, str]
    effects: Sequence[Effect] = ()
    pooled: Effect | None = None
    no_answer: str = ""
    prediction: tuple[float, float] | None = None
    shares: Sequence[tuple[str, float, float, float]] = ()
    multiverse: Sequence[Effect] = ()
    choices: Sequence[Mapping[str, str]] = ()
    primary: Sequence[bool] = ()
    joint: Sequence[Row] = ()
    deviations: Sequence[Row] = ()
    registered: Mapping[str, str | None] = field(default_factory=dict)
    combat: Sequence[Row] = ()
    cv: Sequence[Row] = ()
    people: Sequence[Row] = ()
    left_out: Sequence[Row] = ()
    problems: Sequence[Mapping] = ()
    bold: Mapping[str, bytes] = field(default_factory=dict)
    bold_pairs: Sequence[Row] = ()
    bold_tests: Sequence[Row] = ()
    power: Sequence[Row] = ()
    power_words: str = ""
    tiles: Sequence[tuple[str, str, str]] = ()
    caveats: Sequence[str] = ()
    test_words: str = ""


@dataclass(frozen=True)
class View:
    """One file to look at: FIDs with combined coils, or the arrays of a fit."""

    name: str
    fids: Fids | None = None
    fit: Mapping[str, np.ndarray] | None = None
    n_coils: int = 1
