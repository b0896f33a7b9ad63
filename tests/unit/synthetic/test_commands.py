"""`fmrsflow synthetic make` and `compare`, and the examples of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fmrsflow.cli import main as fmrsflow
from fmrsflow.fids import Fids
from fmrsflow.files import write_bytes
from fmrsflow.results import Results, Writer
from fmrsflow.stages import synthetic
from fmrsflow.study import Scan, Site, Study
from fmrsflow.synthetic.plan import parse_plan
from fmrsflow.tables import columns_of, read_table

DOCS = Path(__file__).parents[3] / "docs" / "synthetic.md"
NAMES = dict.fromkeys(("preprocess", "basis", "fit", "concentration", "response"), "a")


def results(root: Path, snr: list[float], n_transients: int = 8) -> Path:
    """A results folder with the files that a comparison reads; the last scan failed."""
    site = Site("x", "Philips", 3.0, "PRESS", 0.03, 2.0, "own")
    scans = tuple(Scan("x", f"{n:02d}", "m") for n in range(len(snr) + 1))
    config = {"results": "elsewhere", "analyses": {"main": NAMES}, "primary": "main"}
    write_bytes(root / "study.json", Study(config, {"x": site}, scans).save_text().encode())
    study = Study({**config, "results": str(root)}, {"x": site}, scans)
    time_s = np.arange(512) * 5e-4
    creatine = np.exp(2j * np.pi * (3.03 - 4.65) * 127.7 * time_s - 20 * time_s)

    def write(stage, scan, body, status="ok", **files):
        writer = Writer(Results(study).of(stage, NAMES, scan), {}, {})
        for what, content in files.items():
            columns = columns_of(stage, what) if isinstance(content, list) else None
            writer.save(what, content, columns)
        writer.finish({"stage": stage, "status": status}, body)

    for scan, value in zip(scans, snr):
        values = {"snr_tcr": value, "drift_hz": -value, "fwhm_tcr_hz": None}
        average = Fids(7 * creatine[None, None, :], 5e-4, 127.7)
        write("preprocess", scan, values, average=average)
        write("convert", scan, {"n_transients": n_transients})
        write("fit", scan, {"fqn": {"rest": 9, "all": 1.5}})
        row = {"metabolite": "Glu", "condition": "rest", "matched": False, "quantity": "molal",
               "value": 9.0}  # fmt: skip
        rows = [row, {**row, "matched": True, "value": 1.0}, {**row, "quantity": "raw"}]
        write("quantify", scan, {}, concentrations=rows)
    write("preprocess", scans[-1], {}, status="failed")
    return root


def test_compare_reads_the_primary_analysis_of_every_processed_scan(tmp_path):
    found = synthetic.read_results(results(tmp_path, [40.0, 50.0]))
    assert [scan.key for scan in found] == ["x/sub-00", "x/sub-01"]
    assert found[0].values == {"snr_tcr": 40.0, "drift_hz": 40.0, "fqn": 1.5, "Glu:molal": 9.0}
    window = (found[0].ppm > 2.9) & (found[0].ppm < 3.1)
    assert found[0].spectrum[window].max() == pytest.approx(1.0)


def test_a_scan_that_the_scanner_averaged_has_no_drift(tmp_path):
    found = synthetic.read_results(results(tmp_path, [40.0], n_transients=1))
    assert "drift_hz" not in found[0].values


def test_compare_writes_a_table_and_a_page(tmp_path, capsys):
    folders = [
        str(results(tmp_path / name, snr)) for name, snr in (("a", [40, 41, 42]), ("b", [60, 70]))
    ]
    output = tmp_path / "out"
    assert synthetic.main(["compare", *folders, "--output", str(output)]) == 0
    rows = {row["quantity"]: row for row in read_table(output / "comparison.tsv")}
    assert float(rows["snr_tcr"]["mean_measured"]) == 65
    # The given split is the farthest of the ten that there are.
    assert float(rows["snr_tcr"]["p_value"]) == pytest.approx(0.1)
    assert (output / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    assert "snr_tcr" in capsys.readouterr().out


def test_a_folder_without_results_is_told(tmp_path, capsys):
    assert fmrsflow(["synthetic", "compare", str(tmp_path), str(tmp_path)]) == 1
    assert "study.json" in capsys.readouterr().err


def test_make_tells_a_bad_plan(tmp_path, capsys):
    assert fmrsflow(["synthetic", "make", "dmeo", str(tmp_path)]) == 1
    assert "presets are" in capsys.readouterr().err


def test_the_documented_plan_and_code_run():
    text = DOCS.read_text()
    plan = parse_plan(re.search(r"```yaml\n(.*?)```", text, re.DOTALL).group(1))
    assert [site.name for site in plan.sites] == ["north", "south01", "south02", "south03"]
    scope: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1), scope)
    assert scope["scan"].truth.change_percent["Glu"] == pytest.approx(3.0)
