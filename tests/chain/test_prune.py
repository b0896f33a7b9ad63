"""`fmrsflow prune` on the tiny run: what stays, that nothing runs for it, that what is asked for
comes back as it was, and that loss is told apart."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from chain_tools import snakemake, tables
from planning import plan
from surroundings import Unavailable, mounted

from fmrsflow.cli import main as fmrsflow
from fmrsflow.results import read_record

pytestmark = pytest.mark.slow

KEY = "alpha/sub-01_task-visual"
LARGE = (".nii.gz", ".npz", ".png", ".html")
SETTINGS = "robust-simulated-spline"


@pytest.fixture
def run(tiny_run, tmp_path, monkeypatch) -> Path:
    """A copy of the finished run, times kept; its folder is the current one."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def large(results: Path) -> dict[str, str]:
    """Digests of the large files of scans."""
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.rglob("sub-*")
        if path.is_file() and path.name.endswith(LARGE)
    }


def test_tables_and_records_stay_and_nothing_runs_again(run, capsys):
    results = run / "results"
    before, whole = tables(results), large(results)
    records = {path: path.read_bytes() for path in results.rglob("*record.json")}
    assert fmrsflow(["prune", "-n"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(whole) and large(results) == whole
    assert fmrsflow(["prune"]) == 0
    assert f"{len(whole)} files" in capsys.readouterr().err
    assert large(results) == {} and tables(results) == before
    assert all(path.read_bytes() == content for path, content in records.items())
    assert (results / "main/report/index.html").exists()
    assert plan(run).rules == {}
    assert fmrsflow(["verify"]) == 0
    assert f"{len(whole)} files pruned" in capsys.readouterr().out
    scans = [path for path in results.rglob("sub-*") if path.is_file()]
    assert sum(path.stat().st_size for path in scans) / 4 <= 0.5e6
    assert fmrsflow(["prune"]) == 0, "again"
    assert "0 files, 0.0 MB pruned" in capsys.readouterr().err


def test_what_is_asked_for_comes_back_as_it_was_and_nothing_else(run, capsys):
    """A fit reads the transients, those come of the converted file, that of the scanner's."""
    results = run / "results"
    whole = large(results)
    record = results / f"fit-{SETTINGS}/alpha/sub-01/mrs/sub-01_task-visual_desc-fit_record.json"
    before = read_record(record)
    assert fmrsflow(["prune"]) == 0
    assert fmrsflow(["fit", "--study", "results/study.json", SETTINGS, KEY]) == 0
    assert read_record(record)["files"] == before["files"]
    assert read_record(record)["inputs"] == before["inputs"]
    back = large(results)
    assert back == {name: whole[name] for name in back}
    stages = {name.split("/")[0].split("-")[0] for name in back}
    assert stages == {"convert", "preprocess", "fit"}
    assert {name.split("/")[2] for name in back} == {"sub-01"}

    page = f"results/main/report/scans/{KEY}.html"
    assert fmrsflow(["report", "main", KEY]) == 0
    name = page.removeprefix("results/")
    assert hashlib.sha256((run / page).read_bytes()).hexdigest() == whole[name]


def test_a_response_of_pruned_results_is_that_of_whole_ones(run):
    """It reads the one model of all transients, which is then made again."""
    results = run / "results"
    whole = large(results)
    record = next(results.glob("response-*/alpha/sub-01/mrs/*_record.json"))
    before = read_record(record)
    models = {name for name in before["inputs"] if name.endswith("_desc-fit_model.npz")}
    assert models
    assert fmrsflow(["prune", "--intermediates"]) == 0
    record.unlink()
    settings = record.relative_to(results).parts[0].removeprefix("response-")
    assert fmrsflow(["response", "--study", "results/study.json", settings, KEY]) == 0
    after = read_record(record)
    assert after["files"] == before["files"] and after["inputs"] == before["inputs"]
    assert {name: digest for name, digest in large(results).items() if name in models} == {
        name: whole[name] for name in models
    }


def test_a_bundle_of_pruned_results_is_that_of_whole_ones(run):
    assert fmrsflow(["bundle", "alpha", "--out", "before.zip"]) == 0
    assert fmrsflow(["prune"]) == 0
    assert fmrsflow(["bundle", "alpha", "--out", "after.zip"]) == 0
    assert (run / "after.zip").read_bytes() == (run / "before.zip").read_bytes()


def test_loss_is_told_apart_and_made_again(run, capsys):
    assert fmrsflow(["prune"]) == 0
    lost = next((run / "results").rglob("*_desc-fit_amplitudes.tsv"))
    lost.unlink()
    capsys.readouterr()
    assert fmrsflow(["verify"]) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if "missing" in line]
    assert told and all(lost.name in line for line in told)
    assert plan(run).rules["fit"] == 1


def test_other_data_than_were_read_are_no_source_of_what_was_pruned(run, capsys):
    source = next((run / "data" / "alpha" / "sub-01").rglob("*_svs.SDAT"))
    assert fmrsflow(["prune"]) == 0
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 64
    source.write_bytes(content)
    assert fmrsflow(["fit", "--study", "results/study.json", SETTINGS, KEY]) == 1
    assert "in another way than before it was pruned" in capsys.readouterr().err


def test_a_scan_whose_data_are_gone_is_kept_whole(run, capsys):
    whole = large(run / "results")
    next((run / "data" / "alpha" / "sub-01").rglob("*_svs.SDAT")).unlink()
    assert fmrsflow(["prune"]) == 0
    assert "kept whole: 1 scan" in capsys.readouterr().err
    kept = large(run / "results")
    assert kept and kept == {name: one for name, one in whole.items() if "alpha/sub-01" in name}


def test_a_damaged_record_keeps_the_files_of_its_scan_alone(run):
    whole = large(run / "results")
    folder = f"fit-{SETTINGS}/alpha/sub-01/mrs"
    record = run / "results" / folder / "sub-01_task-visual_desc-fit_record.json"
    record.write_text(record.read_text().replace('"ok"', '"OK"'))
    assert fmrsflow(["prune"]) == 0
    kept = large(run / "results")
    assert kept == {name: one for name, one in whole.items() if name.startswith(folder)} != {}
    assert fmrsflow(["verify"]) == 1


def test_a_setting_deletes_intermediates_at_the_end_of_a_run(run):
    """As Snakemake's `temp` would: no spectrum, map or array is left, every page is."""
    before, whole = tables(run / "results"), large(run / "results")
    config = run / "config" / "config.yaml"
    config.write_text(f"{config.read_text()}\nkeep_intermediates: false\n")
    assert plan(run).rules == {"complete": 1, "all": 1}
    snakemake(run, "--cores", "1")
    left = large(run / "results")
    assert left == {
        name: one for name, one in whole.items() if not name.endswith((".nii.gz", ".npz"))
    }
    assert len([name for name in left if name.endswith(".html")]) == 4
    assert tables(run / "results") == before and plan(run).rules == {}


def test_prune_makes_room_on_a_full_disk(tiny_run, tmp_path, monkeypatch):
    size = sum(path.stat().st_size + 8192 for path in tiny_run.rglob("*") if path.is_file())
    try:
        with mounted(tmp_path / "disk", size):
            shutil.copytree(tiny_run, tmp_path / "disk" / "copy", symlinks=True)
            monkeypatch.chdir(tmp_path / "disk" / "copy")
            with suppress(OSError), Path("filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            assert shutil.disk_usage(".").free == 0
            assert fmrsflow(["prune"]) == 0
            assert large(Path("results")) == {}
            assert fmrsflow(["verify"]) == 0
            monkeypatch.chdir(tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))
