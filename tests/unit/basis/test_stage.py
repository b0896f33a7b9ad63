"""The basis of a site: simulated or read, cached, refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis import files, formats
from fmrsflow.basis.sequences import press
from fmrsflow.basis.simulate import simulate
from fmrsflow.errors import DataError
from fmrsflow.stages import basis as stage
from fmrsflow.study import Site, Study

SITE = Site("leiden", "Philips", 3.0, "PRESS", 0.030, 2.0, "own", te1_s=0.0126)
FEW = {"metabolites": ["Glu", "NAA", "Cr"], "n_points": 1024}


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
        ({"sequence": "STEAM"}, {"source": "simulate", "pulses": "shaped"}, "no refocusing pulse"),
    ],
)
def test_a_basis_that_does_not_fit_the_site_is_refused(folder, change, setting, message):
    with pytest.raises(DataError, match=message):
        stage.make(replace(SITE, **change), {"source": "file", **setting}, folder)


def test_a_setting_that_does_not_exist_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="may be ideal, shaped"):
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
    made = stage.make(SITE, {**FEW, "pulses": "shaped", "pulse_bandwidth_hz": 2000.0}, tmp_path)
    assert made.made["pulses"] == "shaped"
    assert made.made["pulse_shapes"]["refocus"]["bandwidth_hz"] == 2000.0


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


def test_an_exported_basis_is_read_back_as_the_one_that_was_made(tmp_path):
    results = tmp_path / "results"
    config = {"results": str(results), "data_root": str(tmp_path), "basis": {"fast": FEW}}
    study = Study(config=config, sites={"leiden": SITE}, scans=())
    (tmp_path / "study.json").write_text(study.save_text())
    arguments = ["--study", str(tmp_path / "study.json"), "--export", "lcmodel"]
    assert stage.main([*arguments, "--export", "fsl", "fast", "leiden"]) == 0
    made = files.read_npz(results / "basis-fast/leiden_desc-basis_basis.npz").broadened(1.0)
    record = json.loads((results / "basis-fast/leiden_desc-basis_record.json").read_text())
    assert record["status"] == "ok"
    assert "leiden_desc-basis_fsl/Glu.json" in record["files"]
    for name in ("leiden_desc-basis_lcmodel.basis", "leiden_desc-basis_fsl"):
        again = formats.read_basis(results / "basis-fast" / name).select(made.names)
        np.testing.assert_allclose(again.fids, made.fids, rtol=2e-3, atol=5e-3)
        assert again.te_s == 0.030
