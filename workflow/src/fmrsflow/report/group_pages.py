"""Pages of a site and of the consortium."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fmrsflow.constants import field_of, same_field
from fmrsflow.question import Question
from fmrsflow.report import absent, bold_words
from fmrsflow.report import group_figures as figures
from fmrsflow.report.alike import alike
from fmrsflow.report.combat_words import combat_words
from fmrsflow.report.effect_words import effect_words, holds_zero, unit_of, what_is_asked
from fmrsflow.report.influence_words import influence_words
from fmrsflow.report.norm_words import compared_with, figure_label, norm_words
from fmrsflow.report.people_words import people_rows, people_words
from fmrsflow.report.registered import joint_words, registered_words
from fmrsflow.report.render import image_uri, render, short, signed
from fmrsflow.report.results import ConsortiumResults, Effect, ScanSummary, SiteResults
from fmrsflow.scan_figures import typical
from fmrsflow.words import count

SHORT_LABELS = {"use": "use", "care": "care", "excluded": "excluded", "failed": "failed"}
HIGH_IS_GOOD = {"snr_tcr"}


def site_page(results: SiteResults) -> str:
    """The page of one site."""
    scans = results.scans
    measured = [scan for scan in scans if scan.quality]
    charts = {
        "over_time": figures.over_time(measured) if len(measured) > 1 else None,
        "against": [
            (figures.FIGURES[name], figures.against_others(measured, results.others, name))
            for name in ("snr_tcr", "fwhm_tcr_hz", "drift_hz", "fqn")
            if len(results.others.get(name, ())) > 2 and any(name in s.quality for s in measured)
        ],
    }
    lost = [scan for scan in scans if scan.verdict.kind in ("excluded", "failed")]
    why = absent.of_site(results, charts)
    sections = [
        ("verdict", "Overview"),
        ("scans", "All scans"),
        *([("lost", "Failed and excluded")] if lost else []),
        *([("costs", "What the quality costs")] if results.costs else []),
        ("time", "Over time"),
        ("against", "Against the consortium"),
        *([("norms", "Against the norms")] if results.standing else []),
        ("protocol", "Protocol"),
        ("mrsinmrs", "MRSinMRS"),
    ]
    headline, kind = _site_headline(scans)
    return render(
        "site.html.j2",
        r=results,
        charts=charts,
        why=why,
        lost=lost,
        sections=sections,
        headline=headline,
        kind=kind,
        effect_words=_site_effect(results),
        costs=results.costs,
        tiles=_site_tiles(results),
        standing=[
            (figure_label(row["figure"]), row, compared_with(row)) for row in results.standing
        ],
        norm_words=norm_words(results.standing),
        promised=protocol_rows(results),
        missing=sum(item.value is None for item in results.checklist),
    )


def protocol_rows(results: SiteResults) -> list[dict]:
    """Protocol of sites.tsv against the records of the conversion; `agrees` None: not known."""
    site = results.site
    rows = []
    for name, value, key, scale, tolerance in (
        ("Echo time (ms)", site.te_s, "te_s", 1e3, 0.02),
        ("Repetition time (ms)", site.tr_s, "tr_s", 1e3, 0.02),
        ("Transients", site.transients, "n_transients", 1, 0.0),
        ("Spectral width (Hz)", site.spectral_width_hz, "spectral_width_hz", 1, 0.02),
    ):
        found = [s.converted[key] for s in results.scans if s.converted.get(key) is not None]
        agrees = None
        if found and value is not None:
            agrees = all(abs(one - value) <= tolerance * value for one in found)
        rows.append(
            {
                "name": name,
                "promised": "not given" if value is None else f"{value * scale:g}",
                "measured": _values(found, scale),
                "agrees": agrees,
            }
        )
    fields = [
        field_of(s.converted["frequency_mhz"])
        for s in results.scans
        if s.converted.get("frequency_mhz")
    ]
    rows.append(
        {
            "name": "Field strength (T)",
            "promised": f"{site.field_t:g}",
            "measured": _values([round(one, 2) for one in fields], 1),
            "agrees": all(same_field(one, site.field_t) for one in fields) if fields else None,
        }
    )
    vendors = {s.converted["vendor"] for s in results.scans if s.converted.get("vendor")}
    rows.append(
        {
            "name": "Manufacturer",
            "promised": site.vendor,
            "measured": ", ".join(sorted(vendors)) or "not in the headers",
            "agrees": all(site.vendor.lower() in one.lower() for one in vendors)
            if vendors
            else None,
        }
    )
    return rows


def _values(found: Sequence[float], scale: float) -> str:
    counts = Counter(f"{one * scale:.6g}" for one in found)
    if len(counts) == 1:
        return next(iter(counts))
    shown = [f"{value} ({count} scans)" for value, count in counts.most_common(4)]
    return ", ".join(shown) or "not in the headers"


def _site_headline(scans: Sequence[ScanSummary]) -> tuple[str, str]:
    kinds = Counter(scan.verdict.kind for scan in scans)
    usable = kinds["use"] + kinds["care"]
    lost = kinds["excluded"] + kinds["failed"]
    words = f"{usable} of {len(scans)} scans usable"
    if kinds["care"]:
        words += f", {kinds['care']} of them with care"
    if not usable:
        return words, "failed"
    return words, "care" if lost or kinds["care"] else "use"


def _site_effect(results: SiteResults) -> str:
    effect = results.effect
    if effect is None:
        return (
            f"No change of {results.asked.words} can be stated for this site: no usable scan with "
            "rest and task" + (", or no person with both." if results.asked.points else ".")
        )
    unit = unit_of(results.asked)
    doubt = ""
    if holds_zero(effect.low, effect.high):
        what = "difference" if results.asked.points else "change"
        doubt = f" At this site alone no {what} is shown: the interval holds zero."
    return (
        f"{what_is_asked(results.asked)}, mean of the site: "
        f"{signed(effect.value)} {unit} (95 % interval {signed(effect.low)} to "
        f"{signed(effect.high)} {unit}; {effect.note}).{doubt}"
    )


def _site_tiles(results: SiteResults) -> list[dict]:
    tiles = []
    for name in ("snr_tcr", "fwhm_tcr_hz", "drift_hz", "rejected_percent"):
        own = [s.quality[name] for s in results.scans if name in s.quality]
        if not own:
            continue
        others = results.others.get(name, ())
        size = "size " if name == "drift_hz" else ""
        note = f"median {size}of {count(len(own), 'scan')}"
        if len(others):
            note += f"; other sites {short(typical(name, others))}"
        tiles.append(
            {"name": figures.FIGURES[name], "value": short(typical(name, own)), "note": note}
        )
    return tiles


def consortium_page(results: ConsortiumResults) -> str:
    """The page of the consortium."""
    pooled = results.pooled
    charts = {
        "forest": figures.forest(results.effects, pooled, results.prediction, results.asked.words)
        if len(results.effects) > 1
        else None,
        "influence": _influence(results),
        "ranked": _ranked(results),
        "shares": figures.shares(results.shares) if results.shares else None,
        "curve": figures.curve(
            results.multiverse, results.choices, results.primary, results.asked.words
        )
        if len(results.multiverse) > 1
        else None,
        "power": figures.power(results.power) if results.power else None,
        "by_site": figures.by_site(results.scans, results.limits)
        if any(scan.quality for scan in results.scans)
        else None,
    }
    harmonised = list(combat_words(results.combat, results.asked))
    registered = registered_words(results.registered, results.deviations)
    sections = [
        ("answer", "Answer"),
        ("flow", "Flow"),
        *([("groups", "People and groups")] if results.people else []),
        *([("registered", "Registered")] if registered else []),
        ("forest", "Effect by site"),
        *([("influence", "Without each site")] if charts["influence"] else []),
        ("people", "Effect by scan"),
        ("shares", "Spread"),
        ("curve", "Analyses"),
        ("power", "Power"),
        ("quality", "Quality"),
        *([("combat", "ComBat")] if harmonised else []),
        ("sites", "Sites"),
        *([("bold", "BOLD" if _has_fmri(results) else "Line width")] if results.bold else []),
        *([("agreement", "Agreement")] if results.cv else []),
        ("scans", "Scans"),
        ("problems", "Problems"),
        ("methods", "Methods"),
        ("downloads", "Downloads"),
    ]
    present = [name for name in figures.FIGURES if any(name in s.quality for s in results.scans)]
    return render(
        "consortium.html.j2",
        r=results,
        charts=charts,
        why=absent.of_consortium(results, charts),
        sections=sections,
        kind=_answer_kind(pooled),
        answer=answer(results),
        what=what_is_asked(results.asked),
        caveats=_caveats(results),
        tiles=_tiles(results),
        flow=flow(results.scans),
        forest_words=_forest_words(results),
        shares_words=_shares_words(results),
        curve_words=_curve_words(results),
        influence_words=influence_words(results.left_out),
        people_words=people_words(results.people, results.asked),
        people_rows=people_rows(results.people),
        joint_words=list(joint_words(results.joint, results.registered, results.asked)),
        registered_words=registered,
        combat_words=harmonised,
        power_words=results.power_words,
        figures=[(name, figures.FIGURES[name]) for name in present],
        site_rows=_site_rows(results),
        short_labels=SHORT_LABELS,
        bold=[
            (bold_words.caption(name, results), image_uri(png))
            for name, png in results.bold.items()
        ],
        bold_heading=bold_words.heading(results),
        bold_words=bold_words.consortium_words(results),
        bold_pairs=bold_words.pair_rows(results),
    )


def _has_fmri(results: ConsortiumResults) -> bool:
    return any(row["measure"] == "area" for row in results.bold_pairs) or not results.bold_pairs


def answer(results: ConsortiumResults) -> str:
    """The consortium's answer in one sentence with its interval."""
    pooled = results.pooled
    if pooled is None:
        why = results.no_answer or "no site has a usable scan with rest and task"
        return f"The change of {results.asked.words} cannot be stated: {why}."
    return effect_words(results.asked, pooled.value, pooled.low, pooled.high, pooled.note)


