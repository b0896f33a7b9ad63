"""What made an output: versions, and digests of the code that a stage stands on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from fmrsflow import provenance
from fmrsflow.provenance import code_digest, software


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    copy = tmp_path / "fmrsflow"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    code_digest.cache_clear()
    yield copy
    code_digest.cache_clear()


def changed_by(package, file: str) -> set[str]:
    """Stages whose digest changes with one more comment in a file."""
    stages = ("convert", "segment", "anatomy", "basis", "preprocess", "fit", "quantify")
    stages += ("response", "sites", "report", "bold")
    before = {stage: code_digest(stage) for stage in stages}
    path = package / file
    path.write_text(path.read_text() + "\n# another line\n")
    code_digest.cache_clear()
    return {stage for stage in stages if code_digest(stage) != before[stage]}


def test_software_tells_the_versions_that_are_installed():
    told = software()
    assert told["Name"] == "fmrsflow"
    assert told["Python"] == sys.version.split()[0]
    assert told["Dependencies"]["numpy"] == version("numpy")


def test_the_commit_of_a_checkout_is_told_and_else_that_of_the_image(package, monkeypatch):
    monkeypatch.delenv("FMRSFLOW_COMMIT", raising=False)
    assert software()["Commit"] == "unknown"
    monkeypatch.setenv("FMRSFLOW_COMMIT", "abc1234")
    assert software()["Commit"] == "abc1234"
    for call in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        user = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *user, *call], cwd=package, check=True)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=package, capture_output=True, text=True).stdout.strip()
    assert commit.startswith(software()["Commit"])


def test_a_stage_that_does_not_use_a_module_keeps_its_digest(package):
    """A new line in the segmentation reruns the segmentation, not the fit."""
    changed = changed_by(package, "anatomy/tissue.py")
    assert "segment" in changed
    assert not {"convert", "basis", "preprocess", "fit"} & changed


def test_a_module_below_all_stages_changes_all(package):
    assert {"convert", "anatomy", "preprocess", "fit", "quantify", "response", "sites"} <= (
        changed_by(package, "edge.py")
    )


@pytest.mark.parametrize(
    ("file", "stage", "other"),
    [
        ("basis/systems.tsv", "basis", "preprocess"),
        ("report/templates/scan.html.j2", "report", "fit"),
    ],
)
def test_tables_and_templates_count_as_code(package, file, stage, other):
    changed = changed_by(package, file)
    assert stage in changed and other not in changed


def test_every_lazy_import_counts(package):
    """The digest follows imports inside functions too, which stages use to start fast."""
    assert "fit" in changed_by(package, "fit/joint.py")
