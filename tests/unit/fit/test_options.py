"""Settings of the fit and their schema."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from fmrsflow.fit.options import FitOptions

SCHEMA = Path(__file__).resolve().parents[3] / "workflow" / "schemas" / "fit.yaml"


def test_schema_and_options_have_the_same_keys_and_defaults():
    schema = yaml.safe_load(SCHEMA.read_text())
    ours = {field.name: field.default for field in fields(FitOptions)}
    assert list(schema) == list(ours)
    for name, rule in schema.items():
        default = tuple(rule["default"]) if isinstance(rule["default"], list) else rule["default"]
        assert default == ours[name], name


def test_choices_of_the_schema_are_those_accepted():
    for name, rule in yaml.safe_load(SCHEMA.read_text()).items():
        for choice in rule.get("choices", ()):
            assert getattr(FitOptions(**{name: choice}), name) == choice
        if "choices" in rule:
            with pytest.raises(ValueError, match=name):
                FitOptions(**{name: "nonsense"})


def test_unknown_settings_are_an_error():
    with pytest.raises(ValueError, match="basline"):
        FitOptions.from_settings({"basline": "spline"})


def test_a_range_must_rise():
    with pytest.raises(ValueError, match="does not rise"):
        FitOptions(range_low_ppm=4.0, range_high_ppm=1.0)