def flow(scans: Sequence[ScanSummary]) -> list[dict]:
    """Participant flow: how many scans passed each step, and why the others were lost there."""
    steps = (
        ("Scanned", None),
        ("Converted", "convert"),
        ("Preprocessed", "preprocess"),
        ("Fitted", "fit"),
        ("Quantified", "quantify"),
        ("With a response", "response"),
    )
    left = list(scans)
    shown = []
    for name, stage in steps:
        lost = [s for s in left if stage and _lost_at(s) == stage and s.verdict.kind != "excluded"]
        left = [s for s in left if s not in lost]
        shown.append(_step(name, left, lost, scans))
    lost = [s for s in left if s.verdict.kind in ("excluded", "failed")]
    left = [s for s in left if s not in lost]
    shown.append(_step("In the group statistics", left, lost, scans))
    return shown


def _lost_at(scan: ScanSummary) -> str:
    """Step at which a scan was lost; a basis that failed stops its scans at the fit."""
    return "fit" if scan.failed_at == "basis" else scan.failed_at


def _step(name: str, left, lost, scans) -> dict:
    reasons = alike([_why(scan) for scan in lost])
    shown = [{"scans": len(places), "why": why} for why, places in reasons[:6]]
    rest = len(lost) - sum(one["scans"] for one in shown)
    if rest:
        shown.append({"scans": rest, "why": "for other reasons (table of scans below)"})
    return {
        "name": name,
        "scans": len(left),
        "persons": len({scan.person for scan in left}),
        "percent": round(100 * len(left) / max(1, len(scans))),
        "lost": shown,
    }


