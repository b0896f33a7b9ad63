"""`fmrsflow run`: the study's own folder, its errors first, further arguments for snakemake."""

from __future__ import annotations

import re
import subprocess
import sys

from chain_tools import environment


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "fmrsflow.cli", "run", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_arguments_reach_snakemake(tiny_study):
    done = run(str(tiny_study), "-n", "--until", "pages")
    assert done.returncode == 0, done.stderr[-3000:]
    stats = done.stdout.partition("Job stats")[2]
    rules = dict(re.findall(r"^(\w+) +(\d+)$", stats, re.M))
    assert "pages" in rules and "report" not in rules
    # What does not run with it: report, concordance, multiverse, complete and `all`.
    assert f"a run to the report: {int(rules['total']) + 5} jobs, about" in done.stdout


def test_a_study_with_an_error_does_not_start(tiny_study):
    sheet = tiny_study / "data" / "config" / "scans.tsv"
    sheet.write_text(sheet.read_text().replace("alpha\t", "alhpa\t", 1))
    done = run(str(tiny_study), "-n")
    assert done.returncode == 1 and "site alhpa is not in" in done.stderr


def test_a_folder_without_a_study_is_told(tmp_path):
    done = run(str(tmp_path))
    assert done.returncode == 2 and "fmrsflow init" in done.stderr
