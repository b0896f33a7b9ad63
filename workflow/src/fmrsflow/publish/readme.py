"""README.md of a published dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fmrsflow.report.markdown import escaped
from fmrsflow.report.mrsinmrs import checklist, to_markdown
from fmrsflow.study import Site

RAW = ("Hardware", "Acquisition")
"""Sections of MRSinMRS that raw data have."""


@dataclass
class Described:
    """What the scans of a site say of how they were measured.

    Attributes
    ----------
    records, sidecars : list of dict
        Of the conversion of each scan, and its header with its sidecar.
    regions : set of str
    """

    records: list[dict]
    sidecars: list[dict]
    regions: set[str]


ABOUT = """
Functional MR spectroscopy: single transients before any correction, coils apart where the scanner
kept them apart, water references, events, T1-weighted images.

- Spectra are NIfTI-MRS. Of the vendors' headers only fields that describe the measurement were
  kept: no date, name, comment or name of a file.
- T1-weighted images are zero in front of, below and beside the brain: forehead, eyes, nose, mouth
  and ears are gone. All within 6 mm of grey and white matter is there. Images that were
  skull-stripped before are as they were.
- events.tsv has onset, duration (both in s, from the first excitation) and trial_type.
- Ages are completed years, 89 for more, or spans.
- `code/config` has configuration and sheets: `cp -r code STUDY`, let `data_root` in
  `STUDY/config/config.yaml` be this folder, then `fmrsflow run STUDY`.
- `sha256sum -c SHA256SUMS` says whether all files are whole.
"""


def readme(
    name: str,
    sites: Mapping[str, Site],
    described: Mapping[str, Described],
    left_out: Mapping[str, str],
) -> str:
    """The text: what the files are, how they were measured, what is not given.

    Parameters
    ----------
    described : mapping
        By site.
    left_out : mapping
        What is not given -> why.
    """
    parts = [f"# {escaped(name)}\n", ABOUT]
    for site, own in described.items():
        items = checklist(
            sites[site], own.records, own.sidecars, (), (), (), {}, _NO_LIMITS, (), own.regions
        )
        table = to_markdown(site, [item for item in items if item.section in RAW])
        parts.append(f"\n#{table}")
    if left_out:
        parts += ["\n## Not given\n", "| what | why |", "|---|---|"]
        parts += [f"| {one} | {escaped(why)} |" for one, why in left_out.items()]
    return "\n".join(parts).rstrip() + "\n"


_NO_LIMITS = {"max_fwhm_tcr_ppm": 0.0, "min_snr_tcr": 0.0}
"""Of the section that is left out."""
