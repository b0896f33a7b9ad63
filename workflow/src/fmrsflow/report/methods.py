"""A methods paragraph with its citations, written from the records of what ran."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fmrsflow.bold.concordance import LEAST_PERSONS
from fmrsflow.question import Question
from fmrsflow.report.markdown import escaped, one_line
from fmrsflow.report.references import bibtex, cite
from fmrsflow.sites.answer import CROSSED, HARTUNG_KNAPP, ONE_SITE
from fmrsflow.sites.many_tests import CHANGE, CONTROL, MAIN, TESTED
from fmrsflow.sites.multiverse import ALL
from fmrsflow.study import Site
from fmrsflow.words import count


@dataclass(frozen=True)
class Answered:
    """What the group stages found, as far as the methods tell of it; empty where they did not run.

    Attributes
    ----------
    asked : Question or None
        What the main answer is on.
    meta : mapping
        Its row of meta.tsv.
    tests : rows of tests.tsv
    people : rows of covariates.tsv
    components : sequence of str
        Components of variance that have an estimate.
    n_excluded : int or None
        Scans that limits of quality excluded.
    bold : records of the bold stage that can be used
    accord : rows of concordance_test.tsv
    joint : rows of joint_test.tsv
    n_deviations : int or None
        From the preregistration; None where there was none.
    """

    asked: Question | None = None
    meta: Mapping = field(default_factory=dict)
    tests: Sequence[Mapping] = ()
    people: Sequence[Mapping] = ()
    components: Sequence[str] = ()
    n_excluded: int | None = None
    bold: Sequence[Mapping] = ()
    accord: Sequence[Mapping] = ()
    joint: Sequence[Mapping] = ()
    n_deviations: int | None = None


@dataclass(frozen=True)
class Methods:
    """What was written, its citations marked, and the works that it cites.

    Attributes
    ----------
    written : tuple of str
        Paragraphs as `_Writer` marks them.
    keys : tuple of str
    """

    written: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def bibtex(self) -> str:
        """BibTeX of the cited works."""
        return bibtex(self.keys)

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Plain text, citations as (First 1990; Second 2015)."""

        def shown(keys: list[str]) -> str:
            """Authors and years of works."""
            return "(" + "; ".join(cite(key) for key in keys) + ")"

        return self._rendered(one_line, shown)

    @property
    def markdown(self) -> str:
        """Markdown with citations as Pandoc reads them, [@First1990; @Second2015]. Everything else
        is plain text: what a site's sheet or record says cannot become markup."""

        def shown(keys: list[str]) -> str:
            """Keys of works."""
            return "[" + "; ".join(f"@{key}" for key in keys) + "]"

        return "\n\n".join(self._rendered(escaped, shown)) + "\n"

    def _rendered(
        self, plain: Callable[[str], str], shown: Callable[[list[str]], str]
    ) -> tuple[str, ...]:
        """The paragraphs, their text by `plain`, their citations by `shown`."""
        # A text of a record that holds the signs of a citation loses them, or cites a work that is
        # in the list.
        key = "|".join(self.keys) or "(?!)"
        citation = re.compile(rf"\x02((?:{key})(?:;(?:{key}))*)\x03")
        found = []
        for text in self.written:
            parts = citation.split(text)  # text and keys take turns
            parts[::2] = [plain(one) for one in parts[::2]]
            parts[1::2] = [shown(one.split(";")) for one in parts[1::2]]
            found.append("".join(parts))
        return tuple(found)


class _Writer:
    """Marks citations in a paragraph and keeps their keys."""

    def __init__(self):
        self.keys: list[str] = []

    def __call__(self, *keys: str) -> str:
        self.keys += keys
        return f"\x02{';'.join(keys)}\x03"


def asked_for(stage: str, record: Mapping, first: bool) -> dict:
    """What `methods` asks for of a record; of the settings only those of the `first`, since an
    analysis has the same for all."""
    kept = {
        "convert": ("n_coils", "n_transients"),
        "fit": ("n_models",),
        "response": ("rest", "scans", "joint"),
        "preprocess": ("parameters", "snr_definition"),
        "anatomy": ("method",),
        "quantify": ("water", "constants", "tissue"),
    }
    names = (*kept.get(stage, ()), *(("settings",) if first else ()))
    found = {name: record[name] for name in names if name in record}
    if "joint" in found:  # that there is one is enough
        found["joint"] = {"status": found["joint"].get("status")}
    if "n_models" in found:
        found["n_models"] = max((found["n_models"] or {}).values(), default=1)
    return found


