"""The consortium's answer on percent changes: tables in, tables out.

`changes` takes the responses of all units and gives the rows of sites.tsv, meta.tsv, variance.tsv
and the tables beside them; what cannot be estimated is a row with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t

from fmrsflow.constants import Z95
from fmrsflow.question import KEYS, main_key
from fmrsflow.sites import meta, power
from fmrsflow.sites.agreement import equivalence
from fmrsflow.sites.many_tests import mark
from fmrsflow.sites.small_samples import effects
from fmrsflow.sites.variance import Decomposition, Sample, SiteMeans, decompose, site_means
from fmrsflow.words import count

MODERATORS = ("protocol", "field_t", "vendor", "te_s")

HARTUNG_KNAPP = "random effects of site means, REML, Hartung-Knapp"
CROSSED = "mixed model with travelling participants crossed with sites, REML, Kenward-Roger"
ONE_SITE = "mean over the participants of one site"
"""Ways in which the mean over sites was taken (column `method` of meta.tsv)."""

AT_ZERO = "estimated as zero, the edge of what it can be: up to the upper end agrees with the data"
"""What to know of a component whose estimate is zero."""

NO_TAU = "no interval of tau: site means agree more closely than their errors explain"

POWER_SITES = [2, 4, 6, 8, 10, 12, 16, 20, 30]
POWER_PARTICIPANTS = [2, 4, 8, 12, 16, 24, 40]

Rows = list[dict]


def changes(
    responses: Sequence[Mapping], sites: Mapping[str, Mapping], settings: Mapping, seed: int = 0
) -> dict[str, Rows]:
    """Every table on percent changes.

    Parameters
    ----------
    responses : rows
        `KEYS`, `site`, `person`, `unit`, `change_percent`, `se_percent` (numbers, NaN where
        missing), `used` (bool).
    sites : site -> mapping with `vendor`, `field_t`, `protocol`, `te_s`
    settings : mapping
        Of schemas/sites.yaml.
    seed : int
        Of the bootstrap.
    """
    tables: dict[str, Rows] = {
        name: []
        for name in (
            "sites",
            "meta",
            "variance",
            "leave_one_out",
            "moderators",
            "equivalence",
            "sensitivity",
            "power",
            "tests",
        )
    }
    groups = grouped(responses)
    chosen = main_key(groups, settings)
    answers = _quantities(responses)
    for key, rows in groups.items():
        used = [row for row in rows if row["used"] and math.isfinite(row["change_percent"])]
        count = settings["bootstraps"] if key == chosen else 0
        _one(tables, key, rows, used, sites, settings, count, seed, key == chosen)
        tables["sites"] += _empty_sites(key, rows, used, sites, answers)
        _sensitivity(tables["sensitivity"], key, rows, used, key == chosen)
    if chosen is not None:
        tables["power"] = _power_rows(tables, chosen, settings)
    tables["tests"] = mark(tables, chosen)
    return tables


def grouped(rows: Sequence[Mapping]) -> dict[tuple, list[Mapping]]:
    """Rows by `KEYS`, in their order."""
    groups: dict[tuple, list[Mapping]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEYS), []).append(row)
    return groups


def sample_of(rows: Sequence[Mapping], sites: Mapping[str, Mapping]) -> Sample:
    """Percent changes as a sample to decompose."""
    return Sample(
        np.array([row["change_percent"] for row in rows], float),
        np.array([row["se_percent"] for row in rows], float),
        tuple(row["site"] for row in rows),
        tuple(sites[row["site"]]["vendor"] for row in rows),
        tuple(row["person"] for row in rows),
    )


def _one(tables, key, rows, used, sites, settings, bootstraps, seed, chosen) -> None:
    """Tables of one question."""
    same = dict(zip(KEYS, key))
    if not used:
        why = f"cannot be estimated because none of {count(len(rows), 'scan')} can be used"
        tables["meta"].append({**same, "n_sites": 0, "n": 0, "reason": why})
        return
    sample = sample_of(used, sites)
    rng = np.random.default_rng(seed)
    parts = decompose(sample, bootstraps=bootstraps, rng=rng)
    tables["variance"] += variance_rows({"outcome": "change", **same}, parts, sample, "percent")
    means = site_means(sample, parts)
    whole = pool(sample, means, parts)
    if chosen:
        whole |= one_stage(sample)
    tables["meta"].append({**same, **whole})
    tables["sites"] += _site_rows(same, means, sample, sites)
    tables["leave_one_out"] += _left_out(same, means)
    tables["moderators"] += _moderators(same, means, sites)
    tables["equivalence"].append({**same, **_equivalence(means, sites, settings)})


def pool(sample: Sample, means: SiteMeans, parts: Decomposition) -> dict:
    """Row of meta.tsv: the mean over sites and how much they differ."""
    count = {
        "n_sites": len(means.sites),
        "n": len(sample),
        "n_participants": len(set(sample.person)),
    }
    notes = "; ".join(parts.notes)
    if len(means.sites) == 1:
        return count | _single_site(sample, means)
    result = meta.random_effects(means.mean, means.variance, within_df=means.df)
    low, high = result.prediction()
    if result.se == 0:
        why = "no interval: it cannot be estimated because all site means are the same"
        return count | {"change_percent": result.mean, "method": "site means", "reason": why}
    row = count | {
        "change_percent": result.mean,
        "se_percent": result.se,
        "low_percent": float(result.low[0]),
        "high_percent": float(result.high[0]),
        "df": result.df,
        "p": result.p_value([0]),
        "tau_percent": math.sqrt(result.tau2),
        "tau_low_percent": math.sqrt(result.tau2_low),
        "tau_high_percent": math.sqrt(result.tau2_high),
        "i2_percent": result.i2_percent,
        "q": result.q,
        "q_df": result.q_df,
        "q_p": result.q_p,
        "prediction_low_percent": low,
        "prediction_high_percent": high,
        "method": HARTUNG_KNAPP,
        "reason": notes,
    }
    if result.tau2_high == 0:
        # An empty interval, which is not the knowledge that sites are alike.
        row |= {"tau_low_percent": math.nan, "tau_high_percent": math.nan}
        row["reason"] = "; ".join(filter(None, [notes, NO_TAU]))
        notes = row["reason"]
    if len(means.sites) == 2:
        row["reason"] = "; ".join(
            filter(None, [notes, "no prediction interval: it needs three sites"])
        )
    if sample.travels and parts.fitted is not None:
        row |= _crossed(result, parts)
    return row


def one_stage(sample: Sample) -> dict:
    """The mean by one mixed model of all scans with their known errors, beside that of site means;
    nothing where there is one site, or where people travelled and it is the answer."""
    if len(set(sample.site)) < 2 or sample.travels:
        return {}
    parts = decompose(sample, intervals=False, drop=("vendor",))
    if parts.fitted is None:
        return {}
    found = effects(parts.data, parts.fitted)
    low, high = found.interval()
    return {
        "one_stage_percent": float(found.coefficients[0]),
        "one_stage_low_percent": low,
        "one_stage_high_percent": high,
        "one_stage_df": float(found.df[0]),
    }


def _single_site(sample: Sample, means: SiteMeans) -> dict:
    """Mean over the participants of one site, which says nothing of other sites."""
    n = int(means.n[0])
    if n < 2:
        why = "cannot be estimated because there is one site with one participant"
        return {"change_percent": float(means.mean[0]), "method": "one scan", "reason": why}
    se, half = math.sqrt(means.variance[0]), 0.0
    df = means.df if math.isfinite(means.df) else n - 1
    half = t.ppf(0.975, df) * se
    mean = float(means.mean[0])
    return {
        "change_percent": mean,
        "se_percent": se,
        "low_percent": mean - half,
        "high_percent": mean + half,
        "df": df,
        "p": float(2 * t.sf(abs(mean) / se, df)),
        "method": ONE_SITE,
        "reason": "between sites nothing can be estimated because there is one site",
    }


def _crossed(result: meta.Meta, parts: Decomposition) -> dict:
    """Mean of the crossed model, where people travelled and site means hold the same people."""
    found = effects(parts.data, parts.fitted)
    mean, se, df = float(found.coefficients[0]), float(found.se[0]), float(found.df[0])
    low, high = found.interval()
    site = parts.variance("vendor", "site")
    spread = t.ppf(0.975, max(result.k - 2, 1)) * math.sqrt(site + se**2)
    return {
        "change_percent": mean,
        "se_percent": se,
        "low_percent": low,
        "high_percent": high,
        "df": df,
        "p": found.p_value(),
        "tau_percent": math.sqrt(site),
        "tau_low_percent": parts.get("site").sd_low,
        "tau_high_percent": parts.get("site").sd_high,
        "prediction_low_percent": mean - spread if result.k > 2 else math.nan,
        "prediction_high_percent": mean + spread if result.k > 2 else math.nan,
        "method": CROSSED,
    }


def variance_rows(same: Mapping, parts: Decomposition, sample: Sample, unit: str) -> Rows:
    """Rows of variance.tsv, one a component."""
    rows = []
    for one in parts.components:
        rows.append(
            {
                **same,
                "component": one.name,
                "sd": one.sd,
                "sd_low": one.sd_low,
                "sd_high": one.sd_high,
                "unit": unit,
                "share_percent": 100 * one.share,
                "low_share_percent": 100 * one.share_low,
                "high_share_percent": 100 * one.share_high,
                "boot_low_share_percent": 100 * one.boot_low,
                "boot_high_share_percent": 100 * one.boot_high,
                "n": len(sample),
                "n_sites": len(set(sample.site)),
                "reason": one.reason or (AT_ZERO if one.sd == 0 else ""),
            }
        )
    return rows


def _site_rows(same, means: SiteMeans, sample: Sample, sites) -> Rows:
    k = len(means.sites)
    drawn = (means.mean, np.full(k, math.nan), np.full(k, math.nan))
    weight = np.full(k, 100.0)
    if k > 1:
        result = meta.random_effects(means.mean, means.variance)
        drawn = meta.shrunken(means.mean, means.variance, result)
        weight = 1 / (means.variance + result.tau2)
        weight *= 100 / weight.sum()
    quantile = t.ppf(0.975, means.df) if math.isfinite(means.df) else Z95
    rows = []
    for j, name in enumerate(means.sites):
        own = sample.value[[one == name for one in sample.site]]
        half = quantile * math.sqrt(means.variance[j])
        rows.append(
            {
                **same,
                "site": name,
                "vendor": sites[name]["vendor"],
                "field_t": sites[name]["field_t"],
                "protocol": sites[name]["protocol"],
                "n": len(own),
                "n_participants": int(means.n[j]),
                "change_percent": float(means.mean[j]),
                "se_percent": math.sqrt(means.variance[j]),
                "low_percent": float(means.mean[j] - half),
                "high_percent": float(means.mean[j] + half),
                "sd_percent": float(own.std(ddof=1)) if len(own) > 1 else math.nan,
                "weight_percent": float(weight[j]),
                "shrunken_percent": float(drawn[0][j]),
                "shrunken_low_percent": float(drawn[1][j]),
                "shrunken_high_percent": float(drawn[2][j]),
                "reason": "",
            }
        )
    return rows


def _quantities(responses: Sequence[Mapping]) -> dict[str, list[str]]:
    """Quantities of the changes that each site has."""
    found: dict[str, list[str]] = {}
    for row in responses:
        if row["used"] and row["quantity"] not in found.setdefault(row["site"], []):
            found[row["site"]].append(row["quantity"])
    return found


def _empty_sites(key, rows, used, sites, answers: Mapping[str, Sequence[str]]) -> Rows:
    """Sites whose scans all failed, were excluded or gave no such change."""
    same, present, found = dict(zip(KEYS, key)), {row["site"] for row in used}, []
    for name in (name for name in sites if name not in present):
        own = [row for row in rows if row["site"] == name]
        others = answers.get(name, ())
        if own:
            what = f"none of its {count(len(own), 'scan')} can be used"
        elif others:
            lacking = "such" if same["quantity"] in others else same["quantity"]
            what = f"its scans have no {lacking} changes; they answer by {', '.join(others)}"
        else:
            what = "no scan of it was fitted"
        found.append(
            {
                **same,
                "site": name,
                "vendor": sites[name]["vendor"],
                "field_t": sites[name]["field_t"],
                "protocol": sites[name]["protocol"],
                "n": 0,
                "n_participants": 0,
                "reason": f"cannot be estimated because {what}",
            }
        )
    return found


def _left_out(same, means: SiteMeans) -> Rows:
    if len(means.sites) < 3:
        return []
    whole = meta.random_effects(means.mean, means.variance)
    limit = meta.outlier_limit(len(means.sites))
    return [
        {
            **same,
            "left_out": means.sites[one.index],
            "change_percent": one.meta.mean,
            "se_percent": one.meta.se,
            "low_percent": float(one.meta.low[0]),
            "high_percent": float(one.meta.high[0]),
            "tau_percent": math.sqrt(one.meta.tau2),
            "i2_percent": one.meta.i2_percent,
            "shift": one.shift,
            "weight_percent": 100 * one.weight,
            "outlier_z": one.outlier_z,
            "outlier_limit": limit,
            "verdict": _left_out_verdict(one, whole, limit),
        }
        for one in meta.leave_one_out(means.mean, means.variance)
    ]


UNLIKE, CARRIES = "unlike the others", "the answer hangs on it"
"""What leaving a site out shows of it (column `verdict` of leave_one_out.tsv)."""


def _left_out_verdict(one: meta.LeftOut, whole: meta.Meta, limit: float) -> str:
    shown = [not each.low[0] <= 0 <= each.high[0] for each in (whole, one.meta)]
    found = [UNLIKE] if abs(one.outlier_z) > limit else []
    return "; ".join(found + ([CARRIES] if shown[0] != shown[1] else []))


def moderator_design(values: Sequence) -> tuple[np.ndarray, list[str]]:
    """Constant and one column a level beyond the most common (numbers too: TE in few steps)."""
    levels = sorted(set(values), key=lambda one: (-list(values).count(one), str(one)))
    columns = [np.array([one == level for one in values], float) for level in levels[1:]]
    names = [f"{level} against {levels[0]}" for level in levels[1:]]
    return np.column_stack([np.ones(len(values)), *columns]), names


def _moderators(same, means: SiteMeans, sites) -> Rows:
    rows = []
    base = None
    if len(means.sites) > 1:
        base = meta.random_effects(means.mean, means.variance)
    for moderator in MODERATORS:
        values = [sites[name][moderator] for name in means.sites]
        x, terms = moderator_design(values)
        k, p = x.shape
        start = {**same, "moderator": moderator, "n_sites": k}
        if p == 1:
            why = f"cannot be estimated because all sites have the same {moderator}"
            rows.append({**start, "reason": why})
            continue
        if k <= p or base is None:
            why = f"cannot be estimated because there are {count(k, 'site')} for {p} values"
            rows.append({**start, "reason": why})
            continue
        result = meta.random_effects(means.mean, means.variance, x, means.df)
        explained = 100 * (1 - result.tau2 / base.tau2) if base.tau2 > 0 else math.nan
        for j, term in enumerate(terms, start=1):
            rows.append(
                {
                    **start,
                    "term": term,
                    "difference_percent": float(result.coefficients[j]),
                    "se_percent": float(result.covariance[j, j] ** 0.5),
                    "low_percent": float(result.low[j]),
                    "high_percent": float(result.high[j]),
                    "df": result.df,
                    "p": result.p_value([j]),
                    "p_moderator": result.p_value(range(1, p)),
                    "tau_percent": math.sqrt(result.tau2),
                    "explained_percent": max(explained, 0.0),
                    "reason": "",
                }
            )
    return rows


def _equivalence(means: SiteMeans, sites, settings) -> dict:
    own = [float(sites[name]["protocol"] == "own") for name in means.sites]
    margin = settings["equivalence_percent"]
    counts = {"n_standardised": own.count(0.0), "n_own": own.count(1.0), "margin_percent": margin}
    if not counts["n_standardised"] or not counts["n_own"] or len(own) < 3:
        why = (
            f"cannot be estimated because there are {count(own.count(0.0), 'site')} with "
            f"the standardised and {counts['n_own']} with their own protocol"
        )
        return counts | {"reason": why}
    design = np.column_stack([np.ones(len(own)), own])
    result = meta.random_effects(means.mean, means.variance, design)
    if result.covariance[1, 1] == 0:
        why = "cannot be estimated because sites of a protocol do not differ at all"
        return counts | {"reason": why}
    one = equivalence(
        float(result.coefficients[1]), float(result.covariance[1, 1] ** 0.5), result.df, margin
    )
    return counts | {
        "difference_percent": one.difference,
        "se_percent": one.se,
        "low90_percent": one.low,
        "high90_percent": one.high,
        "p_equivalence": one.p,
        "p_difference": one.p_difference,
        "verdict": one.verdict,
        "reason": "",
    }


def _sensitivity(found: Rows, key, rows, used, chosen: bool) -> None:
    """One line of the specification curve for each set of scans."""
    everything = [row for row in rows if math.isfinite(row["change_percent"])]
    for scans, taken in (("used", used), ("with excluded", everything)):
        if not taken:
            continue
        sample = sample_of(taken, {row["site"]: {"vendor": ""} for row in taken})
        parts = decompose(sample, intervals=False, drop=("vendor",))
        row = pool(sample, site_means(sample, parts), parts)
        found.append(
            {
                **dict(zip(KEYS, key)),
                "scans": scans,
                "main": chosen and scans == "used",
                **{
                    name: row.get(name)
                    for name in ("n_sites", "n", "change_percent", "low_percent", "high_percent")
                },
                "reason": row["reason"],
            }
        )


def spread_of(variance: Sequence[Mapping], key: tuple) -> power.ChangeSpread | None:
    """SDs of one question as the power tables want them, None where sites or people have none."""
    sd = {
        row["component"]: row["sd"]
        for row in variance
        if row["outcome"] == "change" and tuple(row[name] for name in KEYS) == key
    }
    if not sd or not math.isfinite(sd["site"]) or not math.isfinite(sd["participant"]):
        return None
    vendor, session, noise = (
        sd[name] if math.isfinite(sd[name]) else 0.0
        for name in ("vendor", "session", "measurement")
    )
    return power.ChangeSpread(
        math.hypot(sd["site"], vendor), sd["participant"], math.hypot(session, noise)
    )


def ends_of(
    variance: Sequence[Mapping], means: Sequence[Mapping], key: tuple
) -> tuple[power.ChangeSpread, power.ChangeSpread] | None:
    """Least and greatest SDs that agree with the study: the ends of the 95 % intervals of that
    between sites (of meta.tsv, vendors in it; at least that of the component) and of that between
    people, which by Bonferroni hold both in 90 % of studies; None where one has no interval."""
    own = [row for row in variance if row["outcome"] == "change"]
    parts = {row["component"]: row for row in own if tuple(row[name] for name in KEYS) == key}
    between = next((row for row in means if tuple(row[name] for name in KEYS) == key), {})
    if not parts or not between.get("n_sites", 0) > 1:
        return None
    tau = {end: between.get(f"tau_{end}_percent", math.nan) for end in ("low", "high")}
    site = {
        "low": 0.0 if math.isnan(tau["low"]) else tau["low"],
        "high": float(np.fmax(tau["high"], parts["site"]["sd_high"])),
    }
    if math.isnan(site["high"]):
        return None
    found = []
    for end in ("low", "high"):
        person = parts["participant"][f"sd_{end}"]
        rest = [parts["session"][f"sd_{end}"], parts["measurement"]["sd"]]
        if math.isnan(person):
            return None
        found.append(
            power.ChangeSpread(
                site[end],
                person,
                math.hypot(*(one for one in rest if not math.isnan(one))),
            )
        )
    return found[0], found[1]


def _power_rows(tables: Mapping[str, Rows], key: tuple, settings) -> Rows:
    spread = spread_of(tables["variance"], key)
    same = dict(zip(KEYS, key))
    if spread is None:
        why = "cannot be estimated because the study has no variance of sites and participants"
        return [{**same, "reason": why}]
    ends = ends_of(tables["variance"], tables["meta"], key)
    rows = power.table(
        settings["effect_percent"],
        POWER_SITES,
        POWER_PARTICIPANTS,
        spread,
        settings["power"],
        ends,
    )
    sds = {
        "sd_site_percent": spread.site,
        "sd_participant_percent": spread.participant,
        "sd_measurement_percent": spread.measurement,
    }
    for name, one in zip(("low", "high"), ends or ()):
        sds[f"sd_site_{name}_percent"] = one.site
        sds[f"sd_participant_{name}_percent"] = one.participant
        sds[f"sd_measurement_{name}_percent"] = one.measurement
    return [{**same, **row, **sds, "reason": ""} for row in rows]
