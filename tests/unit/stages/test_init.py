"""`fmrsflow init`, and the configuration that the repository ships.

The shipped files are written from the schemas: `python tests/unit/stages/test_init.py` mends them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.stages.init import USUAL, commented, main, readme
from fmrsflow.synthetic.consortium import write_sheets
from fmrsflow.synthetic.plan import load_plan

CONFIG = Path(__file__).resolve().parents[3] / "config"
MEND = "run `python tests/unit/stages/test_init.py`"


def shipped() -> str:
    """The configuration of the demo consortium."""
    settings = {section: {name: {}} for section, name in USUAL.items()}
    settings["preprocess"]["restricted"] = {"align": "restricted"}
    settings["fit"]["polynomial"] = {"baseline": "polynomial", "baseline_order": 6}
    top = {
        "data_root": "demo",
        "participants_sheet": "config/participants.tsv",
        "synthetic": "demo",
        "primary": "main",
    }
    analyses = {
        "main": {},
        "restricted": {"preprocess": "restricted"},
        "polynomial": {"fit": "polynomial"},
    }
    return commented(top, settings, analyses)


def test_the_shipped_configuration_holds_every_setting_with_its_meaning():
    assert (CONFIG / "config.yaml").read_text() == shipped(), MEND
    assert (CONFIG / "README.md").read_text() == readme(), MEND


def test_the_shipped_sheets_are_those_of_the_demo(tmp_path):
    write_sheets(load_plan("demo"), tmp_path)
    for sheet in ("sites.tsv", "scans.tsv", "participants.tsv"):
        assert (CONFIG / sheet).read_text() == (tmp_path / sheet).read_text(), MEND


def test_the_shipped_study_has_no_error(monkeypatch):
    monkeypatch.chdir(CONFIG.parent)
    study = read_study(read_config("config/config.yaml"))
    assert (len(study.sites), len(study.scans)) == (4, 12)


def test_written_defaults_are_the_defaults():
    """Every value in the commented file equals what a study without it would get."""
    written = yaml.safe_load(commented({}, {s: {n: {}} for s, n in USUAL.items()}, {"main": {}}))
    with pytest.raises(StudyError) as caught:
        read_study({**written, "sites_sheet": "none", "scans_sheet": "none"})
    assert all("no such file" in one or "primary" in one for one in caught.value.problems)


def test_a_new_study_folder_is_filled_and_never_overwritten(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    names = {path.name for path in (tmp_path / "config").iterdir()}
    assert names == {"config.yaml", "README.md", "sites.tsv", "scans.tsv", "participants.tsv"}
    assert main([str(tmp_path)]) == 1
    assert "already" in capsys.readouterr().err


def test_a_synthetic_study_needs_no_file_of_anybody(tmp_path, monkeypatch, capsys):
    """What shows a program from a wheel: no clone, no data."""
    assert main([str(tmp_path), "--synthetic", "demo", "--preset", "bednarik2015"]) == 0
    monkeypatch.chdir(tmp_path)
    study = read_study(read_config("config/config.yaml"))
    assert study.config["synthetic"] == "demo" and len(study.scans) == 12
    assert study.setting("basis", "bednarik2015")["mm"] == "single"


if __name__ == "__main__":
    (CONFIG / "config.yaml").write_text(shipped())
    (CONFIG / "README.md").write_text(readme())
    write_sheets(load_plan("demo"), CONFIG)
    write_sheets(load_plan("korotkov2026"), CONFIG / "examples" / "korotkov" / "config")
