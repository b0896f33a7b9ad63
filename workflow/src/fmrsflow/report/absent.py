"""Why a section of a page has nothing to show, in a sentence that stands in its place."""

from __future__ import annotations

from collections.abc import Mapping

from fmrsflow.report.results import ConsortiumResults, ScanResults, SiteResults

AVERAGED = (
    "The file holds one spectrum, averaged before it was stored: what single transients did, and "
    "how frequency, phase and line width ran over the scan, cannot be seen."
)


def of_scan(results: ScanResults, charts: Mapping) -> dict[str, str]:
    """Section of a scan's page -> why it is empty, "" where it is not; of a scan that failed early
    all are "": its verdict says it."""
    found = {
        "spectrum": _stage(results, "fit", "No spectrum was fitted")
        or "The curves of the fit are not there any more.",
        "conditions": _conditions(results),
        "response": _stage(results, "response", "No change was computed")
        or "No change was computed: the scan has neither a task with rest nor a partner scan.",
        "timecourse": _blocks(results),
        "transients": _transients(results),
        "stability": _transients(results),
        "water": "No water reference was measured, or none that could be read: eddy currents were "
        "not corrected by it, and concentrations are relative to creatine.",
        "concentrations": _stage(results, "quantify", "No concentration was computed"),
    }
    drawn = {"transients": "after", "stability": "courses"}
    early = not results.record("preprocess")
    return {
        name: "" if early or charts[drawn.get(name, name)] else words
        for name, words in found.items()
    }


def molal_words(results: ScanResults) -> str:
    """Why a scan with concentrations has none that is relative to water."""
    reason = results.record("quantify").get("molal_reason")
    return f"No value in mmol per kg is shown: {reason or 'the water was not measured'}."


def _stage(results: ScanResults, stage: str, what: str) -> str:
    """What a stage that failed said; "" where it did not fail."""
    record = results.records.get(stage) or {}
    return f"{what}: {record['reason']}." if record.get("status") == "failed" else ""


def _conditions(results: ScanResults) -> str:
    names = results.record("preprocess").get("conditions") or []
    if len(names) > 1:
        return "The averages of the conditions are not there any more."
    return f"The scan has one condition ({', '.join(names)}): there is no difference to show."


def _blocks(results: ScanResults) -> str:
    if not results.timecourse:
        return ""
    return "The scan was fitted as one block: there is no course to show."


def _transients(results: ScanResults) -> str:
    if len(results.transients) == 1:
        return AVERAGED
    return "The single transients are not there any more: they were pruned, or never written."


def of_site(results: SiteResults, charts: Mapping) -> dict[str, str]:
    """Section of a site's page -> why it is empty, "" where it is not."""
    measured = sum(bool(scan.quality) for scan in results.scans)
    why = {
        "over_time": f"A course needs two scans with figures of quality; this site has {measured}.",
        "against": "The other sites have fewer than three scans to compare with."
        if measured
        else "No scan of this site has figures of quality.",
    }
    return {name: "" if charts[name] else words for name, words in why.items()}


def of_consortium(results: ConsortiumResults, charts: Mapping) -> dict[str, str]:
    """Section of the consortium's page -> why it is empty, "" where it is not."""
    sites = len(results.effects)
    why = {
        "forest": "No site has an effect to show."
        if not sites
        else "One site has an effect: it is the answer above, and there is nothing to compare it "
        "with.",
        "ranked": "Fewer than two scans have a change of their own to show.",
        "shares": "The spread cannot be parted into that of sites, people and measurement: that "
        "takes several scans with a change at several sites.",
        "curve": "The question was answered in one way only; more analyses, or estimators, in "
        "config.yaml would show how far the answer depends on it.",
        "power": results.power_words
        or "What a next study needs cannot be said: the spread of this one is not known.",
        "by_site": "No scan has figures of quality.",
    }
    return {name: "" if charts[name] else words for name, words in why.items()}
