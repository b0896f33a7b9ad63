"""Pages: results in, one self-contained HTML text out."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from fmrsflow.plausibility import MAX_DRIFT_HZ, molal_ranges
from fmrsflow.report import absent, bold_words, figures, fit_figures, spectrum_figures, words
from fmrsflow.report.render import image_uri, render, short, signed
from fmrsflow.report.results import STAGES, ScanResults, View
from fmrsflow.report.verdict import (
    MAX_FQN,
    NEAR,
    broad_hz,
    too_broad_hz,
    verdict,
)
from fmrsflow.scan_figures import FIGURES
from fmrsflow.tables import Row

SHOWN = ("tNAA", "tCr", "tCho", "mI", "Glu", "Gln", "Glx", "GABA", "GSH", "Lac", "Asp", "NAAG")
"""Metabolites of the concentration chart; the table holds all."""

BOLD_PICTURES = {
    "mask": "The MRS voxel on the mean BOLD image.",
    "response": "BOLD response in the voxel after the onset of a block, in percent.",
    "histogram": "Area under the response of each BOLD voxel inside the MRS voxel.",
}
"""Pictures of the bold stage that the page of a scan shows, and what they are."""


def scan_page(results: ScanResults) -> str:
    """The page of one scan."""
    judged = verdict(results)
    spectra = [] if results.fit is None else [str(name) for name in results.fit["spectra"]]
    spectra.sort(key=lambda name: (name != "all", ":matched" in name))
    quantities = _quantities(results.changes)
    conditions, _ = _conditions(results)
    conditions = results.overlay.names if results.overlay else conditions
    charts = _scan_charts(results, spectra, quantities)
    # Pictures stay at a site that gives a bundle.
    bold, why = bold_words.scan_words(results), absent.of_scan(results, charts)
    sections = [
        ("verdict", "Verdict"),
        *(
            (id, title)
            for id, title, there in (
                ("spectrum", "Spectrum", charts["spectrum"]),
                ("conditions", "Conditions", charts["conditions"]),
                ("response", "Response", charts["response"]),
                ("transients", "Transients", charts["after"]),
                ("stability", "Stability", charts["courses"]),
                ("voxel", "Voxel", results.record("convert")),
                ("bold", "BOLD", bold or results.bold_pictures),
                ("water", "Water", charts["water"]),
                ("concentrations", "Concentrations", results.concentrations),
            )
            if there or why.get(id)
        ),
        ("quality", "Quality"),
        ("made", "Settings"),
    ]
    return render(
        "scan.html.j2",
        r=results,
        verdict=judged,
        charts=charts,
        why=why,
        sections=sections,
        tiles=_tiles(results),
        spectra=spectra,
        components=fit_figures.rows(charts["spectrum"]) if spectra else [],
        regions=spectrum_figures.REGIONS,
        spectrum_words=words.spectrum_words(results),
        misfit=_misfit(results),
        strongest=fit_figures.strongest(results.fit, spectra[0]) if spectra else [],
        conditions=conditions,
        conditions_words=words.conditions_words(results),
        quantities=[(name, words.QUANTITIES.get(name, name)) for name in quantities],
        scales=_scales(results.changes, results.asked.metabolite),
        bold_words=bold,
        bold_pictures=[
            (BOLD_PICTURES[name], image_uri(png)) for name, png in results.bold_pictures.items()
        ],
        response_words=words.response_words(results, quantities),
        controls=[(row, *words.control_told(row)) for row in results.controls],
        controls_words=words.controls_words(results.controls),
        courses_words=words.courses_words(results),
        voxel=image_uri(results.voxel_png) if results.voxel_png else None,
        anatomy=_anatomy_pairs(results.record("anatomy")),
        tissue_words=words.tissue_words(results),
        no_molal=absent.molal_words(results),
        concentration_words=words.concentration_words(results),
        table=_concentration_tables(results.concentrations),
        quality=_quality_rows(results),
        by_spectrum=_spectrum_rows(results.record("fit")),
        problems=_problems(results),
        settings=_settings(results),
    )


def view_page(view: View) -> str:
    """The page of one file: FIDs or a fit."""
    charts: dict = {"transients": None}
    spectra: list[str] = []
    if view.fit is not None:
        spectra = [str(name) for name in view.fit["spectra"]]
        reference = False
        charts["spectrum"] = fit_figures.spectrum(view.fit)
        caption = (
            "On top the residual (moved up) and data, fitted model, baseline; below them the "
            "components of the model, all to one scale."
        )
        header = []
    else:
        fids = view.fids
        reference = spectrum_figures.is_reference(fids)
        charts["spectrum"] = spectrum_figures.average(fids)
        of = (
            "One transient" if fids.n_transients == 1 else f"Mean of {fids.n_transients} transients"
        )
        caption = f"{of}, turned upright by one phase."
        if fids.n_transients > 1 and not reference:
            time = np.arange(fids.n_transients) * (fids.tr_s or 1.0)
            charts["transients"] = spectrum_figures.transients(
                spectrum_figures.phased(fids), time, ()
            )
        header = [
            ("Nucleus", fids.nucleus),
            ("Spectrometer frequency", f"{fids.frequency_mhz:.6g} MHz"),
            ("Spectral width", f"{1 / fids.dwell_s:.6g} Hz"),
            ("Points", str(fids.n_points)),
            ("Transients", str(fids.n_transients)),
            ("Coils", str(view.n_coils)),
            ("Echo time", "–" if fids.te_s is None else f"{1e3 * fids.te_s:g} ms"),
            ("Repetition time", "–" if fids.tr_s is None else f"{1e3 * fids.tr_s:g} ms"),
            *((key, _text(value)) for key, value in fids.header.items()),
        ]
    return render(
        "view.html.j2",
        name=view.name,
        charts=charts,
        spectra=spectra,
        components=fit_figures.rows(charts["spectrum"]) if spectra else [],
        regions=_regions(bool(spectra), reference),
        words=caption,
        header=header,
    )


def _regions(fitted: bool, reference: bool) -> tuple[tuple[str, str], ...]:
    """Stretches of the axis that the page of a file offers, the one shown at first in front."""
    if fitted:
        return spectrum_figures.REGIONS
    if reference:
        return (spectrum_figures.WHOLE_REGION, *spectrum_figures.REGIONS)
    return (*spectrum_figures.REGIONS, spectrum_figures.WHOLE_REGION)


def _scan_charts(results: ScanResults, spectra: Sequence[str], quantities: Sequence[str]) -> dict:
    charts = dict.fromkeys(
        (
            "spectrum",
            "correlations",
            "conditions",
            "response",
            "timecourse",
            "before",
            "after",
            "courses",
            "water",
            "water_course",
            "concentrations",
        )
    )
    if spectra:
        told = results.record("fit").get("fqn")
        charts["spectrum"] = fit_figures.spectrum(results.fit, spectra[0], told)
        charts["correlations"] = fit_figures.correlations(results.fit, spectra[0])
    conditions, order = _conditions(results)
    if results.overlay is not None:
        charts["conditions"] = spectrum_figures.conditions(
            results.overlay.average, results.overlay.matched, results.overlay.names
        )
    elif results.average is not None and len(conditions) > 1:
        matched = results.matched.select(order) if results.matched is not None else None
        charts["conditions"] = spectrum_figures.conditions(
            results.average.select(order), matched, conditions
        )
    if results.changes:
        charts["response"] = figures.changes(
            results.changes, quantities[0], results.asked.metabolite
        )
    if len({row["time_s"] for row in results.timecourse}) > 1:
        shown = [
            name
            for name in (results.asked.metabolite, "tNAA", "tCr")
            if _has(results.timecourse, name)
        ]
        charts["timecourse"] = figures.timecourse(results.timecourse, shown, results.blocks)
    many = len(results.transients) > 1
    if many:
        charts["courses"] = figures.courses(results.transients, results.blocks)
    if results.corrected is not None and many:
        time = np.array([row["time_s"] for row in results.transients])
        charts["after"] = spectrum_figures.transients(results.corrected, time, results.transients)
        charts["before"] = spectrum_figures.transients(unaligned(results), time, ())
    if results.water is not None:
        charts["water"] = spectrum_figures.water(results.water, results.water_phase_deg)
    if results.water_course:
        charts["water_course"] = figures.courses(
            results.water_course, results.blocks, figures.WATER_COURSES
        )
    molal = [
        row
        for row in results.concentrations
        if row["quantity"] == "molal" and not row["matched"] and row["metabolite"] in SHOWN
    ]
    if molal:
        charts["concentrations"] = figures.concentrations(
            sorted(molal, key=lambda row: SHOWN.index(row["metabolite"])),
            molal_ranges(),
            "mmol per kg tissue water",
        )
    return charts


def _conditions(results: ScanResults) -> tuple[list[str], list[int]]:
    """Names of the conditions, rest first, and their places in the averages."""
    names = results.record("preprocess").get("conditions") or []
    rest = results.record("response").get("rest")
    order = sorted(range(len(names)), key=lambda c: names[c] != rest)
    return [names[c] for c in order], order


def unaligned(results: ScanResults):
    """The corrected transients with their measured shift and phase put back."""
    shift, phase = (
        np.array([row[column] for row in results.transients])
        for column in ("shift_hz", "phase_deg")
    )
    return results.corrected.shifted(np.nan_to_num(shift)).rotated(np.nan_to_num(phase))


def _tiles(results: ScanResults) -> list[dict]:
    quality = results.figures
    kept, rejected = (quality.get(name, 0) for name in ("n_kept", "n_rejected"))
    change = words.headline(results.changes, results.asked)
    tiles = [
        ("tCr signal to noise", short(quality.get("snr_tcr")), _place(results, "snr_tcr", True)),
        (
            "tCr line width",
            f"{short(quality.get('fwhm_tcr_hz'))} Hz",
            _place(results, "fwhm_tcr_hz", False),
        ),
        (
            "Frequency drift",
            "–" if kept + rejected == 1 else f"{words.drift_text(quality)} Hz",
            words.drift_note(kept + rejected),
        ),
        (
            "Transients kept",
            f"{kept} of {kept + rejected}" if kept else "–",
            words.kept_note(kept, rejected),
        ),
        ("Fit quality number", short(quality.get("fqn")), "1 is ideal"),
    ]
    if change:
        tiles.append(
            (
                f"{results.asked.words.capitalize()} change",
                f"{signed(change['change_percent'])} %",
                f"95 % interval {signed(change['low_percent'])} to "
                f"{signed(change['high_percent'])} %"
                if change["low_percent"] <= change["high_percent"]
                else "no closed interval",
            )
        )
    return [{"name": name, "value": value, "note": note} for name, value, note in tiles]


def _place(results: ScanResults, figure: str, high_is_good: bool) -> str:
    """Where the scan stands among all scans of the consortium."""
    own = results.figures.get(figure)
    values = np.array([v for v in results.peers.get(figure, ()) if v == v], float)
    if own is None or len(values) < 5:
        return (
            f"excluded above {too_broad_hz(results):.1f} Hz"
            if (figure == "fwhm_tcr_hz")
            else "excluded below {:g}".format(results.limits["min_snr_tcr"])
        )
    worse = np.mean(values < own) if high_is_good else np.mean(values > own)
    return f"better than {100 * worse:.0f} % of {len(values)} scans"


def _scales(changes: Sequence[Row], asked: str) -> list[tuple[str, str]]:
    """Ranges of the chart of changes that the page offers."""
    return [
        (",".join(f"{end:g}" for end in ends), purpose)
        for ends, purpose in (
            (figures.close_range(changes, asked), "for the main answer and its controls"),
            (figures.whole_range(changes), "for every metabolite"),
        )
    ]


def _anatomy_pairs(record: dict) -> list[tuple[str, str]]:
    if not record:
        return []
    spread = record.get("systematic_sd")
    return [
        ("Volume", f"{short(record.get('volume_ml'))} mL"),
        ("Tissue maps", str(record.get("method"))),
        ("Covered by the maps", f"{100 * (record.get('coverage') or 0):.1f} %"),
        ("Sum before normalising", short(record.get("sum"))),
        ("Systematic uncertainty (SD)", _spread(spread)),
    ]


def _spread(spread) -> str:
    """Systematic SD of the fractions, whether one for all or one a tissue."""
    if isinstance(spread, dict):
        return ", ".join(f"{name} {100 * value:.0f} %" for name, value in spread.items())
    return "–" if spread is None else f"{100 * spread:.0f} %"


def _quality_rows(results: ScanResults) -> list[dict]:
    width, snr = too_broad_hz(results), results.limits["min_snr_tcr"]
    rows = [
        ("snr_tcr", f"above {snr / NEAR:.0f}; excluded below {snr:g}", lambda v: v < snr),
        (
            "fwhm_tcr_hz",
            f"below {broad_hz(results):.0f} at this field; excluded above {width:.1f} "
            f"({results.limits['max_fwhm_tcr_ppm']:g} ppm)",
            lambda v: v > width,
        ),
        ("fwhm_water_hz", "as narrow as the tCr line or up to 2 Hz wider", None),
        ("residual_water", "below 0.01", None),
        (
            "drift_hz",
            f"below {MAX_DRIFT_HZ:g} either way",
            lambda v: abs(v) > MAX_DRIFT_HZ,
        ),
        ("fqn", f"1; look above {MAX_FQN:g}", lambda v: v > MAX_FQN),
        ("mrar_percent", "about 2 (1.7 ± 0.2 in Korotkov 2026)", None),
    ]
    quality = results.figures
    # The record names the window of the noise.
    definitions = {"snr_tcr": results.record("preprocess").get("snr_definition")}
    return [
        {
            "name": FIGURES[name].label,
            "value": short(quality.get(name)),
            "good": good,
            "definition": definitions.get(name) or FIGURES[name].definition,
            "out": name in quality and out is not None and out(quality[name]),
        }
        for name, good, out in rows
    ]


def _problems(results: ScanResults) -> list[tuple[str, str]]:
    found = []
    for stage in STAGES:
        record = results.records.get(stage) or {}
        if record.get("reason") and record.get("failed_at") == record.get("stage"):
            found.append((stage, f"{record['status']}: {record['reason']}"))
        found += [(stage, warning) for warning in record.get("warnings", ())]
    return found


def _settings(results: ScanResults) -> list[tuple[str, list[tuple[str, str]]]]:
    shown = []
    for stage in STAGES:
        record = results.records.get(stage)
        if not record:
            continue
        pairs = [
            (f"{owner}.{name}", _text(value))
            for owner, setting in record.get("settings", {}).items()
            for name, value in setting.items()
            if owner in (stage, "concentration" if stage == "quantify" else stage)
        ]
        pairs += [
            ("parameters." + k, _text(v)) for k, v in (record.get("parameters") or {}).items()
        ]
        pairs += [
            (str(made.get("Name", "software")), _text(made.get("Version", made)))
            for made in record.get("GeneratedBy", ())
        ]
        pairs += [(f"input {name}", digest) for name, digest in record.get("sources", {}).items()]
        shown.append((stage, pairs))
    return shown


def _quantities(rows) -> list[str]:
    there = {row["quantity"] for row in rows}
    return [name for name in words.QUANTITIES if name in there] + sorted(
        there - set(words.QUANTITIES)
    )


def _spectrum_rows(fit: dict) -> list[dict]:
    """Quality figures of each fitted spectrum."""
    columns = (
        "fqn",
        "mrar_percent",
        "fitted_fwhm_tcr_hz",
        "fitted_snr_tcr",
        "baseline_dimension_per_ppm",
        "stop_reason",
    )
    return [
        {"name": name} | {column: (fit.get(column) or {}).get(name) for column in columns}
        for name in fit.get("fqn") or {}
    ]


def _concentration_tables(rows: Sequence[Row]) -> list[dict]:
    """All concentrations, a table a quantity, its unit for the head."""
    tables = []
    for quantity in _quantities(rows):
        own = [row for row in rows if row["quantity"] == quantity]
        unit = own[0].get("unit")
        named = words.QUANTITIES.get(quantity, quantity)
        title = named[:1].upper() + named[1:]
        tables.append({"title": title, "rows": own, "unit": f" ({unit})" if unit else ""})
    return tables


def _misfit(results: ScanResults) -> list[tuple[str, list[float | None]]]:
    """Misfit of each fitted spectrum by stretch of the axis, where its noise is known."""
    told = results.record("fit").get("fqn")
    return fit_figures.misfit(results.fit, told) if results.fit is not None and told else []


def _has(rows, metabolite: str) -> bool:
    return any(row["metabolite"] == metabolite for row in rows)


def _text(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "–" if value is None else str(value)
