"""What made an output: versions, and digests of the code that a stage stands on."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from zlib import crc32

import numpy as np
import pytest

import digests
import report_fixture as made
from fmrsflow import provenance
from fmrsflow.batch import faults, run_jobs
from fmrsflow.edge import Job
from fmrsflow.files import read_json, write_bytes
from fmrsflow.provenance import code_digest, dataset_description, software
from fmrsflow.source_names import source_name
from fmrsflow.stages import basis, bold

STAGES = digests.STAGES


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    copy = tmp_path / "fmrsflow"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    forget()
    yield copy
    forget()


def forget():
    """Digests are taken anew, as in another process."""
    for cached in ("code_digest", "package_digest", "_package", "kept_digests"):
        getattr(provenance, cached).cache_clear()


@pytest.fixture(scope="module")
def before():
    """Digest of each stage of the package as it is; a copy of it has the same."""
    return digests.digests(provenance.PACKAGE)


def changed(before) -> set[str]:
    """Stages that have another digest than before."""
    forget()
    return {stage for stage in STAGES if code_digest(stage) != before[stage]}


def add_line(package, file: str) -> None:
    """One more line: a statement that the import of a module executes."""
    path = package / file
    path.write_text(path.read_text() + "\nassert True\n")


def maker(stage: str) -> dict:
    """What a record of a stage says of its maker."""
    told = software()
    stages = told.pop("Stages")
    return told | ({"StageDigest": stages[stage]} if stage in stages else {})


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


@pytest.mark.parametrize("file", ["stages/view.py", "basis/systems.tsv", "bundles.py"])
def test_two_edited_checkouts_of_one_commit_are_told_apart(package, monkeypatch, file):
    monkeypatch.setenv("FMRSFLOW_COMMIT", "abc1234-dirty")
    before = software()
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "edge.pyc").write_bytes(b"compiled")
    forget()
    assert software() == before
    path = package / file
    path.write_text(path.read_text() + "\n# another line\n")
    forget()
    after = software()
    assert after["Commit"] == before["Commit"] and after != before


def test_a_stage_that_does_not_use_a_module_keeps_its_digest(package, before):
    """A new statement in the segmentation reruns the segmentation, not the fit."""
    add_line(package, "anatomy/tissue.py")
    assert changed(before) == {"segment"}


def test_a_module_below_all_stages_changes_all(package, before):
    add_line(package, "errors.py")
    assert changed(before) == {*STAGES}


def test_tables_and_templates_count_as_code(package, before):
    add_line(package, "basis/systems.tsv")
    assert "basis" in changed(before) and "preprocess" not in changed(before)
    by_table = changed(before)
    add_line(package, "report/templates/scan.html.j2")
    assert changed(before) == by_table | {"report"}


def test_every_lazy_import_counts(package, before):
    """The digest follows imports inside functions too, which stages use to start fast."""
    add_line(package, "fit/joint.py")
    assert "fit" in changed(before)


def test_no_comment_or_docstring_of_any_module_changes_a_digest(package, before):
    assert digests.comment_everywhere(package) > 100
    assert changed(before) == set()


CONSTANTS = {
    "concentration.WATER_DENSITY": {"quantify", "demo"},
    "report.voxel_figure.COLOURS": {"anatomy"},
    "fit.solve.MAX_STEPS": {"fit", "response"},
    "bold.fir.MAX_CONDITION": {"bold"},
    "sites.reml.CUT95": {"sites"},
    "convert.checks.PLAUSIBLE_TE_S": {"convert"},
    "tables.MISSING": {*STAGES},
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_counts_for_the_stages_that_need_it(name):
    assert digests.stages_that_reach(name) == CONSTANTS[name]


def test_a_changed_constant_changes_the_digest_of_those_that_need_it(package, before):
    digests.change_constant(package, "fit.solve.MAX_STEPS")
    digests.change_constant(package, "concentration.WATER_DENSITY")
    assert changed(before) == {"fit", "quantify", "response", "demo"}


def test_digests_are_kept_until_a_file_changes(package, monkeypatch):
    kept = code_digest("segment")
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "Package", None)  # nothing is parsed
        assert code_digest("segment") == kept
    add_line(package, "anatomy/tissue.py")
    forget()
    assert code_digest("segment") != kept


def test_a_package_that_cannot_be_written_has_its_digests(package):
    digest = code_digest("segment")
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("no folder")
    forget()
    assert code_digest("segment") == digest


@pytest.fixture
def study(tmp_path):
    """A study of one site that knows its software."""
    return replace(made.make_study(tmp_path, n_sites=1, n_subjects=2), software=software())


def within(record, before: float) -> bool:
    """Whether a record tells a start and an end between `before` and now."""
    start, end = (
        datetime.fromisoformat(record[key]).timestamp() for key in ("startedAtTime", "endedAtTime")
    )
    return int(before) <= start <= end <= time.time()


def test_a_record_tells_what_was_used_how_by_what_when_and_with_which_seed(study):
    """PROV: entities used and generated, the plan, the agent, the times of the activity."""
    (scan, _), before = study.scans, time.time()
    write_bytes(study.data_root / scan.mrs, b"signal")
    setting = {"preprocess": made.ANALYSIS["preprocess"]}

    def convert(job):
        job.save("svs", {"a": 1.0})
        return {"bytes": len(job.source("mrs").read_bytes())}

    def preprocess(job):
        rng = np.random.default_rng(job.seed("test"))
        job.save("x", {"a": job.earlier("convert").json("svs")["a"] + rng.normal()})
        return {}

    assert not faults(run_jobs([Job("convert", study, scan, {})], convert))
    assert not faults(run_jobs([Job("preprocess", study, scan, setting)], preprocess))
    first = read_json(study.record_path("convert", {}, scan))
    second = read_json(study.record_path("preprocess", setting, scan))
    assert first["sources"] == {
        source_name([scan], scan.mrs): hashlib.sha256(b"signal").hexdigest()
    }
    own, used = sorted(second["inputs"])
    for name, digest in second["inputs"].items():
        assert digest == hashlib.sha256((study.results / name).read_bytes()).hexdigest()
    assert study.results / own == study.record_path("convert", {}, scan)
    assert second["inputs"][used] == first["files"][used.rsplit("/", 1)[-1]]
    wanted = study.setting("preprocess", setting["preprocess"])
    assert second["settings"] == {"preprocess": {"name": setting["preprocess"], **wanted}}
    assert second["seeds"] == {"test": crc32(f"{scan.key} test".encode())}
    assert second["GeneratedBy"] == [maker("preprocess")] and software()["Commit"]
    assert within(first, before) and within(second, before)


def test_time_stands_in_records_and_never_in_tables(study):
    (scan, _) = study.scans
    digests = []
    for moment in ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"):
        job = Job("convert", study, scan, {}, started=moment)
        run_jobs([job], lambda job: job.save("svs", [{"a": 1.0}]) and {})
        record = read_json(study.record_path("convert", {}, scan))
        assert record["startedAtTime"] == moment
        digests.append(record["files"])
    assert digests[0] == digests[1]


def test_tables_of_the_consortium_tell_every_file_that_they_stand_on(study):
    before = time.time()
    for seed, scan in enumerate(study.scans):
        made.write_scan(study, scan, seed, n_transients=32, picture=False)
    made.write_tables(study)
    for name in ("main/sites", "multiverse"):
        record = read_json(study.results / name / "record.json")
        assert within(record, before)
        assert record["GeneratedBy"] == [maker("sites")]
        assert record["settings"] == study.config["sites"]
        for key, folder in (("inputs", study.results), ("files", study.results / name)):
            assert record[key]
            for file, digest in record[key].items():
                assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    used = read_json(study.results / "main" / "sites" / "record.json")["inputs"]
    changes = [str(path.relative_to(study.results)) for path in study.results.rglob("*_change.tsv")]
    assert len(changes) == 2 and set(changes) <= set(used)
    assert len([name for name in used if name.endswith("_record.json")]) >= 2 * 5


def test_files_that_settings_of_bold_name_stand_among_the_sources(study):
    (scan, _) = study.scans
    write_bytes(study.data_root / "atlas" / f"{scan.subject}.nii", b"labels")
    job = Job("bold", study, scan, {})
    bold._below(job, "atlas/{subject}.nii")
    job.finish("ok", None, None, {})
    told = read_json(study.record_path("bold", {}, scan))["sources"]
    assert told == {f"atlas/{scan.subject}.nii": hashlib.sha256(b"labels").hexdigest()}


def test_a_basis_that_is_read_from_a_folder_tells_each_file(study):
    config = {**study.config, "basis": {"own": {"source": "file", "path": "{site}_fsl"}}}
    (site, *_) = study.sites
    files = {f"{site}_fsl/{name}.json": b"{}" for name in ("Glu", "NAA")}
    for name, content in files.items():
        write_bytes(study.data_root / name, content)
    frozen = study.results / "study.json"
    write_bytes(frozen, replace(study, config=config).save_text().encode())
    assert basis.main(["--study", str(frozen), "own", site]) == 0
    record = read_json(study.results / "basis-own" / f"{site}_desc-basis_record.json")
    assert (record["status"], set(record["sources"])) == ("failed", set(files))


def test_the_results_are_a_bids_derivative_that_tells_what_made_it(study):
    told = dataset_description(replace(study, config={**study.config, "container": "docker://x"}))
    assert told["DatasetType"] == "derivative"
    (made_by,) = told["GeneratedBy"]
    assert (made_by["Name"], made_by["Version"]) == ("fmrsflow", version("fmrsflow"))
    assert made_by["Container"] == {"Tag": "docker://x"}
    assert "Container" not in dataset_description(study)["GeneratedBy"][0]
