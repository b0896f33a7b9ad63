"""What goes wrong at a scanner, in doses: one site of a synthetic study each, and who analyses it.

All sites of an edition are measurements of the same people with the same random numbers, so that
two of them differ by one dose alone; each second person mirrors the noise of the one before
(`synthetic.plan`). Nominal and perturbed values are those of docs/science.md#perturbed where it has
any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fmrsflow.constants import NARROWING_HZ
from fmrsflow.mismatch.factors import FACTORS

NOMINAL = "nominal"
PUBLISHED = "published"
LIMITS = "limits"
FOREIGN = "foreign"
EVERYTHING = "everything"

SNR = 30.0
"""SNR (tCr) of a nominal transient."""

RESPONSE_PERCENT = 3.0
"""Mean true change of glutamate."""


FIELDS_T = (3, 7)

_SITE = {
    3: {
        "lorentz_hz": 3.0, "gauss_hz": 3.5, "spectral_width_hz": 2000.0, "points": 1024,
        "te_s": 0.030,
    },
    7: {
        "lorentz_hz": 5.0, "gauss_hz": 6.5, "spectral_width_hz": 4000.0, "points": 2048,
        "te_s": 0.030,
    },
}  # fmt: skip
_LORENTZ_SD_HZ = 0.4

_COMBINED = {
    # As published: docs/science.md#perturbed.
    PUBLISHED: {"linewidth": 2, "drift": 1.5, "phase": 5, "baseline": 0.05},
    # Up to here the answer must hold (see benchmarks/mismatch.py).
    LIMITS: {"linewidth": 2, "drift": 3, "phase": 10, "movement": 0.1},
    # No factor: `FOREIGN_SITE` stands in for the scanner's own model.
    FOREIGN: {},
    EVERYTHING: {one.name: one.perturbed for one in FACTORS},
}
"""Doses of the variants that combine factors."""

FOREIGN_SITE = {
    3: {
        "family": "foreign", "natural_widths": True, "skew_hz": 1.0, "metabolite_shift_hz": 0.37,
        "baseline": 0.02,
    },
    7: {
        "family": "foreign", "natural_widths": True, "skew_hz": 2.4, "metabolite_shift_hz": 0.9,
        "baseline": 0.02,
    },
}  # fmt: skip
"""Keys of a site whose signals are of another model than the fit's (docs/science.md#foreign):
shifts of 0.003 ppm, a skew of 0.008 ppm."""

_REPEATED = {"movement": (0.05, 0.1)}
"""Doses that have to be withstood and leave a spread that pairs do not cancel."""

_TRUTHS = {
    "alignment": ("drift", "step", "phase", "movement"),
    "eddy": ("eddy",),
    "water": ("water",),
    "model": ("baseline", "lipid", "missing", "macromolecules", "echo"),
    "tissue": ("tissue",),
}
"""Factors that are absent where the truth is put in for a step."""

_BASELINES = (
    "linewidth", "baseline", "snr", "water", "lipid", "missing", "macromolecules",
)  # fmt: skip
"""Factors that the kind of baseline has to do with."""

_IDEAL = {
    "alignment": dict.fromkeys(
        ("frequency_step_hz", "frequency_jitter_hz", "phase_step_deg", "phase_jitter_deg"), 0.0
    ),
    "water": {"residual_water": 0.0},
}
"""What else such a site lacks."""


@dataclass(frozen=True)
class Variant:
    """One site of the study.

    Attributes
    ----------
    site : str
        Its name.
    field_t : int
    factor : str
        Name of a factor, or of a combination.
    dose : float or None
        In the factor's unit; None for nominal and for combinations.
    truth : str
        Step for which the truth is put in; "" for none.
    draw : int
        Repetitions of a variant have random numbers of their own.
    doses : dict
        Every factor that is not nominal.
    """

    site: str
    field_t: int
    factor: str
    dose: float | None = None
    truth: str = ""
    draw: int = 0
    doses: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple:
        """What repetitions have in common."""
        return (self.field_t, self.factor, self.dose, self.truth)


@dataclass(frozen=True)
class Contestant:
    """An analysis as it goes to the score: its settings, and which of its changes.

    Attributes
    ----------
    name : str
    analysis : str
        Name of an analysis of the run.
    estimator : str
        `joint`, `blocks` or `timecourse`.
    matched : bool
        Linewidths matched (blocks, timecourse) or modelled (joint).
    """

    name: str
    analysis: str
    estimator: str
    matched: bool


DEFAULT = "default"

CONTESTANTS = (
    Contestant(DEFAULT, "main", "joint", True),
    Contestant("no linewidth model", "main", "joint", False),
    Contestant("blocks", "main", "blocks", True),
    Contestant("blocks, not matched", "main", "blocks", False),
    Contestant("time course", "main", "timecourse", True),
    Contestant("restricted alignment", "restricted", "joint", True),
    Contestant("no correction", "uncorrected", "joint", True),
    Contestant("polynomial baseline", "polynomial", "joint", True),
    Contestant("spline by AIC", "stiff", "joint", True),
    Contestant("no baseline", "flat", "joint", True),
    Contestant("FSL-MRS", "fslmrs", "blocks", True),
    Contestant("LCModel", "lcmodel", "blocks", True),
)

_PREPROCESS = {
    "robust": {},
    "restricted": {"align": "restricted"},
    "uncorrected": {
        "eddy": False, "align": "none", "max_removed_share": 0.0, "water": "none",
        "average": "equal",
    },
    "aligned": {"align": "none"},
    "noeddy": {"eddy": False},
    "dry": {"water": "none"},
}  # fmt: skip
_FIT = {
    "spline": {},
    "polynomial": {"baseline": "polynomial", "baseline_order": 6},
    "stiff": {"baseline_smoothness": "aic"},
    "flat": {"baseline": "none"},
    "unaligned": {"joint_alignment": "preprocess"},
    "fslmrs": {"engine": "fsl_mrs", "baseline": "polynomial", "baseline_order": 2},
    "lcmodel": {"engine": "lcmodel"},
}
_ANALYSES = {
    "main": ("robust", "spline"),
    "restricted": ("restricted", "spline"),
    "uncorrected": ("uncorrected", "unaligned"),
    "polynomial": ("robust", "polynomial"),
    "stiff": ("robust", "stiff"),
    "flat": ("robust", "flat"),
    "fslmrs": ("robust", "fslmrs"),
    "lcmodel": ("robust", "lcmodel"),
    "alignment": ("aligned", "spline"),
    "eddy": ("noeddy", "spline"),
    "water": ("dry", "spline"),
}
"""Setting of preprocess and of fit of each analysis. The steps `model` and `tissue` are `main`."""

ENGINES = {"fslmrs": "fsl_mrs", "lcmodel": "lcmodel"}
"""Analyses that need a command which the user installs."""


def settings(contestant: Contestant) -> str:
    """What a contestant is: keys of config.yaml that are not the default's, and its estimator."""
    preprocess, fit = _ANALYSES[contestant.analysis]
    keys = [
        f"{stage}: {', '.join(f'{key}: {str(value).lower()}' for key, value in keys.items())}"
        for stage, keys in (("preprocess", _PREPROCESS[preprocess]), ("fit", _FIT[fit]))
        if keys
    ]
    widths = "with" if contestant.matched else "without"
    return "; ".join([*keys, f"estimator {contestant.estimator}, {widths} matched line widths"])


