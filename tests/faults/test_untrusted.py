"""Files of others: nothing in them is run, leads out of the data root or reaches a shell."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from chain_tools import ROOT, command, environment, snakemake, write_config
from small_study import make_study
from twix_files import write_twix

import report_fixture
from fmrsflow import cli
from fmrsflow.basis.files import read_npz
from fmrsflow.convert import reader
from fmrsflow.convert.child import Ended
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.files import read_json
from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.tables import read_table, write_table

PACKAGE = ROOT / "workflow" / "src" / "fmrsflow"
ODD = """it's "q" $(touch harm) `touch harm` ; touch harm & #é.SDAT"""
"""The name of a file that a shell would run."""


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("untrusted") / "study")


@pytest.fixture
def folder(study, tmp_path) -> Path:
    shutil.copytree(study, tmp_path / "study")
    return tmp_path / "study"


def calls(tree: ast.AST):
    """(dotted name, call) for every call in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_no_module_opens_a_pickle_an_unsafe_yaml_or_a_shell(path):
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names}  # fmt: skip
    assert not names & {"pickle", "shelve", "marshal", "dill"}
    for name, call in calls(tree):
        keywords = {one.arg: ast.unparse(one.value) for one in call.keywords}
        assert name not in ("eval", "exec", "os.system", "os.popen", "yaml.load"), call.lineno
        assert keywords.get("shell", "False") == "False", call.lineno
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False", call.lineno


def test_a_pickle_in_an_npz_is_refused_unopened(tmp_path, capsys):
    harm, path = tmp_path / "harm", tmp_path / "x_desc-fit_result.npz"
    pickled = np.array([Harm(harm)], dtype=object)
    np.savez(path, names=pickled, fids=pickled, allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read as a basis"):
        read_npz(path)
    assert cli.main(["view", str(path), "-o", str(tmp_path / "x.png")]) == 1
    assert "cannot be read as a fit" in capsys.readouterr().err
    assert not harm.exists()
    pickle.loads(pickle.dumps(Harm(harm)))
    assert harm.exists()  # it would have done harm


def test_yaml_that_makes_objects_is_refused(folder):
    config = folder / "config" / "config.yaml"
    text = config.read_text()
    config.write_text(f"{text}\nprimary: !!python/object/apply:os.system ['touch harm']\n")
    with pytest.raises(StudyError, match="not readable as YAML"):
        read_config(config)
    printed = snakemake(folder, "-n", ok=False)
    assert "not readable as YAML" in printed
    assert not (folder / "harm").exists()


@pytest.mark.parametrize(
    "name", ["a;touch harm", "$(touch harm)", "a b", "../a", "a'b", "-rf", "<b>", "å", "a\u2028b"]
)
@pytest.mark.parametrize("column", ["site", "subject", "task", "condition"])
def test_a_label_is_letters_and_digits(folder, monkeypatch, column, name):
    monkeypatch.chdir(folder)
    sheet = Path("data/config/scans.tsv")
    rows = read_table(sheet)
    rows[0][column] = name
    write_table(sheet, rows)
    with pytest.raises(StudyError, match=rf"scans\.tsv row 2: {column}: .*letters and digits"):
        read_study(read_config("config/config.yaml"))


@pytest.mark.parametrize(
    "path", ["../x.SDAT", "/etc/passwd", "~/x.SDAT", "a/../../x", "{x}.SDAT", "a\\x.SDAT"]
)
@pytest.mark.parametrize("column", ["mrs", "ref", "t1w", "gm", "events", "bold"])
def test_a_path_that_leads_out_or_that_snakemake_would_fill_in_is_refused(
    folder, monkeypatch, column, path
):
    monkeypatch.chdir(folder)
    sheet = Path("data/config/scans.tsv")
    rows = read_table(sheet)
    rows[0][column] = path
    write_table(sheet, rows)
    with pytest.raises(StudyError, match=rf"scans\.tsv row 2: {column}"):
        read_study(read_config("config/config.yaml"))


@pytest.mark.parametrize("results", ["a;touch harm", "$(touch harm)", "a b", "-rf", "a'b"])
def test_the_name_of_the_results_reaches_the_shell_as_it_is(folder, monkeypatch, results):
    monkeypatch.chdir(folder)
    write_config(folder, results=results)
    with pytest.raises(StudyError, match="results: .* holds other than letters"):
        read_study(read_config("config/config.yaml"))


@pytest.mark.slow
def test_a_file_with_an_odd_name_is_read_and_not_run(folder):
    sheet = folder / "data" / "config" / "scans.tsv"
    rows = read_table(sheet)
    source = folder / "data" / rows[0]["mrs"]
    for ending in (".SDAT", ".SPAR"):
        odd = source.with_name(ODD).with_suffix(ending)
        shutil.move(source.with_suffix(ending), odd)
    rows[0]["mrs"] = str(source.with_name(ODD).relative_to(folder / "data"))
    # By hand: write_table makes one space of two.
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    sheet.write_text("\n".join(lines) + "\n")
    record = "results/convert/alpha/sub-01/mrs/sub-01_task-visual_desc-convert_record.json"
    snakemake(folder, "--cores", "1", record)
    assert read_json(folder / record)["status"] == "ok"
    assert not list(folder.rglob("harm"))


@pytest.mark.parametrize("ending", [".SDAT", ".SPAR"])
def test_a_link_that_leads_out_of_the_data_root_is_not_followed(folder, monkeypatch, ending):
    monkeypatch.chdir(folder)
    row = read_table("data/config/scans.tsv")[0]
    inside = (folder / "data" / row["mrs"]).with_suffix(ending)
    shutil.move(inside, folder / "outside")
    os.symlink(folder / "outside", inside)
    study = read_study(read_config("config/config.yaml"))
    Path("results").mkdir()
    Path("results/study.json").write_text(study.save_text())
    assert cli.main(["convert", study.scans[0].key]) == 0
    record = read_json(study.record_path("convert", {}, study.scans[0]))
    assert record["status"] == "failed"
    assert "leads out of the data root" in record["reason"]


def test_what_a_converter_prints_of_a_file_goes_to_the_log_alone(tmp_path, monkeypatch, capsys):
    """It may quote the header, where a name stands; a reason goes on pages and in bundles."""
    path = tmp_path / "scan.dat"
    box = np.diag([20.0, 20.0, 20.0, 1.0])
    write_twix(Fids(np.ones((2, 1, 64), np.complex64), 5e-4, 123.2, 0.03, 2.0, box), path)
    said = "Error: unexpected header value PatientName: Doe^Jane"
    real = reader.run_spec2nii

    def converter(arguments, *rest):
        return Ended(said, refused=True) if arguments[0] == "twix" else real(arguments, *rest)

    monkeypatch.setattr(reader, "run_spec2nii", converter)
    with pytest.raises(DataError, match="spec2nii cannot read it as Siemens twix") as refusal:
        reader.read(path, None)
    assert "Jane" not in str(refusal.value)
    assert said in capsys.readouterr().err


def test_a_file_in_a_dicom_folder_is_not_told_by_its_name(tmp_path):
    """Scanners name it after the person."""
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "DOE_JANE_19800101_0001.dcm").write_bytes(b"x" * 200)
    with pytest.raises(
        DataError, match="^the folder dicom holds no DICOM file of spectr"
    ) as refusal:
        reader.read(tmp_path / "dicom", None)
    assert "DOE" not in str(refusal.value)


def test_html_in_free_text_is_text_on_the_pages(tmp_path, monkeypatch):
    """A file's name and the reason of a failure are free text."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    made = report_fixture.make_study(tmp_path, n_sites=1, n_subjects=2)
    first, second = made.scans
    report_fixture.write_scan(made, first, 1, picture=False)
    report_fixture.fail_scan(made, second, "convert", f"{evil}.SDAT is no file")
    (made.results / "study.json").write_text(made.save_text())
    frozen = str(made.results / "study.json")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--study", frozen, "main", first.key, second.key]) == 0
    assert cli.main(["report", "--study", frozen, "main"]) == 0
    pages = list(made.results.rglob("*.html"))
    assert pages
    assert any("&lt;script&gt;alert(1)" in page.read_text() for page in pages)
    assert not any("<script>alert" in page.read_text() for page in pages)
    assert not any("<img src=x" in page.read_text() for page in pages)


def test_a_study_folder_with_an_odd_name_runs(study, tmp_path):
    """The folder's name is the user's; commands are relative to it."""
    folder = tmp_path / "it's $(touch harm) {x}"
    shutil.copytree(study, folder)
    done = subprocess.run(
        [*command(folder, "-n")], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not list(tmp_path.rglob("harm"))
