"""The methods paragraph claims only what ran, and every citation has its entry."""

from __future__ import annotations

import re

import pytest

from fmrsflow.report.methods import methods
from fmrsflow.report.references import _WORKS, bibtex, cite
from fmrsflow.study import Site

SITES = [Site("A", "GE", 3.0, "press", 0.03, 2.0, "own")]
LIMITS = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}
SETTING = {
    "name": "robust",
    "align": "robust",
    "outlier_z": 3.0,
    "max_removed_share": 0.2,
    "water": "hlsvd",
    "water_low_ppm": 4.2,
    "water_high_ppm": 4.9,
    "average": "distance",
    "lag_s": 0.0,
}


def written(setting=None, n_coils=1, eddy=True, **records):
    preprocess = {
        "settings": {"preprocess": SETTING | (setting or {})},
        "parameters": {"eddy": {"applied": eddy}},
        "snr_definition": "height / SD",
    }
    records = {"convert": [{"n_coils": n_coils}], "preprocess": [preprocess]} | records
    return methods(SITES, 3, records, {"Version": "0.1.0"}, LIMITS)


def test_what_the_bases_assume_of_the_sites_is_told():
    pulses = "Shinnar-Le Roux refocusing pulses of 1.2 kHz and 5 ms at 2.8 ppm"
    made = {"source": "simulate", "sequence": "PRESS", "pulses": "shaped"}
    records = [
        {"made": made | {"site": site, "assumed": {"pulses": pulses} | times}}
        for site, times in (("A", {"te1_s": "TE1 14.7 ms, as usual for GE"}), ("B", {}))
    ]
    text = " ".join(written(basis=records).paragraphs)
    assert "simulated from density matrices: PRESS with shaped pulses." in text
    assert f"do not state it: {pulses} (A, B); TE1 14.7 ms, as usual for GE (A)." in text
    read = [{"made": {"source": "file", "sequence": "PRESS"}}, {}]
    assert "Basis sets were simulated" not in " ".join(written(basis=read).paragraphs)


def test_steps_that_ran_are_told_with_their_values():
    text = " ".join(written().paragraphs)
    assert "3 scans from 1 site (1 × GE 3 T)" in text
    assert "robust spectral registration (Near 2015; Mikkelsen 2020)" in text
    assert "robust z-score above 3 were removed, at most 20 %" in text
    assert "4.2–4.9 ppm" in text
    assert "wider than 0.094 ppm" in text


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"n_coils": 1}, "coils were combined"),
        ({"eddy": False}, "Klose"),
        ({"setting": {"align": "none"}}, "registration"),
        ({"setting": {"water": "none"}}, "HLSVD"),
    ],
)
def test_steps_that_did_not_run_are_not_claimed(changes, absent):
    assert absent not in " ".join(written(**changes).paragraphs)


def test_coils_are_claimed_where_there_were_some():
    assert "Rodgers 2010" in " ".join(written(n_coils=32).paragraphs)


def test_constants_are_cited_by_their_set():
    quantified = [{"water": {"amplitude": 1}, "constants": "spant 3T 1", "tissue": {}}]
    made = written(fit=[{"settings": {}}], quantify=quantified)
    assert "Wilson2021" in made.keys and "Gasparovic2006" in made.keys


def test_every_citation_in_the_text_has_an_entry_and_the_other_way_round():
    made = written(n_coils=8, response=[{"settings": {}}])
    text = " ".join(made.paragraphs)
    assert all(cite(key) in text for key in made.keys)
    assert re.findall(r"@article\{(\w+),", made.bibtex) == sorted(made.keys)
    assert {"[@" + key for key in ("Klose1990", "Clarke2022")} <= set(
        re.findall(r"\[@\w+", made.markdown)
    )


def test_entries_are_whole_and_well_formed():
    for key in _WORKS:
        entry = bibtex([key])
        assert entry.count("{") == entry.count("}")
        assert re.search(r"doi = \{10\.\d{4,}/\S+\}", entry)
        assert key[-4:] == _WORKS[key][3]
        # The key names the first author, accents aside.
        surname = re.sub(r'\{\\"(\w)\}', r"\1", _WORKS[key][0].partition(",")[0])
        assert key[:-4] == surname


def test_names_with_accents_are_written_out_in_the_text():
    assert cite("Molder2021") == "Mölder 2021"
