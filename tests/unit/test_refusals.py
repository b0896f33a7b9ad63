"""Each refusal names the file or row, the cause, and what to do."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from words import helpful, to_do

import fmrsflow
from convert_tools import converted
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.identity import participant_problems, scan_problems
from fmrsflow.study import Scan, Site

PACKAGE = Path(fmrsflow.__file__).parent
ROOMS = (
    *("convert", "preprocess", "anatomy"),
    *("fids.py", "images.py", "water_amplitude.py", "water_reference.py", "concentration.py"),
    *("stages/convert.py", "stages/preprocess.py", "stages/anatomy.py"),
)
"""What reads what a site hands in."""

NEVER = ("no transient left to average",)
"""A fault of the program and of no file: transients are counted before."""

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own", spectral_width_hz=2000.0)


def constant(module, node: ast.AST) -> str:
    """Text of a raise without its values; names in capitals stand for their text."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(constant(module, part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return constant(module, node.value)
    if isinstance(node, ast.Name) and node.id.strip("_").isupper():
        return str(getattr(module, node.id))
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
        return constant(module, node.func.value)
    return " # "


def refusals() -> list[tuple[str, str]]:
    """Place in the code and text of each DataError that is written there as a whole."""
    found = []
    for room in ROOMS:
        path = PACKAGE / room
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            name = ".".join(("fmrsflow", *file.relative_to(PACKAGE).with_suffix("").parts))
            module = importlib.import_module(name.removesuffix(".__init__"))
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "DataError":
                    continue
                if isinstance(node.args[0], ast.Constant | ast.JoinedStr):
                    found.append((f"{name}:{node.lineno}", constant(module, node.args[0])))
    return found


def test_every_refusal_in_the_code_says_what_to_do():
    every = refusals()
    # A prefix before the words of another error has none of its own.
    own = [(place, text) for place, text in every if text.replace(" # ", "").strip(":() ")]
    own = [(place, text) for place, text in own if text not in NEVER and "(ref of" not in text]
    assert len(own) > 80
    assert [one for one in own if not to_do(one[1])] == []


def scan() -> Fids:
    time = np.arange(512) * 5e-4
    rng = np.random.default_rng(1)
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * time) for ppm in (2.01, 3.03, 3.22))
    data = 100 * lines * np.exp(-15 * time) + rng.normal(size=(4, 1, 512))
    return Fids(data, 5e-4, 123.2, 0.03, 2.0, np.diag([20.0, 20.0, 20.0, 1.0]))


CAUSES = {
    "nucleus": {"ResonantNucleus": ["31P"]},
    "no nucleus": {"ResonantNucleus": []},
    "nucleus a number": {"ResonantNucleus": [1]},
    "frequency": {"SpectrometerFrequency": [0]},
    "field": {"SpectrometerFrequency": [297.2]},
    "width": {"SpectralWidth": 4000.0},
    "echo time": {"EchoTime": 0.068},
    "echo time in words": {"EchoTime": "short"},
    "repetition time": {"RepetitionTime": [1.0, 2.0]},
    "series": {"dim_5_header": {"EchoTime": [0.03, 0.05]}},
    "edited": {"EditPulse": {"ON": {"PulseOffset": 1.9}}},
    "dimension": {"dim_5": "DIM_USER_0"},
    "vendor": {"Manufacturer": "Philips"},
    "sequence": {"SequenceName": "svs_st"},
    "water of other transients": {"dim_5_header": {"WaterSuppressed": [True, False]}},
}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("ending", ["a.nii.gz", "scan"])
def test_the_record_of_a_refused_scan_helps(tmp_path, cause, ending):
    """A file without an ending is called as outputs call it, which has none either."""
    image = to_nifti(scan())
    header = json.loads(image.header.extensions[0].get_content()) | CAUSES[cause]
    image.header.extensions[:] = [nib.nifti1.Nifti1Extension(44, json.dumps(header).encode())]
    nib.save(image, tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").rename(tmp_path / ending)
    record, _ = converted(SITE, tmp_path, tmp_path / "out", ending)
    assert record["status"] == "failed"
    assert helpful(record["reason"]), record["reason"]
    assert record["reason"].startswith("sub-01_mrs")


def test_problems_of_sheets_help():
    rows = [
        (2, Scan("a", "01", "x.nii", ref="x.nii")),
        (3, Scan("a", "02", "x.nii", t1w="sub-03/anat/sub-03_T1w.nii")),
        (4, Scan("a", "2", "y.nii", gm="g.nii", wm="g.nii", csf="c.nii")),
    ]
    people = [
        (2, {"site": "a", "subject": "01", "person": "NA"}),
        (3, {"site": "a", "subject": "1", "person": "p"}),
        (4, {"site": "a", "subject": "02", "person": "p"}),
    ]
    problems = scan_problems("scans.tsv", rows, [])
    problems += participant_problems("participants.tsv", people, [one for _, one in rows])
    assert len(problems) >= 6
    assert [one for one in problems if not helpful(one)] == []


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("sub-01_mrs: holds zeros only; export it again", True),
        ("sub-01_ses-2_task-visual_ref (ref of sub-01_mrs): is short; name none", True),
        ("scan.SDAT: truncated; copy it again", True),
        ("scans.tsv row 3: te_s: 'x' (a number of seconds)", True),
        ("sites.tsv row #: te_s: '#,#' is not a number (echo time, s)", True),
        ("scans.tsv is not a UTF-8 text table; save it as one", True),
        ("sub-01_mrs: cannot be read", False),  # nothing to do
        ("the file is damaged; copy it again", False),  # which?
        ("sub-01_mrs: mend it", False),  # why?
        ("rename: sub-01_mrs", False),
        ("sub-01: holds zeros only; export it again", False),  # a person is no file
        ("", False),
    ],
)
def test_the_judge_knows_what_helps(words, helps):
    assert helpful(words) == helps