def methods(
    sites: Sequence[Site],
    n_scans: int,
    records: Mapping[str, Sequence[Mapping]],
    software: Mapping,
    limits: Mapping[str, float],
    answered: Answered = Answered(),
) -> Methods:
    """Write the methods of an analysis.

    Parameters
    ----------
    sites : sequence of Site
    n_scans : int
        Scans in the sheet.
    records : dict
        Stage -> of the records of the scans (basis: sites) that passed it what is `asked_for`; what
        no record holds is not claimed.
    software : dict
        `GeneratedBy` entry of the workflow.
    limits : dict
        Exclusion limits.
    answered : Answered
    """
    ref = _Writer()
    paragraphs = [
        _data(ref, sites, n_scans, records, software),
        _preprocessing(
            ref,
            records.get("convert", ()),
            records.get("preprocess", ()),
            limits,
            answered.n_excluded,
        ),
        _anatomy(ref, records.get("anatomy", ())),
        _basis(records.get("basis", ())),
        _quantification(ref, records.get("fit", ()), records.get("quantify", ())),
        _response(records.get("response", ()), answered),
        _statistics(ref, answered),
        _bold(answered),
    ]
    keys = tuple(dict.fromkeys(ref.keys))
    return Methods(tuple(text for text in paragraphs if text), keys)


def _data(ref: _Writer, sites, n_scans: int, records: Mapping, software: Mapping) -> str:
    fields = Counter(f"{site.vendor} {site.field_t:g} T" for site in sites)
    protocols = sorted({_protocol(site) for site in sites})
    name = f"fmrsflow {software.get('Version', '')}".strip()
    text = (
        f"{count(n_scans, 'scan')} from {count(len(sites), 'site')} ("
        + ", ".join(f"{number} × {kind}" for kind, number in sorted(fields.items()))
        + ") entered; single-voxel ¹H spectra were acquired with "
        f"{'; '.join(protocols)}. "
    )
    if converted := len(records.get("convert", ())):
        share = _share(converted, n_scans)
        text += f"Data{share} were converted to NIfTI-MRS {ref('Clarke2022')} and processed"
    else:
        text += "None could be converted; processing was to be"
    text += f" with {name}, a Snakemake workflow {ref('Molder2021')}. "
    if converted and "quantify" in records:
        text += f"{len(records['quantify'])} of the scans could be quantified. "
    return text + (
        f"The reporting checklist MRSinMRS {ref('Lin2021')} of each site is part of the report."
    )


def _share(some: int, all_of: int) -> str:
    """Of how many scans something is said; nothing where it is all of them."""
    return "" if some == all_of else f" (in {some} of {all_of} scans)"


def _protocol(site: Site) -> str:
    return f"{site.sequence} (TE {site.te_s * 1e3:g} ms, TR {site.tr_s * 1e3:g} ms)"


