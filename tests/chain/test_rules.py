"""Snakemake's own idiom on the real Snakefile: rules by the stages' names, files that only a
manifest names, faults of single scans."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from chain_tools import ROOT, environment, snakemake, tables, write_config
from planning import plan

from fmrsflow import manifests
from fmrsflow.cli import main as fmrsflow
from fmrsflow.files import read_json
from fmrsflow.tables import read_table

pytestmark = pytest.mark.slow

FIT = "results/fit-robust-simulated-spline"
SCAN = "alpha/sub-01/mrs/sub-01_task-visual_desc-fit"
AFTER_FIT = {"quantify", "response", "concordance", "sites", "multiverse", "pages", "report"}
LAST = {"complete", "all"}


@pytest.fixture
def copied(tiny_run, tmp_path):
    """A copy of a finished run, modification times kept."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder, symlinks=True)
    return folder


def test_a_finished_run_has_nothing_to_do(tiny_run):
    assert plan(tiny_run).rules == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"forcerun": {"fit"}}, {"fit", *AFTER_FIT, *LAST}),
        ({"forcerun": {"fit"}, "until": {"fit"}}, {"fit"}),
        ({"forcerun": {"fit"}, "omit_from": {"quantify"}}, {"fit"}),
        ({"forcerun": {"fit"}, "targets": {"all_fit"}}, {"fit", "all_fit"}),
        (
            {"forcerun": {"response"}, "targets": {"all_sites"}},
            {"response", "sites", "all_sites"},
        ),
        (
            {"forcerun": {"sites"}, "targets": {"all_report"}},
            {"sites", "multiverse", "pages", "report", "all_report"},
        ),
        (
            {"forcerun": {"sites"}, "targets": {"results/main/sites/meta.tsv"}},
            {"sites"},
        ),
        (
            {"forcerun": {"fit"}, "targets": {f"{FIT}/{SCAN}_record.json"}},
            {"fit"},
        ),
        (
            {
                "forcerun": {"pages"},
                "targets": {"results/main/report/scans/alpha/sub-01_task-visual.html"},
            },
            {"pages"},
        ),
    ],
)
def test_rules_go_by_the_names_of_the_stages(tiny_run, options, expected):
    assert set(plan(tiny_run, **options).rules) == expected


def test_resources_of_a_stage_can_be_set(tiny_run):
    setting = {"fit": {"mem_mb": 4000}}
    found = plan(tiny_run, setting, forcerun={"fit"}, until={"fit"})
    assert [job.resources["mem_mb"] for job in found.jobs] == [4000, 4000]


def test_the_command_line_takes_the_same_names(tiny_run):
    said = snakemake(tiny_run, "-n", "--cores", "1", "--forcerun", "fit", "--until", "fit",
                     "--set-resources", "fit:mem_mb=4321", "--prioritize", "fit")  # fmt: skip
    assert "mem_mb=4321" in said and re.search(r"^fit +2$", said, re.M)
    assert not re.search(r"^quantify +", said, re.M)


def test_one_file_of_a_scan_makes_its_batch_and_no_more(tiny_study):
    found = plan(tiny_study, targets={f"{FIT}/{SCAN}_joint.tsv"})
    assert found.rules == {"convert": 1, "preprocess": 1, "basis": 1, "fit": 1, "file": 1}


def test_a_file_that_no_stage_makes_is_refused(tiny_run):
    said = snakemake(tiny_run, "-n", f"{FIT}/{SCAN.replace('01', '09')}_record.json", ok=False)
    assert "scans.tsv has no alpha/sub-09_task-visual" in said


def test_the_graph_of_rules_fits_on_a_screen(tiny_run):
    graph = snakemake(tiny_run, "--rulegraph", "--forceall")
    nodes = re.findall(r'label = "(\w+)"', graph)
    assert len(nodes) == len(set(nodes)) <= 17
    assert {"convert", "segment", "basis", "fit", "sites", "pages", "report"} <= set(nodes)


def test_snakemakes_report_holds_pages_and_tables(copied):
    snakemake(copied, "--report", "report.zip")
    shutil.unpack_archive(copied / "report.zip", copied / "unpacked")
    names = {path.name for path in (copied / "unpacked").rglob("*") if path.is_file()}
    assert {"index.html", "site-alpha.html", "meta.tsv", "responses.tsv", "problems.tsv"} <= names


