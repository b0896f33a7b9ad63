"""`fmrsflow check`: what is wrong is told before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fmrsflow.stages.check import main
from fmrsflow.study import Scan, Site, Study
from fmrsflow.surroundings import troubles

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """The shipped study with a cell of its last site changed; what check returns."""
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def check(**cells: str) -> int:
        sheet = tmp_path / "config" / "sites.tsv"
        header, *rows = [line.split("\t") for line in sheet.read_text().splitlines()]
        for column, value in cells.items():
            if column not in header:
                header.append(column)
                rows = [[*row, "n/a"] for row in rows]
            rows[-1][header.index(column)] = value
        sheet.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
        return main([])

    return check


def test_the_shipped_study_passes(changed, capsys):
    assert changed() == 0
    assert "4 sites, 12 scans" in capsys.readouterr().out


def test_a_study_is_named_by_its_folder(changed, tmp_path, monkeypatch, capsys):
    changed()
    monkeypatch.chdir(tmp_path.parent)
    assert main([tmp_path.name]) == 0
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "config" / "config.yaml").unlink()
    assert main([tmp_path.name]) == 1
    assert "config/config.yaml" in capsys.readouterr().err


def test_delays_that_refocus_no_echo_are_told(changed, capsys):
    assert changed(sequence="sLASER", te_s="0.028", pulse_delays_s="0.005 0.005 0.005 0.005") == 1
    assert "sLASER has five delays" in capsys.readouterr().err


def test_delays_that_are_no_numbers_are_told(changed, capsys):
    assert changed(pulse_delays_s="five") == 1
    assert "pulse_delays_s is 'five'" in capsys.readouterr().err


@pytest.fixture
def measured(tmp_path):
    """Makes a study of one measured scan."""

    def make(subject: str = "01", site: str = "north", mrs: str = "a.nii.gz") -> Study:
        scan = Scan(site, subject, mrs)
        where = Site(site, "Philips", 3.0, "PRESS", 0.03, 2.0, "own")
        (tmp_path / "data").mkdir(exist_ok=True)
        config = {"data_root": str(tmp_path / "data"), "scans_sheet": "scans.tsv"}
        return Study(config, {site: where}, (scan,))

    return make


def test_a_home_that_cannot_be_written_is_told(measured, tmp_path, monkeypatch):
    """Snakemake stops with a traceback."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "nobody"))
    (told,) = troubles(measured())
    assert "file is not writable; set HOME or XDG_CACHE_HOME" in told
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not troubles(measured())


def test_labels_that_make_no_file_name_are_told(measured):
    (told,) = troubles(measured(subject="a" * 225))
    assert "file name of 229 letters; 191 at most" in told
    (told,) = troubles(measured(site="b" * 120))
    assert "has 120 letters; 75 at most" in told
    assert not troubles(measured(subject="a" * 180, site="b" * 75))


def test_a_link_that_leads_above_the_data_root_is_told(measured, tmp_path):
    study = measured()
    (tmp_path / "elsewhere.nii.gz").touch()
    (tmp_path / "data" / "a.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    (told,) = troubles(study)
    assert "north/sub-01: mrs: a.nii.gz is a link that leads out of" in told
    (tmp_path / "data" / "b.nii.gz").touch()
    (tmp_path / "data" / "a.nii.gz").unlink()
    (tmp_path / "data" / "a.nii.gz").symlink_to("b.nii.gz")
    assert not troubles(study)


@pytest.mark.parametrize("block_s, stated", [(64, True), (8, False)])
def test_what_a_design_can_show_is_said_before_the_scan(
    tmp_path, monkeypatch, capsys, block_s, stated
):
    """Blocks of 64 s show .83 of a response that lags like BOLD, those of 8 s the reverse of it."""
    monkeypatch.chdir(tmp_path)
    head = "site\tvendor\tfield_t\tsequence\tte_s\ttr_s\tprotocol\ttransients\n"
    (tmp_path / "sites.tsv").write_text(head + "a\tPhilips\t7\tPRESS\t0.036\t4\town\t64\n")
    scans = "site\tsubject\ttask\tmrs\tevents\n"
    (tmp_path / "scans.tsv").write_text(
        scans + "".join(f"a\t0{j}\tvisual\tm{j}.nii\te.tsv\n" for j in (1, 2))
    )
    for j in (1, 2):
        (tmp_path / f"m{j}.nii").write_bytes(bytes([j]))
    onsets = range(block_s, 256, 2 * block_s if stated else 3 * block_s)
    lines = [f"{onset}\t{block_s}\tvisual\n" for onset in onsets]
    (tmp_path / "e.tsv").write_text("onset\tduration\ttrial_type\n" + "".join(lines))
    sheets = "data_root: .\nsites_sheet: sites.tsv\nscans_sheet: scans.tsv\n"
    stages = ("preprocess", "basis", "fit", "concentration", "response")
    sheets += "primary: main\nanalyses: {main: {%s}}\n"
    sheets %= ", ".join(f"{one}: a" for one in stages)
    (tmp_path / "c.yaml").write_text(sheets + "".join(f"{one}: {{a: {{}}}}\n" for one in stages))
    main(["c.yaml"])
    out, err = capsys.readouterr()
    assert "and 1 more like it: visual, 64 transients of 4 s" in out, err
    assert ("0.83 (hrf)" in out) is stated
    assert ("no plateau will be stated" in out) is not stated


def test_units_of_one_condition_are_told_before_any_data(changed, capsys):
    """Two rest scans of one person as a unit, a person with a task scan alone, and a whole pair."""
    header = ["site", "subject", "session", "task", "acq", "run", "mrs", "condition", "unit"]
    rows = [
        ["siteA", "01", "1", "rest", "", "1", "a.nii", "rest", "one"],
        ["siteA", "01", "1", "rest", "", "2", "b.nii", "rest", "one"],
        ["siteA", "02", "", "memory", "", "", "c.nii", "memory", ""],
        ["siteA", "03", "", "rest", "", "", "d.nii", "rest", ""],
        ["siteA", "03", "", "memory", "", "", "e.nii", "memory", ""],
    ]
    sites = (CONFIG / "sites.tsv").read_text().splitlines()
    rows = [[sites[1].split("\t")[0], *row[1:]] for row in rows]
    text = "\n".join("\t".join(cell or "n/a" for cell in row) for row in [header, *rows])
    Path("config/scans.tsv").write_text(text + "\n")
    changed()
    told = [line for line in capsys.readouterr().out.splitlines() if "one condition" in line]
    assert len(told) == 2
    both = "sub-01_ses-1_task-rest_run-1 with "
    assert "(rest)" in told[0] and both in told[0] and "sub-01_ses-1_task-rest_run-2" in told[0]
    assert "(memory)" in told[1] and "sub-02_task-memory" in told[1]
    assert not any("sub-03" in line for line in told)
    # A design matrix of the user is enough.
    config = Path("config/config.yaml")
    config.write_text(config.read_text().replace("joint_design: ''", "joint_design: '{stem}.tsv'"))
    changed()
    assert "one condition" not in capsys.readouterr().out
