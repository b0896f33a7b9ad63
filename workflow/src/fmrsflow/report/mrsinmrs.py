"""The reporting checklist MRSinMRS (Lin 2021) of a site, filled from headers and settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fmrsflow.report.markdown import escaped
from fmrsflow.scan_figures import scan_figures
from fmrsflow.study import Site
from fmrsflow.words import count

MISSING = "missing at the site"
"""What stands where headers and settings are silent; the site has to fill it in."""


CHIEF = (
    *("source", "sequence", "pulses", "engine", "range_low_ppm", "range_high_ppm"),
    *("macromolecules", "baseline", "lineshape", "joint"),
)
"""Settings of basis and fit that a reader asks for; all of them stand in the records."""


@dataclass(frozen=True)
class Item:
    """One line of the checklist; `value` is None where the site has to fill it in.

    `source` says where the value comes from: header, sheet, settings, results.
    """

    section: str
    item: str
    value: str | None
    source: str


def checklist(
    site: Site,
    converted: Sequence[Mapping],
    sidecars: Sequence[Mapping],
    preprocessed: Sequence[Mapping],
    fitted: Sequence[Mapping],
    quantified: Sequence[Mapping],
    software: Mapping,
    limits: Mapping[str, float],
    responded: Sequence[Mapping] = (),
    regions: Collection[str] = (),
) -> list[Item]:
    """The checklist of one site.

    Parameters
    ----------
    site : Site
    converted, preprocessed, fitted, quantified, responded : sequences of records
        Of the scans of the site that got so far.
    sidecars : sequence of dict
        JSON sidecars of the converted files (header fields by their BIDS and NIfTI-MRS names).
    software : dict
        `GeneratedBy` entry of the workflow.
    limits : dict
        Exclusion limits.
    regions : labels of the regions of the scans
    """

    measured = [scan_figures(one, {}) for one in preprocessed]
    modelled = [scan_figures({}, one) for one in fitted]

    def header(*keys: str, unit: str = "", scale: float = 1.0):
        values = [next((s[k] for k in keys if s.get(k) not in (None, "")), None) for s in sidecars]
        return _common(values, unit, scale)

    def record(key: str, unit: str = "", scale: float = 1.0, of=converted):
        return _common([one.get(key) for one in of], unit, scale)

    steps = _steps(preprocessed)
    reference = _common([(one.get("reference") or {}).get("n_transients") for one in converted])
    return [
        Item("Hardware", "Field strength", f"{site.field_t:g} T", "sites.tsv"),
        Item("Hardware", "Manufacturer", record("vendor") or site.vendor, "header"),
        Item("Hardware", "Model", record("model"), "header"),
        Item("Hardware", "Software version", record("software"), "header"),
        Item("Hardware", "Receive coil", header("ReceiveCoilName", "RxCoil"), "header"),
        Item("Hardware", "Coil channels in the file", record("n_coils"), "header"),
        Item("Acquisition", "Pulse sequence", record("sequence") or site.sequence, "header"),
        Item(
            "Acquisition",
            "Volume of interest, location",
            f"region {', '.join(sorted(regions))} (as scans.tsv names it)" if regions else None,
            "scans.tsv" if regions else "",
        ),
        Item("Acquisition", "Volume of interest, size", _sizes(converted), "header"),
        Item("Acquisition", "Repetition time", record("tr_s", "ms", 1e3), "header"),
        Item("Acquisition", "Echo time", record("te_s", "ms", 1e3), "header"),
        Item("Acquisition", "Mixing time", _mixing(site), "sites.tsv"),
        Item("Acquisition", "Excitations per scan", record("n_transients"), "header"),
        Item("Acquisition", "Excitations per condition", _kept(preprocessed), "events"),
        Item("Acquisition", "Excitations of the water reference", reference, "header"),
        Item("Acquisition", "Spectral width", record("spectral_width_hz", "Hz"), "header"),
        Item("Acquisition", "Spectral points", record("n_points"), "header"),
        Item(
            "Acquisition",
            "Water suppression",
            header("WaterSuppressionTechnique", "WaterSuppressionType"),
            "header",
        ),
        Item("Acquisition", "Shim method, reference peak, thresholds", None, ""),
        Item("Acquisition", "Motion handling during the scan", None, ""),
        Item("Analysis", "Software", _software(software), "record"),
        Item("Analysis", "Processing steps", steps, "settings"),
        Item("Analysis", "Output measure", _measure(quantified, responded), "results"),
        Item("Analysis", "Quantification references", _references(quantified), "settings"),
        Item("Analysis", "Fit assumptions", _fit(fitted), "settings"),
        Item("Quality", "SNR (tCr), mean ± SD", _spread(measured, "snr_tcr"), "results"),
        Item(
            "Quality",
            "Line width (tCr at 3.03 ppm), mean ± SD",
            _spread(measured, "fwhm_tcr_hz", " Hz"),
            "results",
        ),
        Item(
            "Quality",
            "Line width (water), mean ± SD",
            _spread(measured, "fwhm_water_hz", " Hz"),
            "results",
        ),
        Item(
            "Quality",
            "Exclusion criteria",
            f"tCr FWHM > {limits['max_fwhm_tcr_ppm']:g} ppm, tCr SNR < {limits['min_snr_tcr']:g}"
            + (", values no brain gives" if limits.get("implausible") == "exclude" else ""),
            "settings",
        ),
        Item("Quality", "Goodness of fit (FQN), mean ± SD", _spread(modelled, "fqn"), "results"),
        Item(
            "Quality",
            "CRLB",
            "errors under noise and of the model, per metabolite and scan, in concentrations.tsv",
            "results",
        ),
        Item("Quality", "Sample spectrum", "on the page of each scan", "results"),
    ]


def to_rows(items: Sequence[Item]) -> list[dict]:
    """The checklist as rows of a table."""
    return [
        {
            "section": item.section,
            "item": item.item,
            "value": MISSING if item.value is None else item.value,
            "source": item.source,
        }
        for item in items
    ]


def to_markdown(site: str, items: Sequence[Item]) -> str:
    """The checklist as a Markdown table."""
    lines = [f"# MRSinMRS checklist of {escaped(site)}", "", "| Section | Item | Value |"]
    lines.append("|---|---|---|")
    for item in items:
        value = f"*{MISSING}*" if item.value is None else escaped(item.value)
        lines.append(f"| {item.section} | {item.item} | {value} |")
    return "\n".join(lines) + "\n"


def _common(values: Sequence, unit: str = "", scale: float = 1.0) -> str | None:
    """The one value of all scans, or each with its number of scans; None where none is known."""
    known = [v for v in values if v not in (None, "", "n/a")]
    if not known:
        return None
    shown = [
        f"{v * scale:.6g}" if isinstance(v, int | float) and not isinstance(v, bool) else str(v)
        for v in known
    ]
    counts = Counter(shown)
    unit = f" {unit}" if unit else ""
    if len(counts) == 1 and len(known) == len(values):
        return shown[0] + unit
    missing = len(values) - len(known)
    parts = [f"{text}{unit} ({count(n, 'scan')})" for text, n in counts.most_common(4)]
    parts += [f"{len(counts) - 4} other values"] if len(counts) > 4 else []
    parts += [f"unknown ({count(missing, 'scan')})"] if missing else []
    return "; ".join(parts)


def _sizes(converted) -> str | None:
    return _common(
        [
            " × ".join(f"{size:.3g}" for size in one["voxel_mm"]) + " mm"
            if one.get("voxel_mm")
            else None
            for one in converted
        ]
    )


def _mixing(site: Site) -> str | None:
    if site.sequence.lower() != "steam":
        return f"none ({site.sequence})"
    return None if site.tm_s is None else f"{site.tm_s * 1e3:g} ms"


def _kept(preprocessed) -> str | None:
    return _common(
        [
            ", ".join(f"{name} {count}" for name, count in one["n_kept"].items())
            if one.get("n_kept")
            else None
            for one in preprocessed
        ]
    )


def _software(software: Mapping) -> str | None:
    return f"{software['Name']} {software.get('Version', '')}".strip() if software else None


def _steps(preprocessed) -> str | None:
    """Names of the steps that ran, with their chief choice."""
    if not preprocessed:
        return None
    setting = preprocessed[0].get("settings", {}).get("preprocess", {})
    words = [f"{name} {_value(value)}" for name, value in setting.items() if name != "name"]
    return "setting " + setting.get("name", "") + (": " + ", ".join(words) if words else "")


def _measure(quantified, responded) -> str | None:
    """What came out, with how many scans had it where not all did."""
    if not quantified:
        return None
    n = len(quantified)
    scaled = sum(bool(one.get("water") and one.get("constants")) for one in quantified)
    parts = ["ratios to tCr and tNAA"]
    if scaled:
        share = "" if scaled == n else f" ({count(scaled, 'scan')} of {n})"
        parts.insert(0, f"molal concentration (mmol per kg tissue water){share}")
    if responded:
        share = "" if len(responded) == n else f" ({count(len(responded), 'scan')} of {n})"
        parts.append(f"percent change of task against rest{share}")
    return ", ".join(parts)


def _references(quantified) -> str | None:
    constants = _common([one.get("constants") for one in quantified])
    tissue = _common([(one.get("tissue") or {}).get("origin") for one in quantified])
    if constants is None:
        return None
    return f"unsuppressed water; relaxation constants {constants}; tissue fractions: {tissue}"


def _fit(fitted) -> str | None:
    if not fitted:
        return None
    settings = fitted[0].get("settings", {})
    parts = []
    for stage in ("basis", "fit"):
        setting = settings.get(stage, {})
        shown = [name for name in CHIEF if name in setting] or [n for n in setting if n != "name"]
        words = [f"{name} {_value(setting[name])}" for name in shown]
        parts.append(
            f"{stage} {setting.get('name', '')}" + (f" ({', '.join(words)})" if words else "")
        )
    return "linear combination of a basis set; " + "; ".join(parts)


def _spread(figures: Sequence[Mapping[str, float]], name: str, unit: str = "") -> str | None:
    return _mean_sd([one[name] for one in figures if name in one], unit)


def _mean_sd(values: Sequence[float], unit: str) -> str | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.3g}{unit} (1 scan)"
    spread = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.3g} ± {spread:.2g}{unit}"


def _value(value) -> str:
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