def _why(scan: ScanSummary) -> str:
    """Why a scan was lost: the reason of its verdict, or that there is no response."""
    reasons = scan.verdict.reasons
    if scan.verdict.kind not in ("failed", "excluded"):
        reasons = [one for one in reasons if one.startswith("no response")]
    return "; ".join(reasons)


def _answer_kind(pooled: Effect | None) -> str:
    if pooled is None:
        return "failed"
    return "care" if holds_zero(pooled.low, pooled.high) else "use"


def _caveats(results: ConsortiumResults) -> list[str]:
    kinds = Counter(scan.verdict.kind for scan in results.scans)
    lost = kinds["excluded"] + kinds["failed"]
    caveats = []
    if results.prediction is not None:
        low, high = results.prediction
        caveats.append(
            f"A further site would likely find between {signed(low)} and {signed(high)} "
            f"{unit_of(results.asked)}."
        )
    if lost:
        caveats.append(
            f"{lost} of {len(results.scans)} scans take no part "
            f"({kinds['excluded']} excluded, {kinds['failed']} failed)"
            + (f"; {kinds['care']} more are to be used with care." if kinds["care"] else ".")
        )
    if told := registered_words(results.registered, results.deviations):
        caveats.append(told)
    return caveats + list(results.caveats)


def _tiles(results: ConsortiumResults) -> list[dict]:
    kinds = Counter(scan.verdict.kind for scan in results.scans)
    tiles = [
        ("Scans in use", f"{kinds['use'] + kinds['care']} of {len(results.scans)}", "use or care"),
        *results.tiles,
    ]
    return [{"name": name, "value": value, "note": note} for name, value, note in tiles]


