"""The stage on real files: what is refused or told, and in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert_tools import converted
from fmrsflow.study import Site

SITE = Site("north", "Philips", 3.0, "PRESS", 0.035, 2.0, "own")
ACT, REF = "hostile/press35_sub02_act.sdat", "hostile/press35_sub02_ref.sdat"


def convert(data: Path, results: Path, mrs: str, ref: str = "", **site) -> dict:
    """Record of the stage for one scan."""
    return converted(replace(SITE, **site), data, results, mrs, ref)[0]


def test_a_right_pair_is_converted(shared_data, tmp_path):
    record = convert(shared_data, tmp_path, ACT, REF)
    assert record["status"] == "ok" and record["warnings"] == []


@pytest.mark.parametrize(
    ("mrs", "ref", "site", "words"),
    [
        (REF, ACT, {}, ["_mrs.sdat", "_ref.sdat", "to be swapped"]),
        (ACT, ACT, {}, ["named as its own ref", "column ref"]),
        ("hostile/csi.sdat", "", {}, ["_mrs.sdat", "multi-voxel"]),
        (ACT, REF, {"vendor": "GE"}, ["a scanner of Philips wrote it", "GE for north"]),
        (ACT, REF, {"te_s": 0.0365}, ["echo time 35 ms", "36.5 ms"]),
        (
            "siemens-press-3t/SVS_30.IMA",
            "",
            {"vendor": "Siemens", "sequence": "STEAM", "te_s": 0.03},
            ["_mrs.IMA", "sequence is PRESS", "STEAM for north"],
        ),
        ("hostile/mega_editpulse_in_header.nii.gz", "", {}, ["editing pulses", "not supported"]),
        ("drift-series/spant_mpress_drift.nii.gz", "", {}, ["odd and even", "not supported"]),
    ],
)
def test_what_would_give_wrong_numbers_is_refused(shared_data, tmp_path, mrs, ref, site, words):
    record = convert(shared_data, tmp_path, mrs, ref, **site)
    assert record["status"] == "failed"
    for word in words:
        assert word in record["reason"]


def test_a_protocol_named_after_another_sequence_is_told(shared_data, tmp_path):
    (warning,) = convert(shared_data, tmp_path, ACT, REF, sequence="STEAM")["warnings"]
    assert "named after PRESS; sites.tsv says STEAM" in warning


def test_the_frequency_that_a_raw_file_does_not_tell_is_told(shared_data, tmp_path):
    raw = "fitting-challenge/lcmodel/dataset1.RAW"
    site = {"vendor": "Siemens", "te_s": 0.03, "spectral_width_hz": 4000.0}
    record = convert(shared_data, tmp_path, raw, **site)
    assert any("123.2 MHz" in one and "frequency_mhz" in one for one in record["warnings"])
    record = convert(shared_data, tmp_path, raw, **site, frequency_mhz=123.22)
    assert record["frequency_mhz"] == 123.22
    assert not any("frequency_mhz" in one for one in record["warnings"])


def test_a_site_without_suppression_says_so_in_the_sheet(shared_data, tmp_path):
    assert convert(shared_data, tmp_path, REF, ACT, water_suppressed="no")["status"] == "ok"
