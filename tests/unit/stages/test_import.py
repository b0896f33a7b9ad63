"""`fmrsflow import` and the presets: what is carried over, and that all else is named."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import yaml
from chain_tools import ROOT

from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import to_fsl
from fmrsflow.basis.systems import METABOLITES
from fmrsflow.cli import main as fmrsflow
from fmrsflow.concentration import Tissue, constants, molal, molar
from fmrsflow.fids import CARRIER_PPM
from fmrsflow.intake.choices import IMPORTED, LEFT, MEASURED, NEAREST, OPEN, SAME, measured
from fmrsflow.intake.matlab import read_script
from fmrsflow.intake.osprey import JSON_NAMES
from fmrsflow.intake.presets import preset_names, read_preset
from fmrsflow.sheets import read_config, read_study, schema
from fmrsflow.tables import read_table

JOB = """%% A job
seqType = 'unedited'; % 'MEGA'
dataScenario = 'invivo';
opts.SpecReg = 'RestrSpecReg';
opts.ECC.raw = 0;
opts.saveLCM = 1;
opts.fit.method = 'Osprey';
opts.fit.includeMetabs = {'default', 'Ala', ...
                          'EtOH'};
opts.fit.range = [0.5 4.1];  opts.fit.bLineKnotSpace = 0.25;
opts.fit.fitMM = 0;
opts.fit.GAP.A = [1.2 1.4];
%{
opts.fit.range = [1 2];
%}
files = {'data/sub-01/ses-a/press.SDAT',... a comment
         'data/sub-02/ses-a/press.SDAT'};
files_ref(1) = {'data/sub-01/ses-a/ref.SDAT'};
files_ref{2} = 'data/sub-02/ses-a/ref.SDAT';
files_nii = {'data/sub-01/T1w.nii.gz'; 'data/sub-02/T1w.nii.gz'};
files_w = {};
for kk = 1:2
    outputFolder = ['out' num2str(kk)];
end
x = a'; y = 'it''s';
"""

CONTROL = """ $SEQPAR
 ECHOT = 99.
 $END
 $LCMODL
 title = 'Somebody, 1980-01-01'
 owner='A hospital', key=123456789
 filbas='/opt/bases/press30.basis'
 filraw='/data/sub-07/met.RAW', filh2o='/data/sub-07/h2o.H2O'
 hzpppm=127.7403, deltat=5.0e-04, nunfil=2048, echot=30.
 ppmst=4.0, ppmend=0.5d0, dkntmn=0.25
 doecc=T, dows=T
 nomit=2, chomit(1)='Gly', chomit(2) = 'Ins'
 nsimul=0, sddegp=1.5, wconc=41300.
 ltable=7, filtab='/data/out/table'
 $END
