"""Figures of the conformance kit: inputs with known truth, mutated headers, measured files.

`python benchmarks/run.py inputs` prints each case and what it came to before the figures, and all
distinct words of refusals, to be read one by one.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figure import Figure, skipped

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("inputs", "faults", "chain", "")]

MUTATIONS = 400
SEED = 20_261_130
QUICK = 24
"""Every so many of the cases, and as many mutations less."""


def figures(quick: bool) -> Iterator[Figure]:
    """The kit, the mutations, the words, and the measured files."""
    from cases import CASES, mutated_cases
    from kit import LEAK, LOST, REFUSED, SILENT, TRACEBACK, Kit, table
    from words import helpful

    every = QUICK if quick else 1
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit.make(Path(folder))
        cases = list(kit.run(CASES[::every]))
        print(table(cases), flush=True)
        changed = list(kit.run(mutated_cases(MUTATIONS // every, SEED)))
        print(table(changed), flush=True)
    least = 300 // every
    yield Figure("conformance kit, cases", len(cases), f">= {least}", len(cases) >= least)
    for name, kind in (
        ("silent wrong", SILENT),
        ("tracebacks", TRACEBACK),
        ("good files refused", LOST),
    ):
        found = [one.case for one in cases if one.kind == kind]
        yield Figure(f"kit, {name}", len(found), "0", not found, "; ".join(found))
    name = f"{len(changed)} mutated headers of every format"
    for what, kind in (("silent wrong", SILENT), ("tracebacks", TRACEBACK)):
        found = [one.case for one in changed if one.kind == kind]
        yield Figure(f"{name}, {what}", len(found), "0", not found, "; ".join(found))
    both = cases + changed
    told = sorted({_without_numbers(one.words[0]) for one in both if one.kind == REFUSED})
    print("\nRefusals, each in its words:\n" + "\n".join(f"- {one}" for one in told), flush=True)
    silent = [one for one in told if not helpful(one)]
    yield Figure(
        f"{len(told)} refusals that lack file or row, cause, or what to do",
        len(silent),
        "0",
        not silent,
        "; ".join(silent),
    )
    leaks = [f"{one.case}: {one.words[0]}" for one in both if one.kind == LEAK]
    yield Figure("personal details in outputs", len(leaks), "0", not leaks, "; ".join(leaks))
    yield from _measured()


def _without_numbers(words: str) -> str:
    return re.sub(r"(?<![\w-])\d+(\.\d+)?(e[-+]?\d+)?(?![\w-])", "#", words)


SDAT, MM = "philips-press-3t/sub-01_ses-01_PRESS", "macromolecules"
CHALLENGE = "fitting-challenge"
PHILIPS = {"vendor": "Philips"}
TE35 = {"vendor": "Philips", "te_s": 0.035}

MEASURED = (
    (f"{SDAT}_raw-act_noID.SDAT", f"{SDAT}_raw-ref_noID.SDAT", PHILIPS, ""),
    ("hostile/press35_sub02_act.sdat", "hostile/press35_sub02_ref.sdat", TE35, ""),
    ("philips-press-3t/sub-01_PRESS_35_act.sdat", "", TE35, ""),
    ("siemens-press-3t/SVS_30.IMA", "", {}, ""),
    ("siemens-press-3t/SVS_30.rda", "", {}, ""),
    ("hostile/dicom_mac", "", {}, ""),
    ("hostile/xa60_blank_weight.dcm", "", {}, ""),
    (
        "hostile/philips_mrs_storage_1.5T_press_te32.dcm",
        "",
        {"vendor": "Philips", "field_t": 1.5, "te_s": 0.0319},
        "",
    ),
    (
        "drift-series/philips_spar_sdat_WS.SDAT",
        "drift-series/philips_spar_sdat_W.SDAT",
        PHILIPS,
        "",
    ),
    ("hostile/jmrui_latin1_name.txt", f"{CHALLENGE}/jmrui/dataset1_nWS.txt", {}, ""),
    *(
        (f"{CHALLENGE}/{folder}/dataset{n}{scan}", f"{CHALLENGE}/{folder}/dataset{n}{ref}", {}, "")
        for folder, scan, ref in (
            ("jmrui", "_WS.txt", "_nWS.txt"),
            ("lcmodel", ".RAW", ".H2O"),
        )
        for n in range(1, 7)
    ),
    (
        "phantoms/ge_P1751_svs.nii.gz",
        "phantoms/ge_P1751_ref.nii.gz",
        {"vendor": "GE", "field_t": 1.5},
        "",
    ),
    ("phantoms/siemens_example.rda", "", {"field_t": 1.5, "tr_s": 1.5}, ""),
    (
        "real-nulls/steam-7t/nmt_metab_raw.nii.gz",
        "real-nulls/steam-7t/nmt_quant_raw.nii.gz",
        {"field_t": 7.0, "sequence": "STEAM", "te_s": 0.011, "tr_s": 5.0},
        "",
    ),
    *(
        (f"real-fit/specvis/{vendor}_S{n:02d}.nii.gz", "", {"vendor": vendor, "te_s": 0.035}, "")
        for vendor in ("GE", "Philips", "Siemens")
        for n in (1, 3, 5)
    ),
    ("hostile/csi.sdat", "", PHILIPS, "multi-voxel"),
    ("hostile/mega_editpulse_in_header.nii.gz", "", PHILIPS, "not supported"),
    ("drift-series/spant_mpress_drift.nii.gz", "", PHILIPS, "not supported"),
    (
        "phantoms/ge_P1751_1.5T_030_2000_redacted.7",
        "",
        {"vendor": "GE", "field_t": 1.5},
        "revision",
    ),
    ("hostile/press35_sub02_ref.sdat", "hostile/press35_sub02_act.sdat", TE35, "swapped"),
    ("hostile/press35_sub02_act.sdat", "hostile/press35_sub02_act.sdat", TE35, "its own ref"),
    ("bold-localiser/sub-02_task-oneback_desc-cropDown_bold.nii.gz", "", PHILIPS, "not complex"),
    ("philips-press-3t/sub-01_ses-01_T1w_brain.nii.gz", "", PHILIPS, "not complex"),
)
"""Scan, reference, what the site's row says, and a word of the refusal ("" where it is read)."""


def _measured() -> Iterator[Figure]:
    """Every kind of measured file: read, or refused for its reason."""
    from convert_tools import converted
    from fmrsflow.study import Site

    data = ROOT.parent / "shared" / "data"
    name = "measured files, neither read nor refused rightly"
    if not data.is_dir():
        yield skipped(name, "0", "../shared/data is not on this machine")
        return
    row = {"vendor": "Siemens", "field_t": 3.0, "sequence": "PRESS", "te_s": 0.03, "tr_s": 2.0}
    row |= {"protocol": "own", "spectral_width_hz": 4000.0}
    wrong, tried, absent = [], 0, []
    for mrs, ref, given, words in MEASURED:
        if not (data / mrs).exists() or not (data / (ref or mrs)).exists():
            absent.append(mrs)
            continue
        tried += 1
        with tempfile.TemporaryDirectory() as folder:
            record, _ = converted(Site("north", **row | given), data, Path(folder), mrs, ref)
        reason = record["reason"] or ""
        print(f"{mrs}: {record['status']} {reason}", flush=True)
        if (record["status"] == "failed") != bool(words) or words not in reason:
            wrong.append(f"{mrs}: {record['status']} {reason}")
    if absent:
        yield skipped("measured files that are absent", "read", ", ".join(absent))
    yield Figure(name, len(wrong), f"0 of {tried}", not wrong, "; ".join(wrong))
