"""`fmrsflow check`: what is wrong is told before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fmrsflow.stages.check import main

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """The shipped study with a cell of its last site changed; what check returns."""
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def check(**cells: str) -> int:
        sheet = tmp_path / "config" / "sites.tsv"
        header, *rows = [line.split("\t") for line in sheet.read_text().splitlines()]
        for column, value in cells.items():
            if column not in header:
                header.append(column)
                rows = [[*row, "n/a"] for row in rows]
            rows[-1][header.index(column)] = value
        sheet.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
        return main([])

    return check


def test_the_shipped_study_passes(changed, capsys):
    assert changed() == 0
    assert "4 sites, 12 scans" in capsys.readouterr().out


def test_delays_that_refocus_no_echo_are_told(changed, capsys):
    assert changed(sequence="sLASER", te_s="0.028", pulse_delays_s="0.005 0.005 0.005 0.005") == 1
    assert "sLASER has five delays" in capsys.readouterr().err


def test_delays_that_are_no_numbers_are_told(changed, capsys):
    assert changed(pulse_delays_s="five") == 1
    assert "pulse_delays_s is 'five'" in capsys.readouterr().err