def test_what_only_a_manifest_names_is_listed_and_cleaned(copied, monkeypatch, capsys):
    monkeypatch.chdir(copied)
    assert fmrsflow(["list", "fit"]) == 0
    listed = capsys.readouterr().out.split()
    assert f"{FIT}/{SCAN}_model.npz" in listed
    assert fmrsflow(["clean", "fit"]) == 0
    assert not [path for path in listed if os.path.exists(path)]
    assert set(plan(copied).rules) == {"fit", *AFTER_FIT, *LAST}
    snakemake(copied, "--delete-all-output", "--cores", "1")
    assert not list(copied.rglob("batches/*.json"))


def test_a_missing_file_is_made_again_and_alone(copied, tiny_run):
    lost = copied / FIT / f"{SCAN}_model.npz"
    lost.unlink()
    assert plan(copied).rules["fit"] == 1
    other = copied / FIT / SCAN.replace("01", "02").replace("_desc-fit", "_desc-fit_record.json")
    before = other.stat().st_mtime_ns
    snakemake(copied, "--cores", "1", "all_fit")
    assert lost.exists() and other.stat().st_mtime_ns == before
    assert plan(copied, targets={"all_fit"}).rules == {}
    assert tables(copied / FIT) == tables(tiny_run / FIT)


def test_damage_of_the_same_size_is_refused_and_mended_by_verify(copied, tiny_run, monkeypatch):
    """The time too is as it was, so that no stat can see it."""
    path = copied / FIT / f"{SCAN}_amplitudes.tsv"
    state, text = path.stat(), path.read_text()
    path.write_text(text.replace("1", "2", 1))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert plan(copied).rules == {}
    monkeypatch.chdir(copied)
    assert fmrsflow(["verify", "--repair"]) == 1
    assert plan(copied).rules["fit"] == 1
    snakemake(copied, "--cores", "2")
    assert fmrsflow(["verify"]) == 0
    assert tables(copied / "results") == tables(tiny_run / "results")


def test_a_fault_costs_its_scan_alone_and_the_next_run_mends_it(copied, tiny_run):
    """A folder stands where a table should be written: neither the data nor the program."""
    table = copied / FIT / f"{SCAN}_amplitudes.tsv"
    table.unlink()
    table.mkdir()
    said = snakemake(copied, "--cores", "2", ok=False)
    assert "alpha/sub-01_task-visual: fit:" in said
    entries = manifests.read(copied / FIT / "batches" / "alpha_0.json").entries
    assert [entries[key].status for key in sorted(entries)] == ["fault", "ok"]
    assert not (copied / FIT / f"{SCAN}_record.json").exists()
    scans = {row["scan"]: row for row in read_table(copied / "results/main/sites/scans.tsv")}
    assert scans["alpha/sub-01_task-visual"]["status"] == "fault"
    assert scans["alpha/sub-02_task-visual"]["status"] == "ok"
    problems = read_table(copied / "results/main/sites/problems.tsv")
    assert [row["stage"] for row in problems if row["kind"] == "fault"] == ["fit"]
    page = copied / "results/main/report/scans/alpha/sub-01_task-visual.html"
    assert "fault" in page.read_text()
    assert not (copied / "results/complete.json").exists()
    table.rmdir()
    assert plan(copied).rules["fit"] == 1
    snakemake(copied, "--cores", "2")
    assert (copied / "results/complete.json").exists()
    assert plan(copied).rules == {}
    assert tables(copied / "results") == tables(tiny_run / "results")


def test_an_input_that_could_not_be_read_is_tried_again_when_it_can(tiny_study):
    """A link out of the data root, replaced by the file itself with the time of the old one."""
    (path,) = (tiny_study / "data").glob("alpha/sub-01/**/*_svs.SDAT")
    away = tiny_study / "away.SDAT"
    shutil.move(path, away)
    path.symlink_to(away)
    record = path.name.replace("svs.SDAT", "desc-convert_record.json")
    target = f"results/convert/alpha/sub-01/mrs/{record}"
    snakemake(tiny_study, "--cores", "1", target)
    assert read_json(tiny_study / target)["status"] == "failed"
    assert plan(tiny_study, targets={target}).rules == {}
    path.unlink()
    shutil.copy2(away, path)
    snakemake(tiny_study, "--cores", "1", target)
    assert read_json(tiny_study / target)["status"] == "ok"


