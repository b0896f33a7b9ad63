"""The basis of a site: simulated or read, cached, refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis import files, formats
from fmrsflow.basis.sequences import press
from fmrsflow.basis.simulate import simulate
from fmrsflow.basis.site import alternatives, assumptions, complete, request
from fmrsflow.errors import DataError
from fmrsflow.stages import basis as stage
from fmrsflow.study import Site, Study

SITE = Site("leiden", "Philips", 3.0, "PRESS", 0.030, 2.0, "own", te1_s=0.0126)
EVEN = "delays TE/8, TE/4, TE/4, TE/4, TE/8"
FEW = {"metabolites": ["Glu", "NAA", "Cr"], "n_points": 1024, "pulses": "ideal"}


@pytest.fixture
def folder(tmp_path):
    """A data root with a basis of Glu, NAA and Cr (TE 30 ms, 127.75 MHz) in both formats."""
    made = simulate(press(0.03), 127.75, 1024, 4000.0, ["Glu", "NAA", "Cr"])
    made = replace(made, fids=made.fids * np.exp(-2 * np.pi * np.arange(1024) / 4000))
    (tmp_path / "leiden.basis").write_text(formats.to_lcmodel(made))
    (tmp_path / "no-glu.npz").write_bytes(files.to_npz(made.select(["NAA", "Cr"])))
    return tmp_path


def test_the_default_simulates_the_sites_protocol_with_macromolecules(tmp_path):
    made = stage.make(SITE, {}, tmp_path)
    assert (made.te_s, made.made["sequence"], made.made["te1_s"]) == (0.030, "PRESS", 0.0126)
    assert made.frequency_mhz == pytest.approx(127.7, abs=0.2)
    assert {"Glu", "NAA", "mI", "MM09", "MM20", "Lip13"} <= set(made.names)
    assert "H2O" not in made.names
    assert made.made["site"] == "leiden"
    assert made.made["pulses"] == "shaped"
    assert made.made["pulse_shapes"]["refocus"]["bandwidth_hz"] == 1200.0
    # TE1 is given; the pulses are not known.
    assert set(made.made["assumed"]) == {"pulses"}


def test_mm_says_what_becomes_of_macromolecules(folder):
    setting = {"source": "file", "path": "{site}.basis"}
    names = {
        mm: set(stage.make(SITE, {**setting, "mm": mm}, folder).names)
        for mm in ("separate", "single", "none", "as is")
    }
    assert names["none"] == names["as is"] == {"Glu", "NAA", "Cr"}
    assert {"MM09", "MM17", "Lip20"} <= names["separate"]
    assert "MM" in names["single"] and "MM09" not in names["single"]


@pytest.mark.parametrize(
    ("change", "setting", "message"),
    [
        ({"field_t": 7.0}, {"path": "leiden.basis"}, "for 127.75 MHz, site leiden has 7 T"),
        ({"te_s": 0.068}, {"path": "leiden.basis"}, "for TE 30 ms, site leiden measures at 68 ms"),
        ({}, {"path": "no-glu.npz"}, "the basis has no Glu; it has NAA, Cr"),
        ({}, {"path": "absent.basis"}, "no basis at absent.basis"),
        ({}, {"path": ""}, "no path is given"),
        ({}, {"path": "../leiden.basis"}, "leads out of the data root"),
        ({}, {"source": "simulate", "metabolites": ["Glu", "Foo"]}, "no spin system of Foo"),
        ({"pulse_delays_s": "4 ms"}, {"source": "simulate"}, "write five numbers of seconds"),
    ],
)
def test_a_basis_that_does_not_fit_the_site_is_refused(folder, change, setting, message):
    with pytest.raises(DataError, match=message):
        stage.make(replace(SITE, **change), {"source": "file", **setting}, folder)


def test_a_setting_that_does_not_exist_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="may be shaped, ideal"):
        stage.make(SITE, {"pulses": "square"}, tmp_path)


def test_the_cache_gives_back_the_same_basis_and_knows_each_request(tmp_path):
    cache = tmp_path / "cache"
    first = stage.make(SITE, FEW, tmp_path, cache)
    (entry,) = cache.glob("*.npz")
    stamp = entry.stat().st_mtime_ns
    second = stage.make(SITE, FEW, tmp_path, cache)
    assert entry.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.fids, second.fids)
    assert first.made == second.made
    stage.make(replace(SITE, te_s=0.035), FEW, tmp_path, cache)
    assert len(list(cache.glob("*.npz"))) == 2
    for damaged in (b"cut short", files.to_npz(replace(first, fids=2 * first.fids))):
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(stage.make(SITE, FEW, tmp_path, cache).fids, first.fids)


def test_shaped_pulses_take_the_bandwidth_of_the_setting(tmp_path):
    made = stage.make(SITE, FEW | {"pulses": "shaped", "pulse_bandwidth_hz": 2000.0}, tmp_path)
    assert made.made["pulses"] == "shaped"
    assert made.made["pulse_shapes"]["refocus"]["bandwidth_hz"] == 2000.0


@pytest.mark.parametrize(
    ("change", "pulses", "expected"),
    [
        ({"vendor": "Siemens"}, "ideal", {"te1_s": "TE1 15 ms, as usual for Siemens"}),
        ({"vendor": "GE"}, "ideal", {"te1_s": "TE1 15 ms, as usual for GE"}),
        ({"te_s": 0.020}, "ideal", {"te1_s": "TE1 10 ms, as usual for Philips"}),
        ({"te1_s": 0.012}, "ideal", {}),
        ({"sequence": "STEAM"}, "ideal", {"tm_s": "TM 10 ms"}),
        ({"sequence": "STEAM", "tm_s": 0.03}, "ideal", {}),
        (
            {"sequence": "sLASER"},
            "ideal",
            {"pulse_delays_s": "delays TE/8, TE/4, TE/4, TE/4, TE/8"},
        ),
        (
            {"sequence": "SPECIAL"},
            "shaped",
            {"pulses": "Shinnar-Le Roux refocusing pulses of 1.2 kHz and 5 ms at 2.8 ppm"},
        ),
        ({"sequence": "FID"}, "shaped", {}),
    ],
)
def test_what_is_assumed_of_a_site_is_said(change, pulses, expected):
    site = replace(SITE, te1_s=None, **change) if "te1_s" not in change else replace(SITE, **change)
    assert assumptions(site, complete({"pulses": pulses})) == expected


@pytest.mark.parametrize("vendor", ["Siemens", "Philips", "GE"])
@pytest.mark.parametrize("te_s", [0.020, 0.030, 0.035, 0.068, 0.144])
def test_an_assumed_first_echo_time_has_an_alternative_that_changes_the_basis(vendor, te_s):
    site = replace(SITE, te1_s=None, vendor=vendor, te_s=te_s)
    setting = complete(FEW)
    (other,) = alternatives(site, setting)
    own_s, other_s = (dict(request(one, setting)[0].times)["te1_s"] for one in (site, other))
    assert abs(own_s - other_s) >= 0.001 and 0 < other_s <= te_s / 2
    assert replace(other, te1_s=None) == site
    # What it assumes can still be simulated, with shaped pulses too.
    shaped = request(other, complete({"pulses": "shaped"}))
    assert shaped[5]["refocus"].duration_s <= 0.005
    assert alternatives(other, setting) == []


def test_what_is_given_or_read_has_no_alternative():
    assert alternatives(SITE, complete({})) == []
    assert alternatives(replace(SITE, sequence="STEAM", te1_s=None), complete({})) == []
    assert alternatives(replace(SITE, te1_s=None), complete({"source": "file"})) == []


def test_the_alternative_of_siemens_moves_glutamine_as_its_published_basis_does(tmp_path):
    # TE1 12.5 or 16.4 ms: the inner product of Gln falls to 0.97, that of creatine stays.
    site = replace(SITE, te1_s=None, vendor="Siemens", te_s=0.035)
    setting = {"metabolites": ["Gln", "Glu", "Cr"], "n_points": 2048}
    fids = [
        stage.make(one, setting, tmp_path).fids[:3] * np.exp(-12 * np.arange(2048) / 6000)
        for one in (site, *alternatives(site, complete(setting)))
    ]
    sizes = [np.linalg.norm(one, axis=1) for one in fids]
    products = np.einsum("ij,ij->i", fids[0].conj(), fids[1]).real / sizes[0] / sizes[1]
    assert products[0] == pytest.approx(0.97, abs=0.015)
    assert products[2] == pytest.approx(1.0, abs=1e-3)


def test_delays_of_the_sheet_reach_the_simulation(tmp_path):
    site = replace(SITE, sequence="sLASER", te_s=0.028, te1_s=None)
    given = replace(site, pulse_delays_s="0.004 0.00675 0.0055 0.00725 0.0045")
    made = stage.make(given, FEW, tmp_path)
    assert made.made["delay2_s"] == 0.00675
    assert made.made["assumed"] == {}
    assert np.abs(made.fids[0] - stage.make(site, FEW, tmp_path).fids[0]).max() > 0.05


def test_the_command_writes_basis_and_record_and_a_failure_stays_with_its_site(tmp_path):
    results = tmp_path / "results"
    config = {
        "results": str(results),
        "data_root": str(tmp_path),
        "basis": {"fast": FEW},
    }
    odd = replace(SITE, name="odd", sequence="MEGA-PRESS")
    study = Study(config=config, sites={"leiden": SITE, "odd": odd}, scans=())
    (tmp_path / "study.json").write_text(study.save_text())
    arguments = ["--study", str(tmp_path / "study.json"), "fast", "odd", "leiden"]
    assert stage.main(arguments) == 0
    record = json.loads((results / "basis-fast/leiden_desc-basis_record.json").read_text())
    assert record["status"] == "ok"
    assert record["made"]["sequence"] == "PRESS"
    made = files.read_npz(results / "basis-fast/leiden_desc-basis_basis.npz")
    assert made.names[:3] == ("Glu", "NAA", "Cr")
    failed = json.loads((results / "basis-fast/odd_desc-basis_record.json").read_text())
    assert failed["status"] == "failed"
    assert "MEGA-PRESS" in failed["reason"]
