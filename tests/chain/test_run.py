"""`fmrsflow run`: the study's own folder, its errors first, further arguments for snakemake."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from chain_tools import environment, snakemake


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


HARM = 'open("harm", "w")\n'


def test_nothing_that_lies_in_a_study_runs(tiny_study):
    """Modules that Python would find in the folder it starts in, and profiles of Snakemake."""
    names = ("snakemake", "yaml", "numpy", "tempfile", "yte", "fmrsflow", "json")
    for name in names:
        (tiny_study / f"{name}.py").write_text(HARM)
    profile = tiny_study / "profiles" / "default"
    profile.mkdir(parents=True)
    (profile / "config.yaml").write_text(TEMPLATE + "cores: 1\n")
    (tiny_study / "own").mkdir()
    (tiny_study / "own" / "config.yaml").write_text("cores: 1\n")
    record = "results/convert/alpha/sub-01/mrs/sub-01_task-visual_desc-convert_record.json"
    done = run(str(tiny_study), "--profile", "own", record)
    assert done.returncode == 0 and (tiny_study / record).exists(), done.stderr[-3000:]
    assert not (tiny_study / "harm").exists()


TEMPLATE = f"""__use_yte__: true
__definitions__:
  - {HARM}"""


@pytest.mark.parametrize("where", ["config/config.yaml", "other.yaml"])
def test_settings_that_would_be_run_are_refused_unrun(tiny_study, where):
    """Snakemake runs the Python of a file with `__use_yte__` as it reads it."""
    path = tiny_study / where
    own = path.read_text() if path.exists() else ""
    path.write_text(f"{TEMPLATE}{own}")
    done = run(str(tiny_study), "-n", "--configfile", where)
    assert done.returncode == 1 and "__' is no setting" in done.stderr
    if where == "config/config.yaml":  # of another file Snakemake alone knows before the workflow
        assert "__' is no setting" in snakemake(tiny_study, "-n", ok=False)
    assert not (tiny_study / "harm").exists()