def rows_of(folder):
    sheet = folder / "data" / "config" / "scans.tsv"
    header, *rows = sheet.read_text().splitlines()
    return sheet, header, rows


@pytest.mark.parametrize(
    ("subject", "batches"), [("09", {"alpha_1"}), ("00", {"alpha_0", "alpha_1"})]
)
def test_a_new_scan_reruns_its_batch_and_later_ones_of_its_site(copied, subject, batches):
    """Two scans a batch, by person: one at the end of its site has a batch of its own."""
    sheet, header, rows = rows_of(copied)
    new = rows[0].replace("\t01\t", f"\t{subject}\t", 1).replace("sub-01", f"sub-{subject}")
    sheet.write_text("\n".join([header, *rows, new]) + "\n")
    found = plan(copied, targets={"all_convert"})
    assert {job.wildcards["job"] for job in found.jobs if job.rule_name == "convert"} == batches


def test_another_workflow_takes_the_rules_from_a_git_repository(tiny_study, tmp_path):
    """As snakedeploy writes it; git takes a repository of this machine in the place of GitHub's."""
    repository = tmp_path / "hub" / "owner" / "fmrsflow"
    for name in ("rules", "envs", "workflow"):
        skip = shutil.ignore_patterns("src", "__pycache__")
        shutil.copytree(ROOT / name, repository / name, ignore=skip)
    shutil.copy(ROOT / "Snakefile", repository)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    hub = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/hub/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    (tiny_study / "Snakefile").write_text(
        """
configfile: "config/config.yaml"

module fmrsflow:
    snakefile: github("owner/fmrsflow", path="workflow/Snakefile", tag="v1")
    config: config

use rule * from fmrsflow

use rule convert from fmrsflow with:
    resources:
        mem_mb=1234,

rule own:
    input: "results/convert/batches/alpha_0.json"
    output: "own.txt"
    shell: "cp {input} {output}"
"""
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy"]
    done = subprocess.run(
        [*command, "own", "--verbose"],
        cwd=tiny_study,
        env={**environment(), **hub},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mem_mb=1234" in done.stderr
    assert set(read_json(tiny_study / "own.txt")["entries"]) == {
        "alpha/sub-01_task-visual",
        "alpha/sub-02_task-visual",
    }


def test_no_environment_needs_to_be_activated(tiny_study):
    path = ":".join(
        one for one in os.environ["PATH"].split(":") if not os.path.exists(f"{one}/fmrsflow")
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1",
         "--scheduler", "greedy", "results/convert/batches/alpha_0.json"],
        cwd=tiny_study, env={**environment(), "PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_moved_environment_reruns_nothing(tiny_run):
    """Snakemake compares the text of a command with that of the last run."""
    found = plan(tiny_run, forcerun={"fit"}, until={"fit"})
    commands = [job.shellcmd for job in found.jobs if job.rule_name == "fit"]
    assert len(commands) == 2 and all("-P -m fmrsflow fit" in one for one in commands)
    assert not any(sys.executable in one for one in commands)


def test_the_log_is_a_line_a_stage_and_verbose_gives_the_rest(tiny_study):
    said = snakemake(tiny_study, "--cores", "2", "all_preprocess")
    lines = [line for line in said.splitlines() if re.match(r"(convert|preprocess): ", line)]
    assert len(lines) == 2 and all(": 4 scans (" in line for line in lines)
    assert "rule preprocess:" not in said
    said = snakemake(
        tiny_study, "--cores", "2", "all_preprocess", "--forcerun", "preprocess", "--verbose"
    )
    assert "rule preprocess:" in said


def test_a_limit_of_quality_reruns_sites_and_pages_alone(copied):
    write_config(copied, quality={"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 500.0})
    found = plan(copied).rules
    assert set(found) == {"concordance", "sites", "multiverse", "pages", "report", *LAST}
