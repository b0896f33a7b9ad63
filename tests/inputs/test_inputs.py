"""A slice of the conformance kit; `benchmarks/run.py inputs` runs the whole."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from cases import CASES, mutated_cases
from given import Base
from kit import Kit, compared, table
from written import PERSON

MENDED = {
    "nifti: reference clipped at 60 percent",
    "nifti: reference alone conjugated",
    "nifti: the last transient twice",
    "nifti: constant offset",
    "nifti: real parts only",
    "nifti: frequency 0",
    "nifti: dwell time 0",
    "nifti: SpectralWidth contradicts",
    "nifti: EchoTime with a comma",
    "nifti: nucleus H1",
    "sdat: capital keys",
    "sdat: samples as 1024.0",
    "sdat: frequency in MHz",
    "sdat: width in kHz",
    "sdat: sizes of 0",
    "rda: rows of no length",
    "jmrui: interval in us",
    "jmrui: field in G",
    "raw: slash at the end of a line",
    "raw: cut to a half",
    "twix: cut between two transients",
    "twix: of the VB line, stopped",
    "nifti: scan alone 30 Hz up",
    "nifti: reference of wrapped integers",
    "nifti: scan corrected for eddy currents",
    "nifti: labels of SynthSeg",
    "nifti: T1w inverted",
    "nifti: T1w in bytes that ran over",
    "sdat: three blank transients",
    "sdat: units behind numbers",
    "jmrui: UTF-16",
    "events: from a trigger within the scan",
}
"""Cases that were once silent, a traceback, or a good file refused."""

EVERY = 40
SLICE = [case for n, case in enumerate(CASES) if case.name in MENDED or n % EVERY == 0]


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Kit:
    """The kit with its undisturbed scans."""
    return Kit.make(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("case", SLICE, ids=lambda case: case.name)
def test_a_given_input_is_right_flagged_or_refused(kit, case):
    outcome = kit.outcome(case)
    assert not outcome.harm, table([outcome])


@pytest.mark.parametrize("case", list(mutated_cases(6, seed=1)), ids=lambda case: case.name)
def test_a_mutated_header_is_right_flagged_or_refused(kit, case):
    outcome = kit.outcome(case)
    assert not outcome.harm, table([outcome])


def test_the_kit_is_as_large_as_promised():
    names = Counter(case.name for case in CASES)
    assert len(CASES) >= 300
    assert not [name for name, number in names.items() if number > 1]
    assert set(names) >= MENDED
    assert {case.good for case in CASES} == {True, False}


@pytest.mark.parametrize(
    ("value", "se", "less_noise", "wrong"),
    [
        (1.0, 0.01, False, False),
        (1.025, 0.01, False, False),  # 2.5 standard errors
        (1.015, 0.004, True, False),  # 1.5 percent
        (1.05, 0.01, False, True),
        (0.95, 0.01, False, True),
        (math.nan, 0.01, False, True),
        (1.0, 0.005, False, True),
        (1.0, 0.005, True, False),
    ],
)
def test_what_is_off_by_three_errors_and_two_percent_is_wrong(value, se, less_noise, wrong):
    found, truth = {"Glu/tCr": (value, se)}, {"Glu/tCr": (1.0, 0.01)}
    assert bool(compared(found, truth, less_noise)[0]) == wrong


@pytest.mark.parametrize(
    "format", ["nifti", "sdat", "rda", "jmrui", "raw", "dicom", "twix", "pfile"]
)
def test_a_person_stands_in_every_header(kit, tmp_path, format):
    base: Base = kit.base
    given = base.given(format)
    given.write(tmp_path, base)
    path = tmp_path / "data" / given.row["mrs"]
    path = path.with_suffix(".SPAR") if format == "sdat" else path
    if format == "nifti":
        import nibabel as nib

        content = nib.load(path).header.extensions[0].get_content()
        content = content if isinstance(content, bytes) else str(content).encode()
    else:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        content = files[0].read_bytes()
    assert PERSON["name"].encode() in content