"""

COMMAND = (
    "fsl_mrs --data data/sub-03/metab.nii.gz --h2o data/sub-03/wref.nii.gz --basis data/basis "
    "--output out --ppmlim 0.5 4.0 --baseline_order 4 --ignore Gly Ins --combine PCh GPC "
    "--TE 30 --TR 2 --tissue_frac 0.4 0.5 0.1 --metab_groups MM --report --algo MH"
)

GIVEN = ("vendor=Philips", "sequence=PRESS", "field_t=3", "te_s=0.03", "tr_s=2")
PROTOCOL = [word for one in GIVEN for word in ("--protocol", one)]


def imported(study):
    """Settings, rows of imported.tsv by their name there, rows of scans.tsv, row of the site."""
    config = yaml.safe_load((study / "config/config.yaml").read_text())
    names = config["analyses"]["main"]
    settings = {section: config[section][name] for section, name in names.items()}
    rows = {}
    for row in read_table(study / "config/imported.tsv"):
        rows.setdefault(row["from"], []).append(row)
    sites = read_table(study / "config/sites.tsv")
    return settings, rows, read_table(study / "config/scans.tsv"), sites[0] if sites else {}


def differing(settings) -> dict:
    """Section.key -> value, where it is not the default."""
    return {
        f"{section}.{key}": value
        for section, keys in settings.items()
        for key, value in keys.items()
        if value != schema(section)[key].get("default")
    }


def test_an_osprey_job_becomes_a_study_and_is_not_run(tmp_path):
    (tmp_path / "job.m").write_text(JOB)
    study = tmp_path / "study"
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(study), *PROTOCOL]) == 0
    settings, rows, scans, site = imported(study)
    own = differing(settings)
    metabolites = own.pop("basis.metabolites")
    assert "Ala" in metabolites and "Gly" not in metabolites and "GABA" in metabolites
    assert own == {
        "preprocess.eddy": False,
        "preprocess.align": "restricted",
        "preprocess.align_low_ppm": 0.5,
        "preprocess.align_high_ppm": 4.1,
        "fit.models": "single",
        "fit.range_low_ppm": 0.5,
        "fit.range_high_ppm": 4.1,
        "fit.baseline_smoothness": "fixed",
        "fit.baseline_dimension_per_ppm": 4.0,
        "fit.macromolecules": "none",
    }
    assert rows["opts.fit.bLineKnotSpace"][0]["kind"] == NEAREST
    assert {row["kind"] for row in rows["opts.saveLCM"] + rows["opts.fit.GAP.A"]} == {LEFT}
    assert rows["outputFolder"][0]["kind"] == OPEN  # made in a loop
    assert {row["value"] for row in rows["opts.fit.includeMetabs"]} >= {"EtOH"}
    assert [(one["subject"], one["session"]) for one in scans] == [("01", "a"), ("02", "a")]
    assert scans[1]["ref"] == "sub-02/ses-a/ref.SDAT" and scans[0]["t1w"] == "sub-01/T1w.nii.gz"
    assert site["vendor"] == "Philips" and site["te_s"] == "0.03"


def test_a_study_that_was_imported_has_no_error(tmp_path, monkeypatch):
    (tmp_path / "job.m").write_text(JOB)
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path), *PROTOCOL]) == 0
    monkeypatch.chdir(tmp_path)
    study = read_study(read_config("config/config.yaml"))
    assert str(study.data_root) == str(tmp_path / "data") and len(study.scans) == 2
    assert fmrsflow(["import", "osprey", "job.m", "."]) == 2  # there already


def test_a_job_whose_files_are_made_by_code_takes_the_scans_of_init(tmp_path, capsys):
    """Most jobs list folders; their settings are carried, and init adds what is in the folder."""
    folder = tmp_path / "data" / "sub-01" / "mrs"
    folder.mkdir(parents=True)
    job = tmp_path / "data" / "job.m"
    job.write_text("opts.fit.range = [0.5 4];\nfor k = 1:2\n files(k) = {x(k).name};\nend\n")
    assert fmrsflow(["import", "osprey", str(job), str(tmp_path / "study")]) == 0
    assert "files: assigned in a branch or a loop" in capsys.readouterr().out
    image = nib.Nifti1Image(np.ones((1, 1, 1, 8), np.complex64), np.eye(4))
    nib.save(image, folder / "sub-01_svs.nii.gz")
    init = ["init", str(tmp_path / "study"), "--bids", str(tmp_path / "data"), *PROTOCOL]
    assert fmrsflow(init) == 0
    settings, _, scans, _ = imported(tmp_path / "study")
    assert scans[0]["mrs"] == "sub-01/mrs/sub-01_svs.nii.gz"
    assert settings["fit"]["range_high_ppm"] == 4.0


def test_the_json_of_ospreys_window_is_the_same_choice(tmp_path):
    content = {
        "seqType": "unedited", "SpecReg": "RestrSpecReg", "ECCmetab": "0", "method": "Osprey",
        "includeMetabs": ["Glu", "NAA", "MM09", "H2O"], "lolim_range": "0.5", "uplim_range": "4.1",
        "bLineKnotSpace": "0.25", "fitMM": "0", "savePDF": "0", "FWHMMM3co": "",
        "files": ["/data/sub-01/press.SDAT"], "files_ref": ["/data/sub-01/ref.SDAT"],
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(content))
    study = tmp_path / "study"
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.json"), str(study), *PROTOCOL]) == 0
    settings, rows, scans, _ = imported(study)
    own = differing(settings)
    assert own["basis.metabolites"] == ["Glu", "NAA"] and own["preprocess.eddy"] is False
    assert (own["fit.range_high_ppm"], own["fit.macromolecules"]) == (4.1, "none")
    assert scans[0]["mrs"] == "press.SDAT" and rows["opts.savePDF"][0]["kind"] == LEFT


def test_what_a_source_does_not_set_is_its_default_and_not_ours(tmp_path):
    (tmp_path / "job.m").write_text("seqType = 'unedited';")
    (tmp_path / "x.control").write_text(" $LCMODL\n filraw='met.RAW'\n echot=144.\n $END\n")
    found = {}
    for kind, name in (("osprey", "job.m"), ("lcmodel", "x.control")):
        assert fmrsflow(["import", kind, str(tmp_path / name), str(tmp_path / kind)]) == 0
        found[kind] = differing(imported(tmp_path / kind)[0])
        found[kind].pop("basis.metabolites", None)
    assert found["osprey"] == {
        "fit.models": "single",
        "fit.baseline_smoothness": "fixed",
    }
    # The range of OspreySettings.m, whatever ours is.
    config, *_ = imported(tmp_path / "osprey")
    assert (config["fit"]["range_low_ppm"], config["fit"]["range_high_ppm"]) == (0.2, 4.2)
    assert found["lcmodel"] == {
        "preprocess.eddy": False,
        "fit.models": "single",
        "fit.range_low_ppm": 1.0,
        "fit.range_high_ppm": 4.0,
        "fit.baseline_knots_per_ppm": pytest.approx(1 / 0.15),
        "fit.phase1_sd_deg_per_ppm": 20.0,
    }


def test_what_a_script_hides_has_no_default(tmp_path):
    """A choice in a branch, and a structure that is made as a whole."""
    (tmp_path / "job.m").write_text(
        "if x\r\n opts.SpecReg = 'none';\r\nend\r\nopts.fit = defaults();\r\nopts.ECC.raw = 0;\r\n"
        "opts.fit.includeMetabs = {'Glu' 'NAA'};\r\n"
    )
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "study")]) == 0
    settings, rows, _, _ = imported(tmp_path / "study")
    assert differing(settings) == {
        "preprocess.eddy": False,
        "basis.metabolites": ["Glu", "NAA"],
    }
    assert {rows["opts.SpecReg"][0]["kind"], rows["opts.fit"][0]["kind"]} == {OPEN}
    assert len(rows["opts.SpecReg"]) == 1 and "opts.fit.method" not in rows


def test_a_phantom_is_fitted_as_osprey_does_whatever_its_job_says(tmp_path):
    """OspreyJob.m and OspreyProcess.m: knots, macromolecules and registration of phantoms."""
    (tmp_path / "job.m").write_text(
        "dataScenario = 'phantom';\nopts.fit.bLineKnotSpace = 0.4;\nopts.fit.fitMM = f(1);\n"
        "opts.SpecReg = 'RobSpecReg';\nopts.fit.includeMetabs = {'full'};\n"
    )
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "study")]) == 0
    settings, rows, _, _ = imported(tmp_path / "study")
    assert settings["fit"]["baseline_dimension_per_ppm"] == 1.0
    assert settings["fit"]["macromolecules"] == "none"
    window = settings["preprocess"]["align_low_ppm"], settings["preprocess"]["align_high_ppm"]
    assert (settings["preprocess"]["align"], *window) == ("restricted", 0.5, 4.2)
    assert len(settings["basis"]["metabolites"]) == len(METABOLITES)
    assert rows["dataScenario"][0]["kind"] == OPEN and LEFT in {
        row["kind"] for row in rows["opts.fit.includeMetabs"]
    }


def test_every_key_of_ospreys_window_is_carried_or_named(tmp_path):
    """Keys that OspreyJob.m reads of such a file, those of no concern here among them."""
    content = {
        "seqType": "unedited", "MultiVoxel": "SVS", "editTarget": ["none"],
        "dataScenario": "invivo", "SpecReg": "RobSpecReg", "SubSpecAlignment": "L2Norm",
        "UnstableWater": "1", "ECCmetab": "1", "ECCmm": "1", "MM3coModel": "none",
        "saveLCM": "1", "savejMRUI": "1", "saveVendor": "1", "saveNII": "1", "savePDF": "1",
        "includeMetabs": ["Glu", "NAA"], "method": "Osprey", "style": "Separate",
        "lolim_range": "0.2", "uplim_range": "4.2", "lolim_rangew": "2.0", "uplim_rangew": "7.4",
        "bLineKnotSpace": "0.4", "fitMM": "1", "RelaxationAtlas": 1, "RelaxationAtlasAge": 30,
        "basisSet": "mine.mat", "deface": "1", "undoPhaseCycle": "1", "SubSpecOrder": [1, 2],
        "exportParams": ["Osprey"], "files": ["sub-01.SDAT"], "outputFolder": "out",
        "files_mm": ["sub-01_mm.SDAT"], "file_stat": "stat.csv",
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(content))
    study = tmp_path / "study"
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.json"), str(study)]) == 0
    _, rows, _, _ = imported(study)
    limits = {"lolim_range", "uplim_range", "lolim_rangew", "uplim_rangew"}
    for key in content.keys() - limits:
        assert {key, JSON_NAMES.get(key), f"opts.{key}"} & set(rows), key
    assert {"opts.fit.range", "opts.fit.rangeWater"} <= set(rows)


def test_the_window_of_a_registration_is_its_own(tmp_path):
    (tmp_path / "job.m").write_text(
        "opts.SpecReg = 'RestrSpecReg';\nopts.SpecRegRange = [1.8 3.5];\nopts.fit.range = f(1);\n"
    )
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "study")]) == 0
    settings = imported(tmp_path / "study")[0]["preprocess"]
    assert (settings["align_low_ppm"], settings["align_high_ppm"]) == (1.8, 3.5)


@pytest.mark.parametrize(
    "line",
    [
        "seqType = 'MEGA';",
        "dataScenario = 'MRSI';",
        "MultiVoxel = 'PRIAM';",
        "if x, seqType = 'a'; end",
    ],
)
def test_a_job_of_other_spectra_is_refused(tmp_path, capsys, line):
    (tmp_path / "job.m").write_text(line)
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "study")]) == 1
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("script", "values", "unknown"),
    [
        ("a = 1; b = [1, 2.5 -3]\nc = {'x', {1; 'y'}};", {"a": 1, "b": [1, 2.5, -3]}, set()),
        ("a = 1; if x, a = 2; end", {}, {"a"}),
        ("a = 1; a = b + 1;", {}, {"a"}),
        ("a = system('rm -rf x');", {}, {"a"}),
        ("if x\n  for k = 1:2\n end\n a = 3;\nend\nb = 4;", {"b": 4}, {"a"}),
        ("a.b = 1; clear a\nc = 'it''s 100% %' % not", {"c": "it's 100% %"}, set()),
        ("a(2) = 5;", {}, {"a"}),
        ("a = [1 2](1);", {}, {"a"}),
        ("a == 1; a = b'; c = 2;", {"c": 2}, {"a"}),
        ("a = ['x' 'y'];", {}, {"a"}),
        ("a = 3 * 2;", {}, {"a"}),
    ],
)
def test_only_literals_of_a_script_are_known(script, values, unknown):
    found = read_script(script)
    assert {key: found.values.get(key) for key in values} == values
    assert unknown == set(found.unknown)
    assert not unknown & set(found.values)


def test_an_lcmodel_control_file_becomes_a_study(tmp_path):
    (tmp_path / "x.control").write_text(CONTROL)
    study = tmp_path / "study"
    given = ["--protocol", "vendor=GE", "--protocol", "sequence=PRESS", "--protocol", "tr_s=1.8"]
    assert fmrsflow(["import", "lcmodel", str(tmp_path / "x.control"), str(study), *given]) == 0
    settings, rows, scans, site = imported(study)
    assert differing(settings) == {
        "basis.source": "file",
        "basis.path": "opt/bases/press30.basis",
        "basis.mm": "as is",
        "fit.models": "single",
        "fit.range_low_ppm": 0.5,
        "fit.range_high_ppm": 4.0,
        "fit.baseline_knots_per_ppm": 4.0,
        "fit.exclude": ["Gly", "mI"],
        "fit.macromolecules": "basis",
        "fit.phase1_sd_deg_per_ppm": 1.5,
    }
    assert scans[0]["mrs"] == "data/sub-07/met.RAW" and scans[0]["subject"] == "07"
    # The echo time of the group, not that of another program's group before it.
    assert (float(site["te_s"]), float(site["field_t"])) == (0.03, 3.0)
    assert float(site["spectral_width_hz"]) == 2000.0
    assert rows["WCONC"][0]["kind"] == LEFT and "tissue" in rows["WCONC"][0]["note"]
    everything = (study / "config/imported.tsv").read_text()
    assert not any(word in everything for word in ("Somebody", "hospital", "123456789"))


def test_a_control_file_of_several_voxels_is_refused(tmp_path, capsys):
    (tmp_path / "x.control").write_text(CONTROL.replace("ltable=7", "ndcols=16, ndrows=1"))
    call = ["import", "lcmodel", str(tmp_path / "x.control"), str(tmp_path / "study")]
    assert fmrsflow(call) == 1
    assert "NDCOLS: single voxels only" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
    (tmp_path / "x.control").write_text(CONTROL.replace("ltable=7", "ndcols=1, ndrows=1"))
    assert fmrsflow(call) == 0


def test_a_command_of_fsl_mrs_becomes_a_study(tmp_path):
    study = tmp_path / "study"
    given = ["--protocol", "vendor=Siemens", "--protocol", "sequence=sLASER"]
    assert fmrsflow(["import", "fsl-mrs", COMMAND, str(study), *given]) == 0
    settings, rows, scans, site = imported(study)
    assert differing(settings) == {
        "basis.source": "file",
        "basis.path": "basis",
        "basis.mm": "as is",
        "fit.models": "single",
        "fit.lineshape": "voigt",
        "fit.soft_ratios": False,
        "fit.macromolecules": "basis",
        "fit.range_low_ppm": 0.5,
        "fit.range_high_ppm": 4.0,
        "fit.baseline": "polynomial",
        "fit.baseline_order": 4,
        "fit.exclude": ["Gly", "mI"],
        "concentration.constants": "fsl-mrs",
        "concentration.tissue": "assumed",
        # White, grey, CSF there; 0.4 of white is the default too.
        "concentration.assumed_gm": 0.5,
        "concentration.assumed_csf": 0.1,
    }
    assert (float(site["te_s"]), float(site["tr_s"])) == (0.03, 2.0)
    assert scans[0]["ref"] == "sub-03/wref.nii.gz"
    assert rows["--tissue_frac"][1]["setting"] == "concentration.assumed_wm"
    assert rows["--tissue_frac"][1]["ours"] == "0.4"
    for name in ("--combine", "--algo", "--metab_groups", "--report", "--output"):
        assert rows[name][0]["kind"] == LEFT
    assert rows["(sites.tsv: field_t)"][0]["kind"] == OPEN


def test_names_that_are_kept_leave_out_all_others_of_the_basis(tmp_path):
    ppm = {"Cr": 3.027, "Glu": 2.34, "Gln": 2.45, "mI": 3.52, "NAA": 2.008}
    names, time_s = tuple(ppm), np.arange(2048) / 4000.0
    hz = 127.7 * (np.array([*ppm.values()]) - CARRIER_PPM)
    fids = 3 * np.exp((2j * np.pi * hz[:, None] - 6) * time_s)
    basis = tmp_path / "basis"
    basis.mkdir()
    for name, content in to_fsl(Basis(names, fids, 1 / 4000.0, 127.7, 0.03)).items():
        (basis / name).write_text(content)
    command = (
        f"fsl_mrs --data {tmp_path}/sub-1.nii.gz --basis {basis} --output x --keep Glu NAA Ins"
    )
    assert fmrsflow(["import", "fsl-mrs", command, str(tmp_path / "study")]) == 0
    settings, rows, _, _ = imported(tmp_path / "study")
    assert sorted(settings["fit"]["exclude"]) == ["Cr", "Gln"]
    assert settings["basis"]["path"] == "basis" and rows["--keep"][0]["kind"] == SAME


def test_commands_that_differ_in_more_than_files_are_refused(tmp_path, capsys):
    lines = [COMMAND.replace("sub-03", "sub-04").replace("4.0", "4.2"), COMMAND]
    (tmp_path / "commands.sh").write_text("\n".join(["#!/bin/sh", *lines]))
    study = str(tmp_path / "study")
    assert fmrsflow(["import", "fsl-mrs", str(tmp_path / "commands.sh"), study]) == 1
    assert "differ" in capsys.readouterr().err
    (tmp_path / "commands.sh").write_text("\n".join([COMMAND, COMMAND.replace("sub-03", "sub-04")]))
    assert fmrsflow(["import", "fsl-mrs", str(tmp_path / "commands.sh"), study]) == 0
    assert len(read_table(tmp_path / "study/config/scans.tsv")) == 2


def test_scans_without_a_label_are_listed_as_people_of_their_own(tmp_path):
    (tmp_path / "job.m").write_text("files = {'a/x.SDAT', 'a/y.SDAT'};")
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "one")]) == 0
    _, rows, scans, _ = imported(tmp_path / "one")
    assert [scan["subject"] for scan in scans] == ["01", "02"]
    assert rows["(subject)"][0]["kind"] == OPEN
    (tmp_path / "job.m").write_text("files = {'sub-7/x.SDAT', 'sub-7/y.SDAT'};")
    assert fmrsflow(["import", "osprey", str(tmp_path / "job.m"), str(tmp_path / "two")]) == 0
    _, rows, scans, _ = imported(tmp_path / "two")
    assert [(scan["subject"], scan["run"]) for scan in scans] == [("7", "1"), ("7", "2")]
    assert "(subject)" not in rows


@pytest.mark.parametrize("name", preset_names())
def test_every_choice_of_a_preset_has_its_source(tmp_path, name, capsys):
    choices = read_preset(name)
    (source,) = (row["note"] for row in choices.rows if row["from"] == "(source)")
    assert "doi:10." in source or "docs/" in source
    assert all(row["note"] or row["value"] for row in choices.rows)
    # None is outside our limits.
    carried = [row for row in choices.rows if row["kind"] in (SAME, NEAREST)]
    assert len(carried) >= 4 and not any("is not" in row["note"] for row in choices.rows)
    assert fmrsflow(["init", str(tmp_path), "--preset", name]) == 0
    settings, rows, _, _ = imported(tmp_path)
    own = {f"{s}.{k}": v for s, keys in choices.settings.items() for k, v in keys.items()}
    assert differing(settings) == own
    assert set(next(iter(rows.values()))[0]) == set(IMPORTED)
    assert fmrsflow(["init", str(tmp_path), "--preset", name]) != 0


def test_a_preset_that_does_not_exist_is_answered_with_the_nearest(tmp_path, capsys):
    assert fmrsflow(["init", str(tmp_path), "--preset", "korotkov"]) == 2
    assert "did you mean 'korotkov2026'" in capsys.readouterr().err


def test_measured_differences_are_those_of_the_documents():
    """Of the table that the benchmark prints, in notes and in docs/start.md alike."""
    lines = (ROOT / "docs" / "measured.md").read_text().split("Mean ratios to tCr")[1].splitlines()
    header, _, *rows = (line.strip("|").split("|") for line in lines if line.startswith("|"))
    names = [name.strip() for name in header]
    table = {row[0].strip(): dict(zip(names, row)) for row in rows[:7]}
    page = (ROOT / "docs" / "start.md").read_text()
    for program, figures in MEASURED.items():
        for metabolite, percent in figures.items():
            row = table[metabolite]
            assert percent == pytest.approx(
                100 * (float(row["ours"]) / float(row[program]) - 1), abs=0.6
            ), (program, metabolite)
        said = measured(program).split(": ")[1].split(" %")[0]
        assert f" {said} |" in page


def test_the_effect_of_constants_is_that_of_the_documents():
    tissue = Tissue(0.6, 0.4, 0.0)

    def of(name: str, quantity) -> float:
        own = constants(name, 3.0)
        water = {one: own.water_factor(one, 0.03, 2.0) for one in ("gm", "wm", "csf")}
        return quantity(1.0, tissue, water, own.metabolite_factor("Cr", tissue, 0.03, 2.0))

    below = 100 * (of("fsl-mrs", molal) / of("osprey", molal) - 1)
    # LCModel's manual: (metabolite / water) x WCONC x ATTH2O, two protons of water.
    above = 100 * (of("osprey", molar) / (2 * 35880 * 0.7) - 1)
    page = (ROOT / "docs" / "start.md").read_text()
    assert f"`fsl-mrs` is {-below:.0f} % below" in page
    assert f"`osprey` is {above:.0f} % above" in page
