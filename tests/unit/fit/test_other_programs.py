"""Averages and bases for other programs: their readers here, and LCModel itself where it is there,
find in them what was handed over."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import report_fixture as made
from fmrsflow import cli
from fmrsflow.basis.files import to_npz
from fmrsflow.basis.formats import read_basis
from fmrsflow.convert.reader import load, read_lcmodel_raw
from fmrsflow.edge import Job
from fmrsflow.files import write_bytes
from fmrsflow.fit.engines import LINEWIDTH_HZ, _read_lcmodel
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.other_programs import WRITERS, Averages, Handed, lcmodel_files, osprey_files
from fmrsflow.intake.fsl_mrs import read_commands
from fmrsflow.intake.lcmodel import read_control
from fmrsflow.intake.osprey import read_job
from fmrsflow.results import Results
from fmrsflow.stages.bundle import PROGRAMS

SITE = "siteA"


@pytest.fixture(scope="module")
def study(tmp_path_factory, basis):
    """A site of two scans, the second without water, with averages and a basis whose file bears a
    name."""
    planned = made.make_study(tmp_path_factory.mktemp("study"), n_sites=1, n_subjects=2)
    for seed, scan in enumerate(planned.scans):
        made.write_scan(planned, scan, seed)
    job = Job("basis", planned, planned.site_named(SITE), {"basis": "simulated"})
    own = {**basis.made, "file": "Jane_Doe.basis"}
    job.save("basis.npz", to_npz(replace(basis, made=own)))
    job.finish("ok", None, None, {"made": own})
    write_bytes(planned.results / "study.json", planned.save_text().encode())
    return planned


@pytest.fixture
def handed(study, tmp_path):
    """Folder that the command writes for a program."""

    def hand(program: str):
        out = tmp_path / program
        frozen = str(study.results / "study.json")
        told = ["bundle", SITE, "--study", frozen, "--for", program, "--out", str(out)]
        assert cli.main(told) == 0
        for path in out.rglob("*"):
            if path.is_file():
                assert b"Jane_Doe" not in path.read_bytes(), path
        return out

    return hand


def averages(study, scan):
    """Averages and water of a scan as the stage left them."""
    done = Results(study).of("preprocess", made.ANALYSIS, scan)
    return dict(zip(done.record["conditions"], done.fids("average").transients)), done


def test_lcmodel_gets_averages_water_and_basis(study, handed, basis):
    folder = handed("lcmodel")
    site = replace(study.site_named(SITE), spectral_width_hz=1 / made.DWELL_S)
    for scan in study.scans:
        own, done = averages(study, scan)
        water = read_lcmodel_raw(folder / scan.stem / "water.h2o", site)
        pairs = [(water, done.fids("mrsref").transients[0])]
        for condition, fid in own.items():
            choices = read_control(folder / scan.stem / f"{condition}.control")
            (files,) = choices.files
            assert files["ref"] == folder / scan.stem / "water.h2o"
            assert choices.basis.resolve() == (folder / f"{SITE}.basis").resolve()
            mhz = done.fids("average").frequency_mhz
            assert choices.protocol["frequency_mhz"] == pytest.approx(mhz)
            assert choices.protocol["spectral_width_hz"] == pytest.approx(1 / made.DWELL_S)
            pairs.append((read_lcmodel_raw(files["mrs"], site), fid))
        for found, fid in pairs:
            np.testing.assert_allclose(found.transients[0], fid, atol=1e-6 * np.abs(fid).max())
            assert found.te_s == pytest.approx(0.03)
    same(read_basis(folder / f"{SITE}.basis"), basis)


def same(found, basis):
    """The basis, with the width that was given to it."""
    given = basis.broadened(LINEWIDTH_HZ)
    again = found.select(given.names)
    np.testing.assert_allclose(again.fids, given.fids, rtol=2e-3, atol=5e-3)


def test_fsl_mrs_gets_averages_water_basis_and_commands(study, handed, basis, monkeypatch):
    folder = handed("fsl-mrs")
    monkeypatch.chdir(folder)
    choices = read_commands("commands.txt")
    assert (choices.protocol["te_s"], choices.protocol["tr_s"]) == (0.03, 2.0)
    expected = [(scan, name) for scan in study.scans for name in averages(study, scan)[0]]
    assert len(choices.files) == len(expected) == 4
    for (scan, condition), files in zip(expected, choices.files):
        own, done = averages(study, scan)
        scale = np.abs(own[condition]).max()
        found = load(files["mrs"])
        np.testing.assert_allclose(found.transients[0], own[condition], atol=1e-6 * scale)
        assert (found.te_s, found.dwell_s) == (0.03, pytest.approx(made.DWELL_S))
        water = done.fids("mrsref").transients[0]
        np.testing.assert_allclose(load(files["ref"]).transients[0], water, rtol=1e-6)
    same(read_basis(choices.basis), basis)


def test_osprey_gets_averages_water_basis_and_a_job(study, handed, basis):
    folder = handed("osprey")
    choices = read_job(folder / "job.m")
    told = {row["from"]: row["value"] for row in choices.rows}
    assert told["opts.SpecReg"] == "none" and told["opts.fit.method"] == "LCModel"
    expected = [(scan, name) for scan in study.scans for name in averages(study, scan)[0]]
    for (scan, condition), files in zip(expected, choices.files, strict=True):
        own, done = averages(study, scan)
        found = load(files["mrs"]).transients[0]
        np.testing.assert_allclose(found, own[condition], atol=1e-6 * np.abs(own[condition]).max())
        assert files["ref"].is_file()
    same(read_basis(folder / f"{SITE}.basis"), basis)


def test_scans_without_water_have_a_job_of_their_own(basis, clean):
    scans = [Averages("with", {"rest": clean}, clean), Averages("without", {"rest": clean}, None)]
    files = dict(osprey_files(Handed(SITE, scans, basis, FitOptions())))
    assert b"'with/rest_svs.nii.gz'" in files["job.m"] and b"without/" not in files["job.m"]
    assert b"files_ref" not in files["job_without_water.m"]
    assert "without/mrsref.nii.gz" not in files


def test_programs_of_the_command_are_those_that_something_is_written_for():
    assert set(PROGRAMS) == set(WRITERS)


def test_nothing_is_written_over_and_a_site_without_averages_is_told(study, tmp_path, capsys):
    frozen = str(study.results / "study.json")
    call = ["bundle", SITE, "--study", frozen, "--for", "osprey", "--out"]
    assert cli.main([*call, str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    empty = replace(study, config={**study.config, "results": str(tmp_path / "none")})
    write_bytes(tmp_path / "study.json", empty.save_text().encode())
    call[3] = str(tmp_path / "study.json")
    assert cli.main([*call, str(tmp_path / "new")]) == 1
    assert "there is no basis" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_lcmodel_itself_finds_what_was_handed_over(basis, clean, noisy, truth, tmp_path):
    """Ratios to tCr, and the change between two conditions; water is read without complaint."""
    if shutil.which("lcmodel") is None:
        pytest.skip("lcmodel is not installed here")
    rest = noisy(1, 200.0, 1)
    glu = basis.fids[basis.index("Glu")] * truth[basis.index("Glu")]
    lines = rest.with_data(glu[None, None]).broadened(3.0, 4.0).data
    task = rest.with_data(rest.data + 0.1 * lines)
    water = clean.with_data(
        np.abs(clean.data[..., :1])
        * 100
        * np.exp(-20.0 * np.arange(clean.n_points) * clean.dwell_s)[None, None].astype(complex)
    )
    scan = Averages("scan", {"rest": rest, "task": task}, water)
    handed = Handed(SITE, [scan], basis.broadened(LINEWIDTH_HZ), FitOptions())
    for name, content in lcmodel_files(handed):
        write_bytes(tmp_path / name, content)
    found = {}
    for condition in scan.fids:
        with (tmp_path / "scan" / f"{condition}.control").open() as control:
            subprocess.run(["lcmodel"], stdin=control, cwd=tmp_path / "scan", check=True)
        text = (tmp_path / "scan" / f"{condition}.table").read_text()
        assert "FATAL" not in text
        names = ("NAA", "mI", "Glu", "Cr", "PCr")
        found[condition] = dict(zip(names, _read_lcmodel(text, names)[0]))
    true = dict(zip(basis.names, truth))
    total = {condition: one["Cr"] + one["PCr"] for condition, one in found.items()}
    for name in ("NAA", "mI", "Glu"):
        ratio = true[name] / (true["Cr"] + true["PCr"])
        assert found["rest"][name] / total["rest"] == pytest.approx(ratio, rel=0.1), name
    assert found["task"]["Glu"] / found["rest"]["Glu"] == pytest.approx(1.1, abs=0.03)
