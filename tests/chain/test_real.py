"""The real Snakefile on files that scanners and other people's tools wrote."""

from __future__ import annotations

import math

import pytest
import yaml
from chain_tools import read_records, snakemake

from fmrsflow.tables import read_table

pytestmark = pytest.mark.slow

SITES = """site	vendor	field_t	sequence	te_s	tr_s	te1_s	protocol
philips	Philips	3	PRESS	0.03	2	n/a	own
siemens	Siemens	3	PRESS	0.03	2	n/a	own
challenge	Siemens	3	PRESS	0.03	20	0.011	own
drift	Philips	3	PRESS	0.068	2	n/a	own
ge	GE	1.5	PRESS	0.03	2	n/a	own
"""
PHILIPS = "philips-press-3t/sub-01_ses-01_"
CHALLENGE = "fitting-challenge/"
CREATINE = f"{CHALLENGE}cr-10mM/Cr_10mM_test_water_scaling_"
SCANS = [
    ("philips", "01", f"{PHILIPS}PRESS_raw-act_noID.SDAT", f"{PHILIPS}PRESS_raw-ref_noID.SDAT"),
    ("siemens", "ima", "siemens-press-3t/SVS_30.IMA", ""),
    ("siemens", "rda", "siemens-press-3t/SVS_30.rda", ""),
    ("drift", "01", "drift-series/spant_mpress_drift.nii.gz", ""),
    ("ge", "01", "phantoms/ge_P1751_1.5T_030_2000_redacted.7", ""),
    ("challenge", "cr", f"{CREATINE}WS.txt", f"{CREATINE}nWS.txt"),
    *(
        (
            "challenge",
            str(n),
            f"{CHALLENGE}jmrui/dataset{n}_WS.txt",
            f"{CHALLENGE}jmrui/dataset{n}_nWS.txt",
        )
        for n in range(1, 7)
    ),
]


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory):
    """Results of the chain on every file, and their records by (stage, site, subject)."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "config").mkdir()
    (folder / "config" / "sites.tsv").write_text(SITES)
    lines = ["site\tsubject\tmrs\tref\tt1w\tcondition"]
    for site, subject, mrs, ref in SCANS:
        t1w = f"{PHILIPS}T1w_brain.nii.gz" if site == "philips" else ""
        lines.append("\t".join([site, subject, mrs, ref, t1w, "rest"]))
    (folder / "config" / "scans.tsv").write_text("\n".join(lines) + "\n")
    usual = {
        "preprocess": "robust",
        "basis": "simulated",
        "fit": "spline",
        "concentration": "assumed",
        "response": "standard",
    }
    config = {
        "data_root": str(shared_data),
        "analyses": {"main": usual},
        "primary": "main",
        "batch": 6,
        **{section: {name: {}} for section, name in usual.items()},
        "concentration": {"assumed": {"tissue": "assumed"}},
    }
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder, "--cores", "2")
    return folder / "results"


@pytest.fixture(scope="module")
def records(run):
    return {
        (one["stage"], one["scan"]["site"], one["scan"].get("subject")): one
        for one in read_records(run)
        if one.get("scan")
    }


def values(run, site, subject, quantity):
    (path,) = run.glob(f"quantify-*/{site}/sub-{subject}/mrs/*_concentrations.tsv")
    return {
        row["metabolite"]: (float(row["value"]), float(row["se"]))
        for row in read_table(path)
        if row["quantity"] == quantity and row["condition"] == "rest" and row["matched"] == "false"
    }


def test_philips_concentrations_are_those_of_a_healthy_brain(run, records):
    """Ranges (mmol/kg) of the field: de Graaf 2019, table 2.1, tissue water and T2 widen them."""
    found = values(run, "philips", "01", "molal")
    for name, low, high in (
        ("tNAA", 9, 20),
        ("tCr", 6, 15),
        ("tCho", 0.8, 3.5),
        ("mI", 4, 13),
        ("Glu", 7, 18),
    ):
        assert low < found[name][0] < high, name
    quality = records["preprocess", "philips", "01"]
    assert 3 < quality["fwhm_tcr_hz"] < 12
    assert quality["snr_tcr"] > 10


def test_philips_voxel_is_the_nominal_one_and_mostly_grey_matter(records):
    """Fractions by other methods: GM .53-.60, WM .32-.37, CSF .08-.13, +-.05 each."""
    anatomy = records["anatomy", "philips", "01"]
    assert anatomy["volume_ml"] == pytest.approx(26 * 26 * 30 / 1000, rel=1e-3)
    assert anatomy["coverage"] == pytest.approx(1.0, abs=1e-3)
    assert 0.48 < anatomy["v_gm"] < 0.65
    assert anatomy["v_csf"] < 0.18


def test_two_exports_of_one_siemens_scan_give_the_same_concentrations(run):
    ima, rda = (values(run, "siemens", subject, "ratio_tcr") for subject in ("ima", "rda"))
    for name in ("tNAA", "tCho", "mI", "Glu", "Glx"):
        assert ima[name][0] == pytest.approx(rda[name][0], rel=0.01), name


def test_a_mega_series_without_a_header_is_refused(records):
    failed = records["convert", "drift", "01"]
    assert failed["status"] == "failed"
    assert "odd and even transients" in failed["reason"] and "edited" in failed["reason"]


@pytest.mark.parametrize("number", "123456")
def test_challenge_sets_are_fitted(run, records, number):
    assert records["fit", "challenge", number]["status"] == "ok"
    found = values(run, "challenge", number, "ratio_tcr")
    # Healthy-brain-like mixtures: the ratio of tNAA to tCr lies within a factor of two of 1.4.
    assert 0.7 < found["tNAA"][0] < 2.8


def test_creatine_pair_has_the_amplitude_of_10_mm(run, records):
    """10 mM times exp(-30 ms / 160 ms), as its authors give it: 8.290 a proton, to 0.1 %."""
    raw = values(run, "challenge", "cr", "raw")["tCr"][0]
    assert raw == pytest.approx(10 * math.exp(-30 / 160), rel=1e-3)


def test_a_p_file_that_the_converter_refuses_says_what_to_do(records):
    failed = records["convert", "ge", "01"]
    assert failed["status"] == "failed"
    assert "NIfTI-MRS" in failed["reason"] and "P-file" in failed["reason"]
    assert records["response", "ge", "01"]["failed_at"] == "convert"


def test_scans_without_a_task_are_told_and_stop_nothing(run, records):
    assert "one condition only" in records["response", "philips", "01"]["reason"]
    rows = read_table(run / "main" / "sites" / "problems.tsv")
    assert any("P-file" in row["text"] for row in rows)