@dataclass(frozen=True)
class Run:
    """Some sites under some analyses: one call of the workflow."""

    name: str
    sites: tuple[str, ...]
    analyses: tuple[str, ...]


@dataclass(frozen=True)
class Edition:
    """A size of the benchmark.

    Attributes
    ----------
    name : str
    fields_t : tuple of int
    people : int
        Scans of each variant; even, because each second mirrors the one before.
    every_dose : bool
        All doses, or the perturbed one of each factor alone.
    analyses : tuple of str
        Analyses that see every variant.
    baselines : tuple of str
        Analyses that see those variants alone where a baseline matters.
    truths : bool
        Whether the truth is put in, step by step.
    draws : int
        Repetitions of nominal, of the combinations and of `_REPEATED`: ranks, and biases that
        pairs do not cancel, need more scans.
    seed : int
    """

    name: str
    fields_t: tuple[int, ...]
    people: int
    every_dose: bool
    analyses: tuple[str, ...]
    truths: bool = False
    baselines: tuple[str, ...] = ()
    draws: int = 1
    seed: int = 9001

    def variants(self) -> list[Variant]:
        """Every site, in the order of the tables."""
        return [one for field_t in self.fields_t for one in self._of_field(field_t)]

    def _of_field(self, field_t: int) -> Iterator[Variant]:
        yield from self._repeated(Variant(f"{NOMINAL}at{field_t}T", field_t, NOMINAL))
        for factor in FACTORS:
            for number, dose in enumerate(factor.doses, start=1):
                if self.every_dose or dose == factor.perturbed:
                    one = Variant(
                        f"{factor.name}{number}at{field_t}T", field_t, factor.name, dose,
                        doses={factor.name: dose},
                    )  # fmt: skip
                    again = dose in _REPEATED.get(factor.name, ())
                    yield from self._repeated(one) if again else [one]
        for name, doses in _COMBINED.items():
            doses = _at_field(doses, field_t)
            yield from self._repeated(Variant(f"{name}at{field_t}T", field_t, name, doses=doses))
            if self.truths and name != LIMITS:
                for step, absent in _TRUTHS.items():
                    left = {key: dose for key, dose in doses.items() if key not in absent}
                    if left != doses:
                        site = f"{name}true{step}at{field_t}T"
                        yield Variant(site, field_t, name, truth=step, doses=left)

    def _repeated(self, one: Variant) -> Iterator[Variant]:
        yield one
        for draw in range(1, self.draws):
            yield replace(one, site=f"{one.site}again{draw}", draw=draw)

    def runs(self, engines: tuple[str, ...] = ()) -> list[Run]:
        """Calls of the workflow; `engines` are the analyses whose command is installed."""
        variants = self.variants()
        plain = tuple(one.site for one in variants if not one.truth)
        named = (NOMINAL, PUBLISHED, EVERYTHING)
        runs = [Run("curves", plain, self.analyses)]
        if self.baselines:
            seen = (*named, *_BASELINES)
            sites = tuple(one.site for one in variants if one.factor in seen and not one.truth)
            runs.append(Run("baselines", sites, self.baselines))
        if engines:
            sites = tuple(
                one.site
                for one in variants
                if one.factor in named and not one.truth and not one.draw
            )
            runs.append(Run("engines", sites, engines))
        for step in _TRUTHS:
            sites = tuple(one.site for one in variants if one.truth == step)
            if sites:
                runs.append(Run(f"true{step}", sites, (step if step in _ANALYSES else "main",)))
        return runs

    def plan(self) -> dict:
        """The synthetic study, as `synthetic.plan` reads it."""
        return {
            "name": f"mismatch-{self.name}",
            "description": "One dose of one mismatch a site, the same people at each",
            "seed": self.seed,
            "paired": True,
            "tissue_maps": True,
            "responses": {
                "Glu": {"percent": RESPONSE_PERCENT, "participant_sd": 1.0},
                "Lac": {"percent": 15.0, "participant_sd": 3.0},
            },
            "concentrations": {"participant_cv": 0.08},
            "design": {"kind": "blocks", "task": "visual", "rest_s": 32, "task_s": 32},
            "participants": {
                "per_site": 0, "travelling": self.people, "mirrored": True, "spacing_mm": 4.0,
            },
            "site_defaults": _NOMINAL_SITE,
            "sites": [_site(one) for one in self.variants()],
        }  # fmt: skip

    def config(self, run: Run) -> dict:
        """Configuration of a run, whose folder lies beside `data`; the rest is default."""
        names = {name: _ANALYSES[name] for name in run.analyses}
        fixed = {"basis": "simulated", "concentration": "osprey", "response": "standard"}
        return {
            "results": "results",
            "data_root": "../data",
            "sites_sheet": "../data/config/sites.tsv",
            "scans_sheet": "../data/config/scans.tsv",
            "participants_sheet": None,
            "synthetic": None,
            "only_sites": list(run.sites),
            # Variants of the analysis alone have the measurements of the nominal site.
            "same_content": True,
            "batch": self.people,
            "primary": run.analyses[0],
            "analyses": {
                name: {"preprocess": preprocess, "fit": fit, **fixed}
                for name, (preprocess, fit) in names.items()
            },
            "preprocess": {one: _PREPROCESS[one] for one, _ in names.values()},
            "fit": {one: _FIT[one] for _, one in names.values()},
            "basis": {"simulated": {}},
            "concentration": {"osprey": {}},
            # The bootstrap gives a second error of the joint change, which no score uses.
            "response": {"standard": {"bootstraps": 0}},
        }


