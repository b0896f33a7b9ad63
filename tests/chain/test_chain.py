"""The real Snakefile on a tiny study: from files to the report."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from chain_tools import (
    ROOT,
    command,
    copy_of,
    environment,
    read_records,
    snakemake,
    tables,
    write_config,
)

import digests
from fmrsflow.files import file_digest, read_json
from fmrsflow.tables import read_table, write_table

pytestmark = pytest.mark.slow


def config_of(folder):
    return yaml.safe_load((folder / "config" / "config.yaml").read_text())


def planned_rules(folder, *arguments) -> set[str]:
    """Stages of which a dry run would run a job."""
    printed = snakemake(folder, "-n", "--cores", "1", *arguments)
    if "Nothing to be done" in printed:
        return set()
    lines = printed[printed.index("Job stats") :].splitlines()[3:]
    names = [line.split()[0] for line in lines[: [bool(line.strip()) for line in lines].index(0)]]
    stages = {"concordance": "bold", "pages": "report", "multiverse": "sites"}
    return {stages.get(name, name) for name in names} - {"total", "all", "complete", "file"}


def test_every_scan_reaches_the_report(tiny_run):
    found = read_records(tiny_run / "results")
    per_scan = ("convert", "segment", "anatomy", "preprocess", "fit", "quantify", "response")
    states = [(one["stage"], one["status"], one["reason"]) for one in found]
    assert {(stage, "ok", None) for stage in (*per_scan, "basis")} == set(states)
    for stage in per_scan:
        assert [one[0] for one in states].count(stage) == 4
    report = tiny_run / "results" / "main" / "report"
    assert (report / "index.html").stat().st_size > 10_000
    assert len(list(report.rglob("scans/*/*.html"))) == 4
    problems = read_table(tiny_run / "results" / "main" / "sites" / "problems.tsv")
    assert {row["kind"] for row in problems} <= {"control", "not estimated"}


def test_a_second_call_does_nothing(tiny_run, tmp_path):
    assert planned_rules(copy_of(tiny_run, tmp_path)) == set()


def test_another_order_of_scans_on_one_core_killed_and_resumed_gives_the_same_bytes(
    tiny_study, tiny_run
):
    sheet = tiny_study / "data" / "config" / "scans.tsv"
    header, *rows = sheet.read_text().splitlines()
    random.Random(3).shuffle(rows)
    sheet.write_text("\n".join([header, *rows]) + "\n")
    with subprocess.Popen(
        command(tiny_study, "--cores", "1"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        results = tiny_study / "results"
        deadline = time.monotonic() + 600
        while not list(results.rglob("*desc-preprocess_record.json")):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGKILL)
    assert not list(results.rglob("report/index.html"))
    # A killed Snakemake leaves its lock; `--unlock` is what its message tells the user to do.
    snakemake(tiny_study, "--unlock")
    snakemake(tiny_study, "--cores", "1")
    assert tables(results) == tables(tiny_run / "results")


def test_a_second_analysis_that_differs_in_its_fit_preprocesses_nothing_again(tiny_run, tmp_path):
    folder = copy_of(tiny_run, tmp_path)
    config = config_of(folder)
    (name,) = config["fit"]
    config["fit"]["poly"] = {**config["fit"][name], "baseline": "polynomial"}
    config["analyses"]["poly"] = {**config["analyses"]["main"], "fit": "poly"}
    write_config(folder, fit=config["fit"], analyses=config["analyses"])
    planned = planned_rules(folder)
    assert {"fit", "quantify", "response", "sites", "report"} <= planned
    assert not {"convert", "segment", "anatomy", "basis", "preprocess"} & planned


CHAIN = ("basis", "fit", "quantify", "response", "sites", "bold", "report")
"""What follows a basis; the later stages of every other setting are the end of this."""
OF_SCANS = {"convert", "segment", "anatomy", "preprocess", *CHAIN[1:4]}


@pytest.mark.parametrize(
    ("section", "key", "value", "again"),
    [
        ("preprocess", "lag_s", 2.0, {"preprocess", *CHAIN[1:]}),
        ("basis", "n_points", 4096, {*CHAIN}),
        ("fit", "range_low_ppm", 0.5, {*CHAIN[1:]}),
        ("concentration", "constants", "spant", {*CHAIN[2:]}),
        ("response", "control_percent", 2.0, {*CHAIN[3:]}),
        ("quality", "min_snr_tcr", 9.0, {*CHAIN[4:]}),
        ("anatomy", "min_coverage", 0.8, {"segment", "anatomy", *CHAIN[2:]}),
        ("sites", "equivalence_percent", 3.0, {*CHAIN[4:]}),
        ("bold", "window_s", 20.0, {*CHAIN[5:]}),
        ("only_sites", None, ["alpha"], {*CHAIN[4:]}),
        ("batch", None, 1, OF_SCANS | {*CHAIN[4:]}),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(
    tiny_run, tmp_path, section, key, value, again
):
    """The table of docs/scale.md, row by row."""
    folder = copy_of(tiny_run, tmp_path)
    config = config_of(folder)
    named = config["analyses"]["main"]
    if key is None:
        config[section] = value
    elif section in named:
        config[section][named[section]][key] = value
    else:
        config[section][key] = value
    write_config(folder, **{section: config[section]})
    assert planned_rules(folder) & (OF_SCANS | {*CHAIN}) == again


def test_an_edited_sheet_of_participants_reruns_the_answer(tiny_run, tmp_path):
    folder = copy_of(tiny_run, tmp_path)
    sheet = folder / "data" / "config" / "participants.tsv"
    rows = read_table(sheet)
    write_table(sheet, [{**row, "person": f"one{row['subject']}"} for row in rows])
    assert planned_rules(folder) & (OF_SCANS | {*CHAIN}) == {*CHAIN[4:]}


def add_bold_run(folder, number=0):
    """Name a BOLD run for a scan of the sheet; an image that no stage could use."""
    for name in ("bold.nii.gz", "bold.tsv"):
        (folder / "data" / name).write_bytes(b"none")
    sheet = folder / "data" / "config" / "scans.tsv"
    rows = [{**row, "bold": "", "bold_events": ""} for row in read_table(sheet)]
    rows[number] |= {"bold": "bold.nii.gz", "bold_events": "bold.tsv"}
    write_table(sheet, rows)
    return rows[number]


def planned_jobs(folder, *arguments):
    """Minutes of each job that a dry run plans, by the name of its log."""
    printed = snakemake(folder, "-n", "--cores", "1", *arguments)
    return dict(re.findall(r"log: (\S+)\n(?:    .*\n)*?    resources: .*runtime=(\d+)", printed))


def test_run_time_grows_with_scans_and_submissions(tiny_study):
    fit = "results/logs/fit-robust-simulated-spline/alpha_0.log"
    small, large, again = (
        int(planned_jobs(tiny_study, "--config", f"batch={batch}", "--attempt", attempt)[fit])
        for batch, attempt in ((1, "1"), (2, "1"), (2, "3"))
    )
    assert small < large and again == 3 * large


def test_logs_of_two_sites_that_run_one_by_one_are_other_files(tiny_study):
    one, other = (
        set(planned_jobs(tiny_study, "--config", f"only_sites=[{site}]"))
        for site in ("alpha", "beta")
    )
    of_all = {path.rpartition("/")[2] for path in one & other}
    assert of_all == {"sites.log", "bold.log", "multiverse.log", "report.log"}
    assert set(planned_jobs(tiny_study)) == one | other


def test_a_scan_whose_header_is_brought_later_is_converted(tiny_study):
    """The SPAR beside an SDAT stands in no sheet."""
    (header,) = (tiny_study / "data").glob("alpha/sub-01/**/*_svs.SPAR")
    record = tiny_study / "results/convert/alpha/sub-01/mrs"
    record /= header.name.replace("svs.SPAR", "desc-convert_record.json")
    target = ("--cores", "1", str(record.relative_to(tiny_study)))
    header.rename(tiny_study / "away")
    snakemake(tiny_study, *target)
    assert read_json(record)["status"] == "failed"
    assert planned_rules(tiny_study, *target) == set()
    (tiny_study / "away").rename(header)
    snakemake(tiny_study, *target)
    assert read_json(record)["status"] == "ok"
    assert planned_rules(tiny_study, *target) == set()


def test_a_basis_file_is_an_input_once_it_is_there(tiny_study, tiny_run):
    setting = config_of(tiny_study)["basis"]["simulated"] | {"source": "file", "path": "own.npz"}
    write_config(tiny_study, basis={"simulated": setting})
    record = "results/basis-simulated/alpha_desc-basis_record.json"
    snakemake(tiny_study, "--cores", "1", record)
    assert "no basis at own.npz" in read_json(tiny_study / record)["reason"]
    path = tiny_study / "data" / "own.npz"
    shutil.copy(tiny_run / "results" / "basis-simulated" / "alpha_desc-basis_basis.npz", path)
    snakemake(tiny_study, "--cores", "1", record)
    told = read_json(tiny_study / record)
    assert (told["status"], told["sources"]) == ("ok", {"own.npz": file_digest(path)})
    assert planned_rules(tiny_study, record) == set()
    path.touch()
    assert planned_rules(tiny_study, record) == {"basis"}


def test_files_that_settings_name_are_inputs_where_they_are_there(tiny_study):
    row, config = add_bold_run(tiny_study), config_of(tiny_study)
    (name,) = config["fit"]
    config["fit"][name]["joint_design"] = "designs/{stem}.tsv"
    config["bold"] |= {"transform": "{subject}/to.txt", "atlas": "a.nii", "atlas_labels": "{odd}"}
    write_config(tiny_study, fit=config["fit"], bold=config["bold"])
    stem = f"sub-{row['subject']}_task-{row['task']}"
    there = [f"data/designs/{stem}.tsv", f"data/{row['subject']}/to.txt", "data/bold.json"]
    absent = [f"data/designs/{stem.replace(row['subject'], '02')}.tsv", "data/a.nii"]
    for path in there:
        (tiny_study / path).parent.mkdir(exist_ok=True)
        (tiny_study / path).write_text("-")
    printed = snakemake(tiny_study, "-n", "--cores", "1")
    assert [path for path in there + absent if path in printed] == there


def test_pages_wait_for_the_bold_results_that_they_show(tiny_study):
    """Of two pages of scans one shows BOLD pictures, and the first page those of the analysis."""
    row = add_bold_run(tiny_study)
    write_config(tiny_study, batch=1)
    scan = f"{row['site']}/sub-{row['subject']}_task-{row['task']}.html"
    page = f"results/main/report/scans/{scan}"
    assert "bold" in planned_rules(tiny_study, page)
    other = page.replace(f"sub-{row['subject']}", "sub-02")
    assert other != page and "bold" not in planned_rules(tiny_study, other)
    planned = snakemake(tiny_study, "-n", "--cores", "1", "results/main/report/index.html")
    assert "results/main/bold/record.json" in planned


def test_bold_waits_for_the_conversion_of_its_own_scans(tiny_study):
    """Of two scans the second alone has a run: its batch is the first of one stage and the second
    of the other."""
    row = add_bold_run(tiny_study, 1)
    write_config(tiny_study, batch=1)
    stem = f"sub-{row['subject']}_task-{row['task']}"
    record = f"results/bold/{row['site']}/sub-{row['subject']}/mrs/{stem}_desc-bold_record.json"
    planned = set(planned_jobs(tiny_study, record))
    assert f"results/logs/bold/{row['site']}_0.log" in planned
    assert f"results/logs/convert/{row['site']}_1.log" in planned
    assert f"results/logs/convert/{row['site']}_0.log" not in planned


def test_no_comment_or_docstring_reruns_a_job(tiny_run, tmp_path, monkeypatch):
    source = tmp_path / "workflow" / "src"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(digests.PACKAGE, source / "fmrsflow", ignore=skip)
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    monkeypatch.setenv("PYTHONPATH", str(source))
    folder = copy_of(tiny_run, tmp_path)
    assert digests.comment_everywhere(source / "fmrsflow") > 100
    assert planned_rules(folder) == set()
    digests.change_constant(source / "fmrsflow", "sites.reml.CUT95")
    assert planned_rules(folder) & (OF_SCANS | {*CHAIN}) == {"sites", "report"}


def test_a_dry_run_tells_all_errors_of_the_sheets_at_once(tiny_study):
    for name, old, new in (
        ("sites.tsv", "Siemens", "Simens"),
        ("scans.tsv", "alpha\t02", "alpha\t01"),
    ):
        sheet = tiny_study / "data" / "config" / name
        sheet.write_text(sheet.read_text().replace(old, new))
    write_config(tiny_study, batch=0)
    printed = snakemake(tiny_study, "-n", ok=False)
    for message in ("'Simens' is none of", "stands in row", "batch: 0 is below 1"):
        assert message in printed


def test_whatever_has_no_name_in_bids_is_ignored_by_its_validator(tiny_run):
    results = tiny_run / "results"
    ignored = (results / ".bidsignore").read_text().split()
    known = {"dataset_description.json", "logs"}
    for path in results.iterdir():
        hidden = path.name[0] == "."
        assert hidden or path.name in known or any(path.match(one) for one in ignored), path
