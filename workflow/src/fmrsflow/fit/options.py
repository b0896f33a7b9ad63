"""Settings of the fit, checked, and what a fit assumes about macromolecules and lipids."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fmrsflow.fit.shapes import TIMED, Shape

ENGINES = ("fmrsflow", "fsl_mrs", "lcmodel")
MACROMOLECULES = ("auto", "basis", "parametric", "none")
BASELINES = ("spline", "polynomial", "none")
SMOOTHNESS = ("gcv", "aic", "fixed")
MODELS = ("average", "single")
LINESHAPES = ("auto", "voigt", "free")
LINEWIDTHS = ("free", "fixed", "none")
REGRESSORS = ("boxcar", "hrf", "trapezoid", "exponential", "fir")
ALIGNMENTS = ("preprocess", "free")
RESPONDING = ("fixed", "free")


@dataclass(frozen=True)
class FitOptions:
    """Settings of the fit; meaning, unit and limits of each: workflow/schemas/fit.yaml."""

    engine: str = "fmrsflow"
    range_low_ppm: float = 0.2
    range_high_ppm: float = 4.2
    exclude: tuple[str, ...] = ()
    macromolecules: str = "auto"
    soft_ratios: bool = True
    baseline: str = "spline"
    baseline_knots_per_ppm: float = 15.0
    baseline_smoothness: str = "gcv"
    baseline_dimension_per_ppm: float = 2.5
    baseline_order: int = 2
    phase1_sd_deg_per_ppm: float = 3.0
    metabolite_shift_sd_ppm: float = 0.004
    lineshape: str = "auto"
    models: str = "average"
    max_shift_ppm: float = 0.12
    max_fwhm_hz: float = 30.0
    timecourse_transients: int = 0
    joint: bool = True
    joint_regressor: str = "boxcar"
    joint_rise_s: float = 30.0
    joint_delay_s: float = 0.0
    joint_fir_s: float = 0.0
    joint_shapes: tuple[str, ...] = ("exponential_15s", "exponential_30s")
    joint_rest: str = ""
    joint_contrasts: tuple[str, ...] = ()
    joint_linewidth: str = "free"
    joint_linewidth_regressor: str = "hrf"
    joint_linewidth_events: tuple[str, ...] = ()
    joint_linewidth_water: bool = True
    joint_narrowing_hz: float = 0.0
    joint_drift_order: int = -1
    joint_alignment: str = "free"
    joint_respond: tuple[str, ...] = ()
    joint_macromolecules: str = "fixed"
    joint_design: str = ""
    joint_nuisance: str = ""
    command: str = ""

    def __post_init__(self):
        for name, allowed in (
            ("engine", ENGINES),
            ("macromolecules", MACROMOLECULES),
            ("baseline", BASELINES),
            ("baseline_smoothness", SMOOTHNESS),
            ("lineshape", LINESHAPES),
            ("models", MODELS),
            ("joint_regressor", REGRESSORS),
            ("joint_linewidth", LINEWIDTHS),
            ("joint_linewidth_regressor", REGRESSORS[:2]),
            ("joint_alignment", ALIGNMENTS),
            ("joint_macromolecules", RESPONDING),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"fit setting {name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}"
                )
        if not self.range_low_ppm < self.range_high_ppm:
            raise ValueError(
                f"fit range {self.range_low_ppm} to {self.range_high_ppm} ppm does not rise"
            )

        for name in self.joint_shapes:
            Shape.named(name)

    @property
    def joint_shape(self) -> str:
        """Name of the shape of the response (`shapes.Shape.name`), or `fir`."""
        kind = self.joint_regressor
        if kind in ("boxcar", "fir"):
            return kind
        return Shape(kind, self.joint_rise_s if kind in TIMED else 0.0, self.joint_delay_s).name

    @classmethod
    def from_settings(cls, settings: dict) -> FitOptions:
        """Options of a resolved named setting; unknown keys are an error."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings) - known - {"name"})
        if unknown:
            raise ValueError(f"unknown fit settings {', '.join(unknown)}")
        values = {key: value for key, value in settings.items() if key in known}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
