"""YAML in bounded time: what settings use is read, what only costs is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from hostile_texts import texts

from fmrsflow import bounded_yaml
from fmrsflow.sheets import StudyError, read_config

SHARED = """
base: &base {a: 1, b: [1, 2]}
one: {<<: *base, b: 3}
two: *base
when: 2026-01-01
text: "ü: [not a list"
"""


def test_anchors_aliases_and_merges_are_read_as_yaml_reads_them():
    assert bounded_yaml.load(SHARED) == yaml.safe_load(SHARED)
    assert bounded_yaml.load("") is None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("merges", "aliases stand for more than"),
        ("aliases", "aliases stand for more than"),
        ("cyclic alias", "within its own anchor"),
        ("open brackets", "nested deeper than"),
        ("deep JSON", "nested deeper than"),
        ("number of digits", "a whole number of [0-9]+ letters is no setting"),
        ("dates", "month"),
    ],
)
def test_what_never_ends_is_refused(kind, message):
    with pytest.raises(ValueError, match=message):
        bounded_yaml.load(texts(100_000)[kind])


def test_a_text_longer_than_any_settings_is_refused():
    with pytest.raises(ValueError, match="letters are no settings"):
        bounded_yaml.load("a: 1\n" * 100_000)


def test_a_configuration_that_is_cut_off_is_named_with_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("results: results\nanalyses:\n  main: {preprocess: rob")
    with pytest.raises(StudyError, match=r"config\.yaml: not readable as YAML: .*line 3"):
        read_config(path)


def test_a_configuration_is_utf_8_whatever_the_locale(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data_root: Münster\n", encoding="utf-8")
    code = "import sys, fmrsflow.sheets as s; print(ascii(s.read_config(sys.argv[1])))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code, str(path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == ascii({"data_root": "Münster"}), done.stderr
