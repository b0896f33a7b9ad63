"""The real Snakefile on rest and task as two scans, in two sessions of each person: one response a
pair of scans, one difference a pair of sessions."""

from __future__ import annotations

import csv

import pytest
from chain_tools import snakemake, write_config

from fmrsflow.cli import main as fmrsflow
from fmrsflow.files import read_json
from fmrsflow.question import KEYS
from fmrsflow.tables import read_table

pytestmark = pytest.mark.slow

PLAN = """
name: two-scans
description: One site, two people, two sessions, rest and task scan in each
seed: 21
responses:
  Glu: {percent: 4.0}
concentrations: {participant_cv: 0.03}
design: {kind: scans, task: memory}
participants: {per_site: 2, sessions: 2, spacing_mm: 2.5}
site_defaults: {transients: 24, tr_s: 2.0, te_s: 0.030, points: 1024, snr_tcr: {mean: 30, sd: 1}}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, sequence: PRESS, file_format: sdat,
     reference_format: sdat}
"""
ARMS = {"1": "stimulus", "2": "control"}
SAME = {"estimator": "joint", "matched": "true"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The study after a run."""
    folder = tmp_path_factory.mktemp("two-scans")
    (folder / "plan.yaml").write_text(PLAN)
    assert fmrsflow(["demo", "--preset", str(folder / "plan.yaml"), str(folder / "data")]) == 0
    sheet = folder / "data" / "config" / "scans.tsv"
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["session"] for row in rows} == set(ARMS)
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "arm"], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "arm": ARMS[row["session"]]} for row in rows)
    write_config(folder, sites={"pair": "stimulus-control"})
    snakemake(folder, "--cores", "2")
    return folder / "results"


def chosen(rows, **cells):
    return [row for row in rows if all(row[name] == value for name, value in cells.items())]


def test_each_pair_of_scans_has_one_response_under_every_scaling(run):
    tables = sorted(run.glob("response-*/alpha/sub-*/ses-*/mrs/*_desc-response_change.tsv"))
    assert len(tables) == 4
    for path in tables:
        rows = chosen(read_table(path), metabolite="Glu", **SAME)
        found = {row["quantity"]: row for row in rows}
        assert set(found) == {"molal", "raw", "ratio_stable", "ratio_tcr"}
        for row in found.values():
            # Four errors: of 16 changes one is beyond that in 0.1 % of all studies.
            off = float(row["change_percent"]) - 4.0
            assert abs(off) < 4 * float(row["se_percent"]), (path.name, row)
        # The waters cost something, what does not respond costs nothing.
        se = {name: float(row["se_percent"]) for name, row in found.items()}
        assert se["ratio_stable"] < se["molal"]
        means = chosen(read_table(path), metabolite="Glu", estimator="blocks")
        by_match = {(row["matched"], row["quantity"]): row for row in means}
        assert {key for key in by_match if key[0] == "true"} == {
            ("true", name) for name in ("molal", "raw", "ratio_tcr")
        }
        assert ("false", "molal") in by_match
        row = by_match["true", "molal"]
        assert abs(float(row["change_percent"]) - 4.0) < 4 * float(row["se_percent"])
        record = read_json(path.with_name(path.name.replace("change.tsv", "record.json")))
        assert record["joint"]["status"] == "ok"
        assert record["joint"]["gain"]["molal"]["value"][0] == 1.0
        assert record["joint"]["failed_scalings"] == {} and record["joint"]["unheeded"] == []
        assert not [text for text in record["warnings"] if "joint" in text]
        names = [name for name in record["inputs"] if "svs" in name]
        assert len(names) == 2


def test_a_person_has_one_difference_of_sessions_and_the_group_its_mean(run):
    sites = run / "main" / "sites"
    rows = chosen(read_table(sites / "responses.tsv"), metabolite="Glu", quantity="molal", **SAME)
    arms = {row["contrast"] for row in rows}
    assert arms == {f"memory-rest ({name})" for name in (*ARMS.values(), "stimulus-control")}
    pairs = chosen(rows, contrast="memory-rest (stimulus-control)")
    assert len(pairs) == 2
    for pair in pairs:
        own = {row["contrast"]: row for row in rows if row["person"] == pair["person"]}
        a, b = (float(own[f"memory-rest ({name})"]["change_percent"]) for name in ARMS.values())
        assert float(pair["change_percent"]) == pytest.approx(a - b, rel=1e-4)
        assert pair["unit"].split() == [
            own[f"memory-rest ({name})"]["unit"] for name in ARMS.values()
        ]
    asked = {"metabolite": "Glu", "quantity": "molal", **SAME}
    (mean,) = chosen(read_table(sites / "meta.tsv"), contrast=pairs[0]["contrast"], **asked)
    values = [float(pair["change_percent"]) for pair in pairs]
    assert float(mean["change_percent"]) == pytest.approx(sum(values) / 2, abs=1.0)
    assert mean["n"] == "2"
    main = dict(zip(KEYS, read_json(sites / "record.json")["main"], strict=True))
    assert main["contrast"] == pairs[0]["contrast"]


def test_the_pages_say_what_was_compared(run):
    page = (run / "main" / "report" / "index.html").read_text()
    assert "under stimulus than under control in the same people" in page
    scan = next((run / "main" / "report" / "scans" / "alpha").glob("*.html")).read_text()
    assert "scaled to what does not respond" in scan