def _preprocessing(ref: _Writer, converted, records, limits, excluded: int | None) -> str:
    if not records:
        return ""
    setting = dict(_setting(records, "preprocess"))
    # A scan of one transient, as a sum that the scanner made, has nothing to align or average.
    several = [record.get("n_transients") for record in converted]
    if several and all(number == 1 for number in several):
        for name in ("align", "outlier_z", "average", "lag_s"):
            setting.pop(name, None)
    steps = []
    coils = sum((record.get("n_coils") or 1) > 1 for record in converted)
    if coils:
        share = _share(coils, len(converted))
        steps.append(
            f"coils were combined with noise-whitened SVD weights{share} {ref('Rodgers2010')}"
        )
    filled = sum(
        r.get("parameters", {}).get("zero_filling", {}).get("points_cut", 0) > 0 for r in records
    )
    if filled:
        share = _share(filled, len(records))
        steps.append(f"zeros that the export had appended to the FIDs were cut off{share}")
    eddy = sum(r.get("parameters", {}).get("eddy", {}).get("applied", False) for r in records)
    if eddy:
        share = _share(eddy, len(records))
        steps.append(
            f"eddy currents were corrected with the phase of the water reference{share} "
            f"{ref('Klose1990')}"
        )
    if setting.get("align") == "robust":
        steps.append(
            "transients were aligned in frequency and phase by robust spectral registration "
            f"{ref('Near2015', 'Mikkelsen2020')}"
        )
    elif setting.get("align") == "restricted":
        window = f"{setting['align_low_ppm']:g}–{setting['align_high_ppm']:g} ppm"
        steps.append(
            f"transients were aligned by spectral registration restricted to {window} "
            f"{ref('Near2015')}"
        )
    if "outlier_z" in setting:
        steps.append(
            "transients whose distance to the median spectrum had a robust z-score above "
            f"{setting['outlier_z']:g} were removed, at most "
            f"{100 * setting['max_removed_share']:g} % of a condition {ref('Near2021')}"
        )
    if setting.get("water") == "hlsvd":
        window = f"{setting['water_low_ppm']:g}–{setting['water_high_ppm']:g} ppm"
        steps.append(
            f"residual water ({window}) was subtracted by HLSVD "
            f"{ref('Barkhuijsen1987', 'Laudadio2002')}"
        )
    if setting.get("average") == "distance":
        steps.append(
            "transients were averaged per condition with weights of inverse squared median "
            f"distance {ref('Mikkelsen2020')}"
        )
    elif setting.get("average") == "equal":
        steps.append("transients were averaged per condition with equal weights")
    if setting.get("lag_s"):
        steps.append(f"transients in the first {setting['lag_s']:g} s of each block were left out")
    return (
        "Preprocessing, in this order: "
        + ("; ".join(steps) or "none")
        + ". Scans were excluded from group statistics where the tCr line was wider than "
        f"{limits['max_fwhm_tcr_ppm']:g} ppm or the tCr SNR lower than {limits['min_snr_tcr']:g} "
        f"(definition: {records[0].get('snr_definition', 'not given')})"
        + (
            ", or where a ratio or concentration was outside what a brain gives"
            if limits.get("implausible") == "exclude"
            else ""
        )
        + (
            "."
            if excluded is None
            else f"; {excluded or 'none'} {'was' if excluded == 1 else 'were'}."
        )
    )


def _anatomy(ref: _Writer, records) -> str:
    kinds = Counter(record.get("method") for record in records)
    words = {
        "builtin": "the built-in segmentation (N4 bias correction "
        + (ref("Tustison2010") if kinds["builtin"] else "")
        + " and a three-class model)",
        "fmriprep": "fMRIPrep's tissue maps",
        "fast": "FSL FAST's partial-volume maps",
        "spm": "SPM's tissue maps",
    }
    sources = [f"{words.get(kind, kind)} ({count(n, 'scan')})" for kind, n in kinds.most_common()]
    return f"Tissue fractions of the voxel came from {' and '.join(sources)}." if sources else ""


def _basis(records) -> str:
    """How bases were simulated, and what was assumed of which sites."""
    simulated = [made for one in records if (made := one.get("made") or {}).get("sequence")]
    simulated = [made for made in simulated if made.get("source") == "simulate"]
    if not simulated:
        return ""
    kinds = sorted({f"{made['sequence']} with {made['pulses']} pulses" for made in simulated})
    text = f"Basis sets were simulated from density matrices: {', '.join(kinds)}."
    sites: dict[str, list[str]] = {}
    for made in simulated:
        for words in made.get("assumed", {}).values():
            sites.setdefault(words, []).append(made["site"])
    if sites:
        parts = [f"{words} ({', '.join(names)})" for words, names in sites.items()]
        text += f" Assumed, since the sites do not state it: {'; '.join(parts)}."
    return text


