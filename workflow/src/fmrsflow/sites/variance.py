"""Where the spread comes from: vendor, site, participant, session, measurement.

Names components, says which the design can tell apart, and gives shares with intervals; the
likelihood itself is in reml.py.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from fmrsflow.sites import reml

MEASUREMENT = "measurement"
COMPONENTS = ("vendor", "site", "participant", "session", MEASUREMENT)
"""In the order of the tables; `measurement` is known from the standard errors of the scans."""


@dataclass(frozen=True)
class Sample:
    """Observations to decompose, one per response unit or scan.

    `value`, `se`: arrays (n,), se NaN or 0 where not known. `site`, `vendor`, `person`: labels;
    the same person at two sites travelled.
    """

    value: np.ndarray
    se: np.ndarray
    site: tuple[str, ...]
    vendor: tuple[str, ...]
    person: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.value)

    @property
    def travels(self) -> bool:
        """Somebody was measured at more than one site."""
        return len(set(zip(self.person, self.site))) > len(set(self.person))

    def select(self, mask: np.ndarray) -> Sample:
        """The observations where `mask` is true."""
        index = np.flatnonzero(mask)
        labels = (tuple(names[j] for j in index) for names in (self.site, self.vendor, self.person))
        return Sample(self.value[index], self.se[index], *labels)


@dataclass(frozen=True)
class Component:
    """One source of variance: its SD and its share of the total, each with 95 % intervals.

    `low`, `high`: profile likelihood; `boot_*`: parametric bootstrap (NaN where not asked for).
    `reason`: why there is no estimate or what to know of it.
    """

    name: str
    sd: float = math.nan
    sd_low: float = math.nan
    sd_high: float = math.nan
    share: float = math.nan
    share_low: float = math.nan
    share_high: float = math.nan
    boot_low: float = math.nan
    boot_high: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Decomposition:
    """Components of a sample, the fitted model, and its mean.

    Attributes
    ----------
    components : tuple of Component
        All of `COMPONENTS`.
    sites_p : float
        p of "sites do not differ", by likelihood ratio on the boundary; NaN without a site factor.
    dispersion : float
        Factor on the sampling variances: 1, or below where scans of a site scatter significantly
        less than their standard errors say.
    notes : tuple of str
    """

    components: tuple[Component, ...]
    fitted: reml.Components | None
    data: reml.Data | None
    names: dict[str, str]
    dispersion: float = 1.0
    notes: tuple[str, ...] = ()

    def get(self, name: str) -> Component:
        """The component of that name."""
        return next(one for one in self.components if one.name == name)

    def variance(self, *names: str) -> float:
        """Summed variance of components, NaN ones left out."""
        return sum(self.get(name).sd ** 2 for name in names if math.isfinite(self.get(name).sd))


def impossible(sample: Sample) -> dict[str, str]:
    """Components that the design cannot separate, each with the reason in plain words."""
    reasons: dict[str, str] = {}
    sites_of: dict[str, set] = defaultdict(set)
    persons_of: dict[str, set] = defaultdict(set)
    for site, vendor, person in zip(sample.site, sample.vendor, sample.person):
        sites_of[vendor].add(site)
        persons_of[site].add(person)
    several = max(len(persons) for persons in persons_of.values()) > 1
    repeated = max(Counter(sample.person).values()) > 1
    if len(sites_of) < 2:
        reasons["vendor"] = "all scanners are of one vendor"
    elif max(len(sites) for sites in sites_of.values()) < 2:
        reasons["vendor"] = "no vendor has more than one site, so that vendor and site are one"
    if len(persons_of) < 2:
        reasons["site"] = "there is one site"
    elif not several and not sample.travels and not repeated:
        reasons["site"] = "no site has more than one participant, so that the two are one"
    if len(set(sample.person)) < 2:
        reasons["participant"] = "there is one participant"
    elif not several and not sample.travels:
        reasons["participant"] = "no site has more than one participant, so that the two are one"
    if not repeated:
        reasons["session"] = "no participant was measured twice"
    if not (np.nan_to_num(sample.se) > 0).any():
        reasons[MEASUREMENT] = "the values come without standard errors"
    return {name: f"cannot be estimated because {why}" for name, why in reasons.items()}


def decompose(
    sample: Sample,
    fixed: np.ndarray | None = None,
    bootstraps: int = 0,
    rng: np.random.Generator | None = None,
    intervals: bool = True,
    drop: Sequence[str] = (),
    more: tuple[str, Sequence[str]] | None = None,
) -> Decomposition:
    """REML variance components with shares of the total.

    Parameters
    ----------
    sample : Sample
    fixed : array (n, p), optional
        Fixed effects, the constant first; a constant alone where not given.
    bootstraps : int
        Parametric bootstraps of the shares; needs `rng`.
    intervals : bool
        Profile-likelihood intervals.
    drop : sequence of str
        Components to leave out (for example `vendor` where it is a fixed effect).
    more : (name, labels), optional
        A further random factor, none of `COMPONENTS`; its variance is in `fitted` alone.

    Notes
    -----
    With one scan a participant, the scatter beyond the sampling variance is that of participants
    (and of their sessions, which nothing separates then).
    """
    n = len(sample)
    x = np.ones((n, 1)) if fixed is None else fixed
    reasons = impossible(sample) if n else {}
    if n < 3 or n - np.linalg.matrix_rank(x) < 2:
        why = f"cannot be estimated because there are {n} values"
        return Decomposition(tuple(Component(k, reason=why) for k in COMPONENTS), None, None, {})
    if np.ptp(sample.value) == 0:
        why = "cannot be estimated because all values are the same"
        return Decomposition(tuple(Component(k, reason=why) for k in COMPONENTS), None, None, {})
    reasons |= {name: "in the model as a fixed effect" for name in drop}
    known, notes = _known(sample)
    dispersion = _dispersion(sample, known)
    if dispersion < 1:
        known = known * dispersion
        notes.append(
            f"scans of a site scatter less than their standard errors say: these are taken as "
            f"{math.sqrt(dispersion):.2f} of what they were"
        )
    data, names = _data(sample, x, known, reasons, more)
    fitted = reml.fit(data)
    components = _components(data, fitted, names, reasons, float(known.mean()), intervals)
    if bootstraps and rng is not None:
        components = _with_bootstrap(components, data, fitted, names, known, bootstraps, rng)
    return Decomposition(tuple(components), fitted, data, names, dispersion, tuple(notes))


def _known(sample: Sample) -> tuple[np.ndarray, list[str]]:
    known = np.nan_to_num(sample.se, nan=0.0, posinf=0.0) ** 2
    if 0 < (known == 0).sum() < len(known):
        count = int((known == 0).sum())
        known = np.where(known == 0, np.median(known[known > 0]), known)
        return known, [f"{count} values without a standard error got the median one"]
    return known, []


def _dispersion(sample: Sample, known: np.ndarray) -> float:
    """Scatter within sites over the known variances, where significantly below 1, else 1."""
    if not (known > 0).all():
        return 1.0
    total, df = 0.0, 0
    for name in sorted(set(sample.site)):  # a sum in one order: a set has another in each process
        own = np.array([one == name for one in sample.site])
        w, y = 1 / known[own], sample.value[own]
        total += float(w @ (y - w @ y / w.sum()) ** 2)
        df += int(own.sum()) - 1
    return total / df if df and chi2.cdf(total, df) < 0.005 else 1.0


def _data(sample, x, known, reasons, more=None) -> tuple[reml.Data, dict[str, str]]:
    """The mixed model, and which of its components carries which name."""
    factors, names = [], {}
    if more:
        factors.append((more[0], reml.levels(more[1])))
    for name, labels in (("vendor", sample.vendor), ("site", sample.site)):
        if name not in reasons:
            factors.append((name, reml.levels(labels)))
            names[name] = name
    # Participants are the residual unless somebody was measured twice.
    if "session" not in reasons:
        if "participant" not in reasons:
            factors.append(("participant", reml.levels(sample.person)))
            names["participant"] = "participant"
        names["session"] = reml.RESIDUAL
    elif "participant" not in reasons:
        names["participant"] = reml.RESIDUAL
    return reml.Data(sample.value, x, known, tuple(factors), True), names


def _components(data, fitted, names, reasons, measurement, intervals) -> list[Component]:
    total = float(fitted.variances.sum()) + measurement
    found = []
    for name in COMPONENTS:
        if name in reasons:
            found.append(Component(name, reason=reasons[name]))
        elif name == MEASUREMENT:
            found.append(
                Component(
                    name,
                    sd=math.sqrt(measurement),
                    share=measurement / total,
                    reason="mean of the scans' own sampling variances, no parameter of the model",
                )
            )
        elif name in names:
            inner = names[name]
            variance = float(fitted.variances[fitted.names.index(inner)])
            sd_ends = share_ends = (math.nan, math.nan)
            if intervals:
                sd_ends = reml.profile_variance(data, fitted, inner)
                share_ends = reml.profile_share(data, fitted, inner, measurement)
            note = ""
            if name == "participant" and inner == reml.RESIDUAL:
                note = "all that differs between scans of a site beyond measurement error"
                if MEASUREMENT in reasons:
                    note = "with session and measurement, which nothing separates here"
            found.append(
                Component(
                    name,
                    math.sqrt(variance),
                    *np.sqrt(sd_ends),
                    variance / total,
                    *share_ends,
                    reason=note,
                )
            )
    return found


def _with_bootstrap(components, data, fitted, names, known, count, rng) -> list[Component]:
    from dataclasses import replace

    variances, _ = reml.bootstrap(data, fitted, count, rng)
    total = variances.sum(axis=1) + known.mean()
    found = []
    for one in components:
        if one.name in names and not math.isnan(one.share):
            k = fitted.names.index(names[one.name])
            low, high = np.quantile(variances[:, k] / total, (0.025, 0.975))
            one = replace(one, boot_low=float(low), boot_high=float(high))
        found.append(one)
    return found


@dataclass(frozen=True)
class SiteMeans:
    """Mean of each site with its sampling variance (participants pooled over sites).

    Attributes
    ----------
    sites : tuple of str
    mean, variance : arrays (k,)
    n : int array (k,)
        Participants.
    df : float
        Degrees of freedom behind the pooled variance; infinite where only known errors were used.
    """

    sites: tuple[str, ...]
    mean: np.ndarray
    variance: np.ndarray
    n: np.ndarray
    df: float


def site_means(sample: Sample, parts: Decomposition) -> SiteMeans:
    """Means of sites from participants, weighted by participant and measurement variance."""
    known, _ = _known(sample)
    known = known * parts.dispersion
    person2, session2 = (parts.variance(name) for name in ("participant", "session"))
    sites = tuple(sorted(set(sample.site)))
    means, variances, counts = [], [], []
    for site in sites:
        inside = [j for j, one in enumerate(sample.site) if one == site]
        people: dict[str, list[int]] = defaultdict(list)
        for j in inside:
            people[sample.person[j]].append(j)
        values, spreads = [], []
        for index in people.values():
            each = known[index] + session2
            if not (each > 0).all():
                each = np.ones(len(index)) * (each[each > 0].mean() if (each > 0).any() else 0.0)
            weights = 1 / each if (each > 0).all() else np.ones(len(index))
            values.append(float(weights @ sample.value[index] / weights.sum()))
            spreads.append(person2 + (1 / weights.sum() if (each > 0).all() else 0.0))
        # Where nothing says how sure a scan is, sites weigh by their participants alone.
        spread = np.maximum(spreads, 1e-6 * float(np.var(sample.value)) + 1e-300)
        weights = 1 / spread
        means.append(float(weights @ values / weights.sum()))
        variances.append(float(1 / weights.sum()))
        counts.append(len(people))
    df = float(sum(counts) - len(sites))
    pooled = df > 0 and math.isfinite(parts.get("participant").sd)
    return SiteMeans(
        sites,
        np.array(means),
        np.array(variances),
        np.array(counts),
        df if pooled else math.inf,
    )
