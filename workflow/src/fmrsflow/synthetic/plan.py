"""The plan of a synthetic study: what its YAML may hold, read with errors by line and key."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from fmrsflow.concentration import set_names
from fmrsflow.errors import DataError
from fmrsflow.synthetic.foreign_lines import tables_of
from fmrsflow.synthetic.normal import CONCENTRATIONS

PRESETS = Path(__file__).parent / "presets"

_LABEL = r"[A-Za-z0-9]+"


def _limit(default: Any = MISSING, **limits):
    """A field with limits: low, high, choices, pattern."""
    return field(default=default, metadata=limits)


@dataclass(frozen=True)
class Distribution:
    """A normally distributed quantity, cut at 3 SD; a plain number has no spread."""

    mean: float
    sd: float = _limit(0.0, low=0.0)


@dataclass(frozen=True)
class ResponsePlan:
    """Percent change of a metabolite at full response, and where it differs.

    `fixed` sets the value of single people and regions, `<subject>` or `<subject>-<acq>`.
    """

    percent: float
    vendor_sd: float = _limit(0.0, low=0.0)
    site_sd: float = _limit(0.0, low=0.0)
    participant_sd: float = _limit(0.0, low=0.0)
    session_sd: float = _limit(0.0, low=0.0)
    fixed: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Concentrations:
    """Coefficients of variation (fractions) of the true concentrations, by level."""

    vendor_cv: float = _limit(0.0, low=0.0, high=1.0)
    site_cv: float = _limit(0.0, low=0.0, high=1.0)
    participant_cv: float = _limit(0.08, low=0.0, high=1.0)
    session_cv: float = _limit(0.0, low=0.0, high=1.0)
    mean_mmol_per_kg: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskPlan:
    """When the task runs.

    `blocks`: one scan with blocks of rest and task, given by events.tsv. `scans`: a rest scan and a
    task scan, named by the column `condition`.
    """

    kind: str = _limit("blocks", choices=("blocks", "scans"))
    task: str = _limit("visual", pattern=_LABEL)
    rest_s: float = _limit(32.0, low=1.0)
    task_s: float = _limit(32.0, low=1.0)
    response: str = _limit("boxcar", choices=("boxcar", "haemodynamic"))


@dataclass(frozen=True)
class Participants:
    """People of each site, and those who travel to every site (`travelling`, in addition).

    `mirrored` makes each second person the one before with the noise's sign turned and movements in
    reverse order (antithetic variates: the mean error of the two has no part that is linear in
    either).
    """

    per_site: int = _limit(3, low=0, high=10000)
    travelling: int = _limit(0, low=0, high=1000)
    sessions: int = _limit(1, low=1, high=100)
    mirrored: bool = False
    age: Distribution = Distribution(30.0, 6.0)
    spacing_mm: float = _limit(2.0, low=0.5, high=5.0)


@dataclass(frozen=True)
class Region:
    """Place of the voxel: centre in MNI mm, sizes in mm; `acq` is its BIDS label."""

    centre_mni_mm: tuple[float, float, float] = (0.0, -80.0, 6.0)
    size_mm: tuple[float, float, float] = (25.0, 25.0, 25.0)
    acq: str = _limit("", pattern=r"[A-Za-z0-9]*")


@dataclass(frozen=True)
class SitePlan:
    """A site, or `copies` of it (numbered names).

    Times in s, widths and frequencies in Hz, as the ingredients define them; `lorentz_hz`,
    `gauss_hz` and `snr_tcr` vary between scans. `drift_hz` is the SD of the linear drift over a
    scan, `eddy_hz` of the eddy-current offset, `skew_hz` of the B0 skew. `unmodelled_mm`
    and `lipids` scale macromolecules that common fit models lack, and lipids; `scalp_lipids` is the
    mean area of lipid from outside the voxel over that of NAA, `metabolite_shift_hz` the SD of
    single metabolites' displacement.

    `family` foreign takes the signals from another model than the fit's: shaped pulses, a TE1 or
    spacing of pulses that the sheets do not state, and the measured macromolecules of
    `foreign_lines` (docs/science.md#foreign).

    What a site does not know of itself: `fixed_drift_hz` and `jump_hz` in every scan (drift, and a
    step of frequency at a random moment), `phase_offset_deg` of the scan against its reference,
    `movement_probability` of a spoilt transient, `actual_te_s` where files and sheets state `te_s`,
    `pyruvate_mmol_per_kg` for a metabolite that no common basis holds, `tissue_error` for the share
    of tissue that its maps call CSF.
    """

    name: str = _limit(pattern=_LABEL)
    vendor: str = _limit(choices=("Philips", "Siemens", "GE"))
    field_t: float = _limit(low=1.0, high=10.0)
    sequence: str = _limit(choices=("PRESS", "sLASER", "STEAM", "SPECIAL"))
    te_s: float = _limit(low=0.001, high=0.5)
    tr_s: float = _limit(low=0.2, high=30.0)
    te1_s: float | None = _limit(None, low=0.001, high=0.5)
    tm_s: float | None = _limit(None, low=0.001, high=0.5)
    pulses: str = _limit("shaped", choices=("shaped", "ideal"))
    protocol: str = _limit("standardised", choices=("standardised", "own"))
    copies: int = _limit(1, low=1, high=1000)
    family: str = _limit("own", choices=("own", "foreign"))
    file_format: str = _limit("nifti", choices=("nifti", "sdat"))
    reference_format: str = _limit("nifti", choices=("nifti", "sdat", "rda"))
    transients: int = _limit(64, low=1, high=10000)
    reference_transients: int = _limit(4, low=1, high=1000)
    points: int = _limit(2048, low=256, high=65536)
    spectral_width_hz: float = _limit(2000.0, low=500.0, high=50000.0)
    coils: int = _limit(1, low=1, high=128)
    coil_correlation: float = _limit(0.2, low=0.0, high=0.9)
    snr_tcr: Distribution = Distribution(12.0, 1.0)
    lorentz_hz: Distribution = Distribution(3.0, 0.4)
    gauss_hz: Distribution = Distribution(3.5, 0.4)
    skew_hz: float = _limit(0.0, low=0.0)
    bold_narrowing_hz: float | None = _limit(None, low=0.0, high=5.0)
    natural_widths: bool = False
    metabolite_shift_hz: float = _limit(0.0, low=0.0, high=5.0)
    drift_hz: float = _limit(1.0, low=0.0)
    frequency_step_hz: float = _limit(0.05, low=0.0)
    frequency_jitter_hz: float = _limit(0.2, low=0.0)
    phase_step_deg: float = _limit(0.3, low=0.0)
    phase_jitter_deg: float = _limit(2.0, low=0.0)
    motion_rate: float = _limit(0.0, low=0.0, high=10.0)
    motion_hz: float = _limit(2.0, low=0.0)
    motion_deg: float = _limit(10.0, low=0.0)
    eddy_hz: float = _limit(3.0, low=0.0)
    residual_water: Distribution = Distribution(3e-3, 1e-3)
    baseline: float = _limit(0.02, low=0.0, high=1.0)
    unmodelled_mm: float = _limit(1.0, low=0.0, high=10.0)
    lipids: float = _limit(0.2, low=0.0, high=10.0)
    scalp_lipids: float = _limit(0.0, low=0.0, high=20.0)
    lipid_burst_probability: float = _limit(0.0, low=0.0, high=1.0)
    echo_probability: float = _limit(0.0, low=0.0, high=1.0)
    adc_full_scale: float | None = _limit(None, low=0.1)
    fixed_drift_hz: float = 0.0
    jump_hz: float = 0.0
    phase_offset_deg: float = 0.0
    movement_probability: float = _limit(0.0, low=0.0, high=1.0)
    actual_te_s: float | None = _limit(None, low=0.001, high=0.5)
    pyruvate_mmol_per_kg: float = _limit(0.0, low=0.0, high=100.0)
    tissue_error: float = _limit(0.0, low=0.0, high=0.9)
    draws: str = _limit("", pattern=r"[A-Za-z0-9]*")


@dataclass(frozen=True)
class Plan:
    """A whole study. `site_defaults` stands for keys that a site leaves out.

    `paired` sites of the same `draws` draw the same random numbers, so that they differ by their
    other keys alone;
    `bold_sessions` is the number of fMRI sessions of each person, with one run of the task each in
    which every region responds; `tissue_maps` gives the workflow maps of GM, WM and CSF in place of
    a T1w to segment.
    """

    name: str = _limit(pattern=r"[A-Za-z0-9-]+")
    description: str
    sites: tuple[SitePlan, ...]
    seed: int = _limit(2026, low=0)
    licence: str = "CC0-1.0"
    constants: str = "osprey"
    responses: dict[str, ResponsePlan] = field(default_factory=dict)
    concentrations: Concentrations = Concentrations()
    design: TaskPlan = TaskPlan()
    participants: Participants = Participants()
    regions: tuple[Region, ...] = (Region(),)
    bold_sessions: int = _limit(0, low=0, high=20)
    paired: bool = False
    tissue_maps: bool = False


def load_plan(source: str | Path) -> Plan:
    """A preset by its name, or the plan in a YAML file.

    Raises
    ------
    DataError
        Naming every fault with line and key, one a line.
    """
    path = PRESETS / f"{source}.yaml"
    if not path.is_file():
        path = Path(source)
    if not path.is_file():
        names = ", ".join(sorted(one.stem for one in PRESETS.glob("*.yaml")))
        raise DataError(f"{source} is neither a file nor a preset; presets are {names}")
    return parse_plan(path.read_text(), path.name)


def parse_plan(text: str, name: str = "plan") -> Plan:
    """The plan that a YAML text holds; errors as in `load_plan`."""
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DataError(f"{name} line {mark.line + 1}: {error.problem}") from None
    reader = _Reader(name)
    if node is None:
        raise DataError(f"{name} is empty")
    reader.share_defaults(node)
    plan = reader.build(Plan, node, "")
    if not reader.faults:
        reader.check(plan, node)
    if reader.faults:
        raise DataError("\n".join(text for _, text in sorted(reader.faults)))
    return replace(plan, sites=_copies(plan.sites))


def _copies(sites: tuple[SitePlan, ...]) -> tuple[SitePlan, ...]:
    every = []
    for site in sites:
        for number in range(1, site.copies + 1):
            label = site.name if site.copies == 1 else f"{site.name}{number:02d}"
            every.append(replace(site, name=label, copies=1))
    return tuple(every)


class _Reader:
    """Turns YAML nodes into the dataclasses above and collects the faults."""

    def __init__(self, name: str):
        self.name = name
        self.faults: list[tuple[int, str]] = []

    def fault(self, node, key: str, text: str) -> None:
        line = node.start_mark.line + 1
        self.faults.append((line, f"{self.name} line {line}, {key or 'top'}: {text}"))

    def share_defaults(self, node) -> None:
        """Copy the keys of `site_defaults` into the sites that lack them."""
        entries = _entries(node)
        if "site_defaults" not in entries:
            return
        key, defaults = entries["site_defaults"]
        node.value = [pair for pair in node.value if pair[0] is not key]
        sites = entries.get("sites", (None, None))[1]
        for site in getattr(sites, "value", ()):
            if getattr(site, "id", "") == "mapping":
                own = {name.value for name, _ in site.value}
                site.value += [pair for pair in defaults.value if pair[0].value not in own]

    def build(self, kind, node, key: str):
        """Object of a type from a node; None where it has a fault."""
        if is_dataclass(kind):
            return self._dataclass(kind, node, key)
        origin = get_origin(kind)
        if origin in (UnionType, Union):
            if node.id == "scalar" and node.value in ("", "null", "~"):
                return None
            return self.build(get_args(kind)[0], node, key)
        if origin is tuple:
            return self._tuple(get_args(kind), node, key)
        if origin is dict:
            if node.id != "mapping":
                return self.fault(node, key, "a table (name: value) is expected")
            value_kind = get_args(kind)[1]
            return {
                name: self.build(value_kind, value, f"{key}.{name}")
                for name, (_, value) in self._unique(node, key).items()
            }
        return self._scalar(kind, node, key)

    def _unique(self, node, key: str) -> dict:
        seen = {}
        for name, value in node.value:
            if name.value in seen:
                self.fault(name, f"{key}.{name.value}".lstrip("."), "is given twice")
            seen[name.value] = (name, value)
        return seen

    def _dataclass(self, kind, node, key: str):
        if kind is Distribution and node.id == "scalar":
            mean = self._scalar(float, node, key)
            return None if mean is None else Distribution(mean)
        if node.id != "mapping":
            return self.fault(node, key, f"a table of {kind.__name__.lower()} keys is expected")
        known = {one.name: one for one in fields(kind)}
        hints = get_type_hints(kind)
        values = {}
        for name, (name_node, value) in self._unique(node, key).items():
            inner = f"{key}.{name}".lstrip(".")
            if name not in known:
                also = ["site_defaults"] if kind is Plan else []
                names = ", ".join([*known, *also])
                self.fault(name_node, inner, f"unknown key; known are {names}")
                continue
            values[name] = self.build(hints[name], value, inner)
            self._limits(known[name].metadata, values[name], value, inner)
        for one in fields(kind):
            missing = one.default is MISSING and one.default_factory is MISSING
            if missing and one.name not in values:
                self.fault(node, f"{key}.{one.name}".lstrip("."), "is missing")
                values[one.name] = None
        return kind(**values)

    def _tuple(self, kinds, node, key: str):
        if node.id != "sequence":
            return self.fault(node, key, "a list is expected")
        if kinds[-1] is Ellipsis:
            if not node.value:
                self.fault(node, key, "the list is empty")
            kinds = (kinds[0],) * len(node.value)
        if len(kinds) != len(node.value):
            return self.fault(node, key, f"{len(kinds)} values are expected")
        return tuple(
            self.build(kind, one, f"{key}[{number}]")
            for number, (kind, one) in enumerate(zip(kinds, node.value))
        )

    def _scalar(self, kind, node, key: str):
        if node.id != "scalar":
            return self.fault(node, key, f"one {_WORDS[kind]} is expected")
        if kind is str:
            return node.value
        if kind is bool:
            if node.value in ("true", "false"):
                return node.value == "true"
        else:
            try:
                return kind(node.value)
            except ValueError:
                pass
        return self.fault(node, key, f"{node.value!r} is no {_WORDS[kind]}")

    def _limits(self, limits, value, node, key: str) -> None:
        if value is None:
            return
        if "choices" in limits and value not in limits["choices"]:
            self.fault(node, key, f"{value!r} is not one of {', '.join(limits['choices'])}")
        if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
            self.fault(node, key, f"{value!r} holds other than letters and digits")
        low, high = limits.get("low"), limits.get("high")
        if low is not None and not value >= low:
            self.fault(node, key, f"{value:g} is below {low:g}")
        if high is not None and not value <= high:
            self.fault(node, key, f"{value:g} is above {high:g}")

    def check(self, plan: Plan, node) -> None:
        """What single keys cannot show."""
        entries = _entries(node)
        sites = entries["sites"][1]
        names = [site.name for site in _copies(plan.sites)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.fault(sites, "sites", f"two sites are called {name}")
        for site, line in zip(plan.sites, sites.value):
            where = f"sites: {site.name}"
            if site.sequence == "STEAM" and site.tm_s is None:
                self.fault(line, where, "STEAM needs tm_s")
            if site.te1_s is not None and not site.te1_s < site.te_s:
                self.fault(line, where, "te1_s is part of te_s, so below it")
            if site.family == "foreign":
                self._check_foreign(site, line, where)
            if site.coils > 1 and "sdat" in (site.file_format, site.reference_format):
                self.fault(line, where, "SDAT holds combined coils: coils 1")
            if site.coils > 1 and site.reference_format == "rda":
                self.fault(line, where, "RDA holds combined coils: coils 1")
        labels = [region.acq for region in plan.regions]
        if len(set(labels)) < len(labels):
            self.fault(entries["regions"][1], "regions", "each of several needs an acq of its own")
        if plan.constants not in set_names():
            known = ", ".join(set_names())
            self.fault(entries["constants"][1], "constants", f"no such set; there are {known}")
        self._check_names(plan, entries)

    def _check_foreign(self, site: SitePlan, line, where: str) -> None:
        """The foreign family has what the site asks for."""
        try:
            tables_of(site.field_t)
        except ValueError as error:
            self.fault(line, where, f"family foreign: {error}")
        if site.sequence == "STEAM":
            self.fault(line, where, "family foreign: STEAM has no refocusing pulse to shape")

    def _check_names(self, plan: Plan, entries) -> None:
        """Metabolites and people that the plan names exist."""
        tables = {"responses": plan.responses}
        if plan.concentrations.mean_mmol_per_kg:
            tables["concentrations"] = plan.concentrations.mean_mmol_per_kg
        for key, table in tables.items():
            for name in sorted(set(table) - set(CONCENTRATIONS)):
                self.fault(entries[key][1], f"{key}.{name}", "no such metabolite")
        people = {f"{number:02d}" for number in range(1, plan.participants.per_site + 1)}
        known = people | {f"{one}-{region.acq}" for one in people for region in plan.regions}
        for name, response in plan.responses.items():
            for who in sorted(set(response.fixed) - known):
                text = "names nobody; write <subject> or <subject>-<acq>, as 01-left"
                self.fault(entries["responses"][1], f"responses.{name}.fixed.{who}", text)


_WORDS = {float: "number", int: "whole number", str: "text", bool: "true or false"}


def _entries(node) -> dict:
    if node.id != "mapping":
        raise DataError(f"line {node.start_mark.line + 1}: the plan is a table (key: value)")
    return {name.value: (name, value) for name, value in node.value}
