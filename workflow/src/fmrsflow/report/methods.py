"""A methods paragraph with its citations, written from the records of what ran."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fmrsflow.report.markdown import escaped, one_line
from fmrsflow.report.references import bibtex, cite
from fmrsflow.study import Site
from fmrsflow.words import count


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
        "convert": ("n_coils",),
        "preprocess": ("parameters", "snr_definition"),
        "anatomy": ("method",),
        "quantify": ("water", "constants", "tissue"),
    }
    names = (*kept.get(stage, ()), *(("settings",) if first else ()))
    return {name: record[name] for name in names if name in record}


def methods(
    sites: Sequence[Site],
    n_scans: int,
    records: Mapping[str, Sequence[Mapping]],
    software: Mapping,
    limits: Mapping[str, float],
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
    """
    ref = _Writer()
    paragraphs = [
        _data(ref, sites, n_scans, software),
        _preprocessing(ref, records.get("convert", ()), records.get("preprocess", ()), limits),
        _anatomy(ref, records.get("anatomy", ())),
        _basis(records.get("basis", ())),
        _quantification(ref, records.get("fit", ()), records.get("quantify", ())),
        _statistics(ref, records.get("response", ())),
    ]
    keys = tuple(dict.fromkeys(ref.keys))
    return Methods(tuple(text for text in paragraphs if text), keys)


def _data(ref: _Writer, sites, n_scans: int, software: Mapping) -> str:
    fields = Counter(f"{site.vendor} {site.field_t:g} T" for site in sites)
    protocols = sorted({_protocol(site) for site in sites})
    name = f"fmrsflow {software.get('Version', '')}".strip()
    return (
        f"{count(n_scans, 'scan')} from {count(len(sites), 'site')} ("
        + ", ".join(f"{count} × {kind}" for kind, count in sorted(fields.items()))
        + f") were analysed; single-voxel ¹H spectra were acquired with {'; '.join(protocols)}. "
        f"Data were converted to NIfTI-MRS {ref('Clarke2022')} and processed with {name}, "
        f"a Snakemake workflow {ref('Molder2021')}. The reporting checklist MRSinMRS "
        f"{ref('Lin2021')} of each site is part of the report."
    )


def _protocol(site: Site) -> str:
    return f"{site.sequence} (TE {site.te_s * 1e3:g} ms, TR {site.tr_s * 1e3:g} ms)"


def _preprocessing(ref: _Writer, converted, records, limits) -> str:
    if not records:
        return ""
    setting = _setting(records, "preprocess")
    steps = []
    coils = sum((record.get("n_coils") or 1) > 1 for record in converted)
    if coils:
        share = "" if coils == len(converted) else f" (in {coils} of {len(converted)} scans)"
        steps.append(
            f"coils were combined with noise-whitened SVD weights{share} {ref('Rodgers2010')}"
        )
    filled = sum(
        r.get("parameters", {}).get("zero_filling", {}).get("points_cut", 0) > 0 for r in records
    )
    if filled:
        share = "" if filled == len(records) else f" (in {filled} of {len(records)} scans)"
        steps.append(f"zeros that the export had appended to the FIDs were cut off{share}")
    eddy = sum(r.get("parameters", {}).get("eddy", {}).get("applied", False) for r in records)
    if eddy:
        share = "" if eddy == len(records) else f" (in {eddy} of {len(records)} scans)"
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
            ", or where a ratio or concentration was outside what a brain gives."
            if limits.get("implausible") == "exclude"
            else "."
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
    text += ". Errors are Cramér-Rao bounds of the full model."
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


def _statistics(ref: _Writer, records) -> str:
    if not records:
        return ""
    setting = _setting(records, "response")
    rest = setting.get("rest", "rest")
    return (
        f"The response is the percent change of each condition against “{rest}”, with the line "
        "widths of the conditions matched, and without as a control; tNAA and tCr are negative "
        "controls. Site means were combined by a random-effects model with REML "
        f"{ref('Viechtbauer2005')} and Hartung-Knapp intervals {ref('IntHout2014')}; "
        f"{count(len(records), 'scan or session', 'scans or sessions')} gave a response."
    )


def _setting(records, stage: str) -> Mapping:
    return records[0].get("settings", {}).get(stage, {})
