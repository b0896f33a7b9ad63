"""The walk-through of docs/korotkov.md: its commands, its study, what it says of both."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from fmrsflow.cli import main as fmrsflow
from fmrsflow.intake.presets import read_preset
from fmrsflow.sheets import read_config, read_study, schema
from fmrsflow.study import STAGE_SETTINGS
from fmrsflow.synthetic.consortium import write_sheets
from fmrsflow.synthetic.plan import load_plan

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "korotkov.md").read_text()
EXAMPLE = ROOT / "config" / "examples" / "korotkov"


def commands() -> list[list[str]]:
    """Commands of the page, word by word."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCS, flags=re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line]


def differing(setting: dict, section: str) -> dict:
    """Keys of a setting that are not the defaults."""
    rules = schema(section)
    return {key: value for key, value in setting.items() if value != rules[key].get("default")}


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the example, entered."""
    shutil.copytree(EXAMPLE / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_commands_and_each_is_one_of_the_project():
    assert len(commands()) == 3
    for first, tool, *rest in commands():
        assert first == "./run" and tool in ("snakemake", "fmrsflow")
        if tool == "snakemake":
            assert (ROOT / rest[rest.index("--directory") + 1] / "config/config.yaml").is_file()
            targets = [one for one in rest if one.startswith("all_")]
            assert set(targets) <= {f"all_{stage}" for stage in STAGE_SETTINGS}


def test_the_check_of_the_page_passes_on_a_copy_of_the_study(copied, capsys):
    ((check, folder),) = [rest for _, tool, *rest in commands() if tool == "fmrsflow"]
    assert folder == "/path/of/the/copy"
    assert fmrsflow([check, str(copied)]) == 0
    assert "1 site, 8 scans, 4 response units, 2 analyses, 0 missing files" in (
        capsys.readouterr().out
    )


def test_the_sheets_are_those_of_the_preset(tmp_path):
    write_sheets(load_plan("korotkov2026"), tmp_path)
    for path in sorted(tmp_path.iterdir()):
        shipped = EXAMPLE / "config" / path.name
        assert shipped.read_text() == path.read_text(), "run python tests/unit/stages/test_init.py"


def test_the_study_is_what_the_page_says(copied):
    study = read_study(read_config("config/config.yaml"))
    assert len({scan.subject for scan in study.scans}) == 2
    for unit in study.units():
        rest, task = sorted(unit.scans, key=lambda scan: scan.condition != "rest")
        assert (rest.condition, task.condition) == ("rest", "memory")
        assert not rest.bold and len(task.files("bold")) == 3
        assert len(task.files("bold_events")) == len(task.files("bold_confounds")) == 3
        assert all("space-T1w" in name for name in task.files("bold"))
    by_person = {}
    for scan in study.scans:
        if scan.bold:
            by_person.setdefault(scan.subject, set()).add(scan.files("bold"))
    # Both voxels of a person name the same runs.
    assert {len(runs) for runs in by_person.values()} == {1}
    assert {study.region(scan) for scan in study.scans} == {"left", "right"}
    paper = study.setting("preprocess", "paper")
    assert (paper["water_low_ppm"], paper["water_high_ppm"]) == (4.6, 4.8)
    assert paper["baseline"] == "linear"
    # The preset of the paper's settings is the same analysis.
    choices = read_preset("korotkov2026").settings["preprocess"]
    assert {key: paper[key] for key in choices} == choices
    assert choices == differing(paper, "preprocess")
    changes = load_plan("korotkov2026").responses["Glu"].fixed.values()
    assert ", ".join(f"{one:+.1f}" for one in changes) in DOCS