def _quantification(ref: _Writer, fitted, quantified) -> str:
    if not fitted:
        return ""
    setting, basis = _setting(fitted, "fit"), _setting(fitted, "basis")
    engine = setting.get("engine", "fmrsflow")
    low, high = (setting.get(f"range_{edge}_ppm") for edge in ("low", "high"))
    text = "Spectra were fitted by linear combination of a basis set"
    text += f" (basis setting “{basis.get('name', '')}”)"
    text += f" between {low:g} and {high:g} ppm" if low is not None and high is not None else ""
    if engine == "fmrsflow":
        text += f", by variable projection {ref('Golub1973')}"
    elif engine == "fsl_mrs":
        text += f", with FSL-MRS {ref('Clarke2021')}"
    else:
        text += f", with {engine}"
    if setting.get("baseline"):
        text += f", with a {setting['baseline']} baseline"
    if engine != "fmrsflow":
        text += ". Errors are those that this program states."
    else:
        text += ". Errors are Cramér-Rao bounds of the full model"
        most = max((record.get("n_models") or 1 for record in fitted), default=1)
        text += (
            f", and the spread over {most} models of baseline and macromolecules, whose mean the "
            "amplitudes are."
            if most > 1
            else "."
        )
    scaled = [record for record in quantified if record.get("water")]
    constants = sorted({r["constants"] for r in scaled if r.get("constants")})
    if constants:
        text += (
            " Concentrations are molal, relative to tissue water, corrected for tissue fractions "
            f"and relaxation {ref('Gasparovic2006')} with the constants {', '.join(constants)}"
        )
        source = next(
            (
                key
                for name, key in (
                    ("osprey", "Oeltzschner2020"),
                    ("fsl-mrs", "Clarke2021"),
                    ("spant", "Wilson2021"),
                )
                if any(name in one for one in constants)
            ),
            None,
        )
        text += f" {ref(source)}." if source else "."
        assumed = sum((r.get("tissue") or {}).get("origin") == "assumed" for r in quantified)
        text += f" Tissue fractions were assumed in {count(assumed, 'scan')}." if assumed else ""
    return text


ESTIMATED = {
    "blocks": "from the means of the conditions",
    "joint": "from one model of all transients",
    "timecourse": "from the time course over blocks, with a drift",
}
"""How an estimator comes to a change, in words."""


def _response(records, answered: Answered) -> str:
    """How the response was defined and estimated, of units of one scan and of several."""
    # Each scan of a unit has the record of its unit.
    units = {tuple(one.get("scans") or (number,)): one for number, one in enumerate(records)}
    if not units:
        return ""
    rests = sorted({one.get("rest") or _setting(records, "response").get("rest", "rest")
                    for one in units.values()})  # fmt: skip
    named = " or ".join(f"“{rest}”" for rest in rests)
    text = f"The response is the percent change of each condition against {named}"
    text += f"; {count(len(units), 'response')} could be computed."
    asked = answered.asked
    if asked is None:
        return text
    text += f" The main answer is on {asked.metabolite} ({asked.quantity.replace('_', ' ')})"
    text += f", {ESTIMATED[asked.estimator]}." if asked.estimator in ESTIMATED else "."
    alone = sum(len(keys) == 1 for keys in units)
    several = {keys: one for keys, one in units.items() if len(keys) > 1}
    if alone:
        whose = f" of {count(alone, 'response')} within a scan" if several else ""
        text += (
            f" The line widths of the conditions{whose} were free to differ, so that BOLD "
            "narrowing does not pass for a change."
            if asked.matched
            else f" The line widths of the conditions{whose} were taken as one: BOLD narrowing may "
            "pass for a change."
        )
    if several:
        together = sum("joint" in one for one in several.values())
        if together and asked.estimator == "joint":
            text += (
                f" Where rest and task were scans of their own ({together} of "
                f"{count(len(units), 'response')}), both were fitted in one model, each with its "
                "own phase, frequency, line width and baseline."
            )
        else:
            text += (
                f" Where rest and task were scans of their own ({len(several)} of "
                f"{count(len(units), 'response')}), they were fitted apart; their line widths were "
                "not matched."
            )
    if asked.arms:
        text += (
            f" It is the difference of the change under {asked.arms[0]} and under {asked.arms[1]} "
            "in the same person."
        )
    if asked.regions:
        text += (
            f" It is the difference of the change in {asked.regions[0]} and in "
            f"{asked.regions[1]} in the same person."
        )
    elif asked.region:
        text += f" Regions are answered by themselves; the main one is {asked.region}."
    return text


