"""`fmrsflow plan --field`: from the command line to tables and page."""

from __future__ import annotations

import pytest

from fmrsflow.errors import DataError
from fmrsflow.stages.plan import main
from fmrsflow.tables import read_table
from fmrsflow.tables.plan import TABLES

SMALL = ["--field", "3", "--tr", "2", "--block", "32", "64", "--minutes", "5"]
SDS = ["--sd-site", "0.5", "--sd-participant", "1.5"]


def test_a_grid_becomes_tables_and_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, *SDS, "--output", "plan"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Best of 2 designs: 3 T sLASER, TE 30 ms, TR 2 s, 20 mL")
    assert "4 public scans" in printed
    rows = read_table(tmp_path / "plan" / "designs.tsv")
    assert list(rows[0]) == list(TABLES["designs"])
    assert [row["rank"] for row in rows] == ["1", "2"]
    names = {path.name for path in (tmp_path / "plan").iterdir()}
    assert {"designs.tsv", "errors.tsv", "plan.tsv", "plan.html", "designs.json"} <= names


def test_a_table_of_events(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.tsv").write_text(
        "onset\tduration\ttrial_type\n" + "".join(f"{30 + 60 * k}\t30\tvideo\n" for k in range(4))
    )
    assert main(["--field", "3", "--tr", "2", "--events", "events.tsv", *SDS]) == 0
    # The last event, and the usual pause behind it: 270 s.
    assert "events, 135 transients" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--tr", "2", *SDS], "--tr belongs to designs, which --field asks for"),
        ([*SMALL, "--snr", "10", "12"], "--snr needs a value for each --field"),
        ([*SMALL, "--transients", "64"], "either --transients or --minutes"),
        ([*SMALL, "--response", "fir"], "--response is one of boxcar, hrf"),
        ([*SMALL, "--metabolite", "Xyl"], "--metabolite is one of Glu"),
        ([*SMALL, "--sd-site", "1"], "give both --sd-site and --sd-participant"),
        ([*SMALL, "--linewidth", "0"], "--linewidth is above 0"),
        ([*SMALL, "--sd-measurement", "1"], "the error of a scan follows from its design"),
    ],
)
def test_options_that_make_no_plan_are_refused(arguments, why, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(arguments)
    assert why in capsys.readouterr().err


def test_a_study_that_is_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        main([*SMALL, *SDS, "--study", "elsewhere/study.json"])


def test_what_cannot_be_simulated_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="te_s counts in seconds"):
        main([*SMALL, "--te", "30"])
    with pytest.raises(DataError, match="sequence 'LASER' is not simulated"):
        main([*SMALL, "--sequence", "LASER"])
    with pytest.raises(DataError, match="no plan at 1.5 T"):
        main(["--field", "1.5"])
