"""Nuisance courses: from a table and from a recording, and what they take off the transients."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.nuisance import nuisance_design

TIME_S = 2.0 * np.arange(8)
ONE = np.zeros(1)


def recording(folder, rate=10.0, start=-1.0, n=200, columns=("cardiac", "belt"), **changes):
    """A recording whose columns are time, and its square."""
    time = start + np.arange(n) / rate
    rows = "".join(f"{t:.6f}\t{t**2:.6f}\n" for t in time)
    with gzip.open(folder / "a_physio.tsv.gz", "wt") as file:
        file.write(rows)
    meta = {"SamplingFrequency": rate, "StartTime": start, "Columns": list(columns)} | changes
    (folder / "a_physio.json").write_text(json.dumps(meta))
    return folder / "a_physio.tsv.gz"


def scaled(values) -> np.ndarray:
    return (values - np.mean(values)) / np.std(values)


def test_a_table_has_a_row_a_transient(tmp_path):
    values = np.array([0.1, 0.3, -0.2, 0.5, 0.0, 0.1, 0.2, 0.9])
    rows = "".join(f"{v}\t7\n" for v in values)
    (tmp_path / "m.tsv").write_text("rot_x\tconstant_thing\n" + rows)
    found = nuisance_design(tmp_path / "m.tsv", TIME_S, ONE)
    assert found.names == ("rot_x",)  # a constant tells nothing
    assert np.allclose(found.matrix[:, 0], scaled(values))


def test_a_recording_is_read_at_the_excitations(tmp_path):
    found = nuisance_design(recording(tmp_path), TIME_S, ONE)
    assert found.names == ("cardiac", "belt")
    assert np.allclose(found.matrix[:, 0], scaled(TIME_S), atol=1e-6)
    within = np.array([-1.0, 1.0])
    found = nuisance_design(recording(tmp_path, n=400, start=-2.0), TIME_S + 1, within)
    # Mean of (t - 1)^2 and (t + 1)^2.
    assert np.allclose(found.matrix[:, 1], scaled((TIME_S + 1) ** 2 + 1), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: (p / "a.tsv").write_text("x\n1\n2\n"), "2 rows, the scan 8"),
        (lambda p: (p / "a.tsv").write_text("x\n" + "n/a\n" * 8), "line 2: x holds a missing"),
        (lambda p: (p / "a.tsv").write_text("x\n" + "1\n" * 7 + "inf\n"), "line 9: x holds 'inf'"),
    ],
)
def test_a_table_that_cannot_be_is_refused(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(DataError, match=words):
        nuisance_design(tmp_path / "a.tsv", TIME_S, ONE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 100}, "runs from -1 to 8.9 s, the scan from 0 to 14"),
        ({"start": 3.0}, "runs from 3"),
        ({"columns": ("a",)}, "does not hold rows of 1 numbers"),
        ({"SamplingFrequency": 0}, "SamplingFrequency 0 Hz"),
        ({"SamplingFrequency": "fast"}, "does not tell SamplingFrequency"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        nuisance_design(recording(tmp_path, **changes), TIME_S, ONE)


def test_without_a_repetition_time_a_recording_is_refused(tmp_path):
    with pytest.raises(DataError, match="no repetition time"):
        nuisance_design(recording(tmp_path), np.full(8, np.nan), ONE)


def test_a_cut_recording_is_refused(tmp_path):
    path = recording(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        nuisance_design(path, TIME_S, ONE)