def _statistics(ref: _Writer, answered: Answered) -> str:
    """How the answer over people and sites was taken, and what was tested."""
    text, method = [], answered.meta.get("method") or ""
    if method == HARTUNG_KNAPP:
        text.append(
            "Site means were combined by a random-effects model with REML "
            f"{ref('Viechtbauer2005')} and Hartung-Knapp intervals {ref('IntHout2014')}."
        )
    elif method == CROSSED:
        text.append(
            "Since people travelled, the mean over sites comes from a mixed model with people "
            f"crossed with sites (REML), errors and degrees of freedom by {ref('Kenward1997')}."
        )
    elif method == ONE_SITE:
        text.append(
            "There is one site: the answer is the mean over its participants with a t interval, "
            "which says nothing of other sites."
        )
    elif method:
        text.append("No interval can be given: there is no scatter to take it from.")
    if answered.components:
        text.append(
            f"Variance was decomposed by REML into {', '.join(answered.components)}, with "
            "profile-likelihood intervals."
        )
    text += _of_people(ref, answered.people)
    changes = [row for row in answered.tests if row["what"] == CHANGE]
    family = [row for row in changes if row["role"] in (MAIN, TESTED)]
    controls = sorted({row["metabolite"] for row in changes if row["role"] == CONTROL})
    if controls:
        text.append(f"{' and '.join(controls)} are negative controls.")
    if len(family) > 1:
        text.append(
            f"p-values of the {len(family)} changes tested were adjusted by Holm's procedure; all "
            "other answers are described by intervals without a test."
        )
    flipped = [row for row in answered.joint if row["n_flips"] and row["people"] == ALL]
    if flipped and flipped[0]["n_analyses"] > 1:
        units = " and, apart from that, of ".join(row["flipped"] for row in flipped)
        text.append(
            f"The main answers of {flipped[0]['n_analyses']} analyses were tested together "
            f"{ref('Simonsohn2020')} by flips of the signs of {units}, the same in all analyses."
        )
    if answered.n_deviations is not None:
        found = answered.n_deviations or "none"
        text.append(f"The run was checked against a preregistration; deviations from it: {found}.")
    return " ".join(text)


def _of_people(ref: _Writer, rows: Sequence[Mapping]) -> list[str]:
    """What covariates and groups were asked for, of those that have an answer."""
    done = [row for row in rows if math.isfinite(row["estimate"])]
    single = list(dict.fromkeys(row["column"] for row in done if ":" not in row["column"]))
    pairs = dict.fromkeys(row["column"] for row in done if ":" in row["column"])
    if not done:
        return []
    random = [
        name
        for name, column in (("vendor", "vendor_sd"), ("site", "site_sd"), ("person", "person_sd"))
        if any(math.isfinite(row[column]) for row in done)
    ]
    text = (
        f"What changes differ by with {', '.join(single)} was estimated in one mixed model of all "
        f"changes with their known errors, {', '.join(random) or 'nothing'} at random (REML), "
        f"errors and degrees of freedom by {ref('Kenward1997')}"
    )
    if pairs:
        told = ", ".join(pair.replace(":", " x ") for pair in pairs)
        text += f"; interactions ({told}) each in a model of its own"
    lost = max(row["n_left_out"] or 0 for row in done)
    return [
        text + (f"; {count(lost, 'change')} without a covariate took no part." if lost else ".")
    ]


def _bold(answered: Answered) -> str:
    """What was done with BOLD runs, and what BOLD was compared with."""
    text = []
    if answered.bold:
        runs = sum(one.get("n_runs") or 1 for one in answered.bold)
        noise = (
            "autoregressive"
            if _setting(answered.bold, "bold").get("noise_model") == "ar1"
            else "independent"
        )
        text.append(
            f"{count(runs, 'BOLD run')} of {count(len(answered.bold), 'scan')} were analysed "
            "within the MRS voxel: the response by a finite impulse response model with "
            f"{noise} noise, summed up as the area under it."
        )
        if any((one.get("n_runs") or 1) > 1 for one in answered.bold):
            text.append("Runs of a scan were combined as fixed effects.")
        if any(one.get("connectivity") for one in answered.bold):
            text.append(
                "Connectivity of the voxel during the task was estimated by a generalised "
                "psychophysiological interaction."
            )
    for row in answered.accord:
        what = {"area": "the BOLD area", "linewidth": "the narrowing of the tCr line"}
        named = what.get(row["measure"], row["measure"])
        if row["n_exchanged"] >= LEAST_PERSONS:
            text.append(
                f"Over {row['n_exchanged']} persons, {named} was correlated with the change within "
                "sites and places and tested by exchanging persons."
            )
        else:
            text.append(
                f"{named[0].upper()}{named[1:]} and the change were compared by their signs alone, "
                "without a test."
            )
    return " ".join(text)


def _setting(records, stage: str) -> Mapping:
    return records[0].get("settings", {}).get(stage, {})