def _influence(results: ConsortiumResults) -> dict | None:
    """The mean without each site in turn, and with all."""
    rows = [
        Effect(
            f"without {row['left_out']}",
            *(row[f"{name}_percent"] for name in ("change", "low", "high")),
            page=results.site_pages.get(row["left_out"], ""),
            note=row["verdict"] or f"{row['weight_percent']:.0f} % of the weight",
            kind="all sites but one",
        )
        for row in results.left_out
    ]
    return figures.forest(rows, results.pooled, what=results.asked.words) if rows else None


def _ranked(results: ConsortiumResults) -> dict | None:
    rows = []
    for scan in results.scans:
        if scan.change is None or scan.verdict.kind == "failed":
            continue
        if not _asked_of(scan, results.asked):
            continue
        value, low, high = (scan.change[f"{name}_percent"] for name in ("change", "low", "high"))
        if value == value:
            rows.append(
                Effect(scan.scan.key, value, low, high, page=scan.page, kind=scan.verdict.kind)
            )
    pooled = results.pooled
    # Scans are shown with their own changes: the mean difference of arms is none of these.
    mean = pooled.value if pooled and not results.asked.points else None
    return figures.ranked(rows, mean, results.asked.words) if len(rows) > 1 else None


def _asked_of(scan: ScanSummary, asked: Question) -> bool:
    """Whether a scan's region is one that the question is on."""
    return asked.region is None or scan.region in (asked.regions or (asked.region,))


def _site_rows(results: ConsortiumResults) -> list[dict]:
    rows = []
    for name, site in results.sites.items():
        own = [scan for scan in results.scans if scan.scan.site == name]
        kinds = Counter(scan.verdict.kind for scan in own)
        rows.append(
            {"site": site, "page": results.site_pages[name], "scans": len(own)}
            | {kind: kinds[kind] for kind in SHORT_LABELS}
        )
    return rows


def _forest_words(results: ConsortiumResults) -> str:
    unit = unit_of(results.asked)
    words = f"{what_is_asked(results.asked)} at {count(len(results.effects), 'site')}."
    if results.pooled is not None:
        words += f" Together {signed(results.pooled.value)} {unit} "
        words += f"({signed(results.pooled.low)} to {signed(results.pooled.high)} {unit})."
    missing = [name for name in results.sites if name not in {one.name for one in results.effects}]
    if missing:
        words += f" Without a usable scan: {', '.join(missing)}."
    return words


def _shares_words(results: ConsortiumResults) -> str:
    shares = ", ".join(
        f"{name} {share:.0f} %"
        + (f" ({low:.0f} to {high:.0f})" if low == low and high == high else "")
        for name, share, low, high in results.shares
    )
    return f"Shares of the variance of the percent change, with 95 % intervals: {shares}."


def _curve_words(results: ConsortiumResults) -> str:
    effects = results.multiverse
    if not effects:
        return ""
    clear = sum(not holds_zero(one.low, one.high) for one in effects)
    return (
        f"{len(effects)} ways to answer from the same data find "
        f"{signed(min(e.value for e in effects))} to "
        f"{signed(max(e.value for e in effects))} {unit_of(results.asked)}; in {clear} the "
        "interval leaves zero out."
    )