EDITIONS = {
    "full": Edition(
        "full",
        FIELDS_T,
        people=8,
        every_dose=True,
        analyses=("main", "restricted", "uncorrected"),
        truths=True,
        baselines=("polynomial", "stiff", "flat"),
        draws=5,
    ),
    "small": Edition("small", (3,), people=2, every_dose=False, analyses=("main", "restricted")),
}

_NOMINAL_SITE = {
    "vendor": "Siemens",
    "sequence": "sLASER",
    "tr_s": 4.0,
    "transients": 64,
    "reference_transients": 2,
    "snr_tcr": SNR,
    "drift_hz": 0.0,
    "frequency_step_hz": 0.02,
    "frequency_jitter_hz": 0.1,
    "phase_step_deg": 0.1,
    "phase_jitter_deg": 1.0,
    "eddy_hz": 0.0,
    "residual_water": 1e-3,
    "baseline": 0.0,
    "unmodelled_mm": 0.0,
    "bold_narrowing_hz": 0.0,
}


def snr_of(decibel: float) -> float:
    """Ratio of amplitudes."""
    return 10 ** (decibel / 20)


def _at_field(doses: dict[str, float], field_t: int) -> dict[str, float]:
    """BOLD narrows the lines more at 7T (docs/science.md#bold-narrowing)."""
    if "narrowing" not in doses:
        return doses
    return doses | {"narrowing": NARROWING_HZ[field_t]}


def _site(variant: Variant) -> dict:
    base = _SITE[variant.field_t]
    site = {"name": variant.site, "field_t": float(variant.field_t), **base}
    keys = {one.name: one.key for one in FACTORS}
    for name, dose in variant.doses.items():
        value = float(dose)
        if name == "linewidth":
            value = base["lorentz_hz"] + dose
        elif name == "snr":
            value = snr_of(dose)
        elif name == "echo":
            value = base["te_s"] + dose / 1000
        site[keys[name]] = value
    if variant.factor == FOREIGN:
        site |= FOREIGN_SITE[variant.field_t]
    site |= _IDEAL.get(variant.truth, {})
    if variant.draw:
        site["draws"] = f"again{variant.draw}"
    # People differ in their lines, by the same amounts at every site.
    site["lorentz_hz"] = {"mean": site["lorentz_hz"], "sd": _LORENTZ_SD_HZ}
    return site
