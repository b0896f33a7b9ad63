"""Plans: presets hold, and bad YAML is told by line and key."""

from __future__ import annotations

import pytest

from fmrsflow.errors import DataError
from fmrsflow.synthetic.plan import PRESETS, Distribution, load_plan, parse_plan

GOOD = """\
name: small
description: one site
sites:
  - {name: a, vendor: Philips, field_t: 3, sequence: PRESS, te_s: 0.03, tr_s: 2}
"""


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_presets_are_valid(preset):
    assert load_plan(preset).name == preset


def test_the_presets_of_the_issue_are_there():
    names = {path.stem for path in PRESETS.glob("*.yaml")}
    asked = {"demo", "standardised-3t", "standardised-7t", "own-protocols", "null", "korotkov2026"}
    assert asked <= names


def test_a_plain_number_has_no_spread_and_defaults_are_shared():
    text = GOOD.replace("sites:", "site_defaults: {snr_tcr: 9, te_s: 0.5}\nsites:")
    site = parse_plan(text).sites[0]
    assert site.snr_tcr == Distribution(9.0, 0.0)
    assert site.te_s == 0.03


def test_copies_are_sites_of_their_own():
    text = GOOD.replace("name: a,", "name: a, copies: 3,")
    assert [site.name for site in parse_plan(text).sites] == ["a01", "a02", "a03"]


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("description: one site", "descripton: one site", 2, "descripton"),
        ("te_s: 0.03", "te_s: 30", 4, "te_s"),
        ("te_s: 0.03", "te_s: thirty", 4, "te_s"),
        ("vendor: Philips", "vendor: Phillips", 4, "vendor"),
        ("tr_s: 2", "tr_s: 2, te1_s: 0.04", 4, "te1_s"),
        ("sequence: PRESS", "sequence: STEAM", 4, "tm_s"),
        ("sequence: PRESS, ", "", 4, "sequence"),
        ("name: a", "name: a-b", 4, "name"),
        ("tr_s: 2", "tr_s: 2, coils: 8, file_format: sdat", 4, "coils"),
        ("sites:", "responses: {Gluu: {percent: 3}}\nsites:", 3, "responses.Gluu"),
        ("sites:", "responses: {Glu: {percent: 3, fixed: {9: 1}}}\nsites:", 3, "fixed.9"),
        ("sites:", "constants: ours\nsites:", 3, "constants"),
        ("field_t: 3,", "field_t: 1.5, family: foreign,", 4, "family foreign"),
        ("sequence: PRESS,", "sequence: STEAM, tm_s: 0.01, family: foreign,", 4, "family foreign"),
        ("field_t: 3,", "field_t: 3, family: other,", 4, "family"),
        ("sites:", "participants: {per_site: 2.5}\nsites:", 3, "per_site"),
        ("sites:", "seed: 1\nseed: 2\nsites:", 4, "seed"),
        ("sites:", "design: blocks\nsites:", 3, "design"),
        ("sites:", "regions: [{size_mm: [1, 2]}]\nsites:", 3, "size_mm"),
    ],
)
def test_a_fault_is_told_by_line_and_key(old, new, line, key):
    with pytest.raises(DataError) as error:
        parse_plan(GOOD.replace(old, new), "plan.yaml")
    first = str(error.value).splitlines()
    assert any(f"plan.yaml line {line}," in text and key in text for text in first), first


def test_every_fault_is_told_at_once():
    text = GOOD.replace("Philips", "Phillips").replace("te_s: 0.03", "te_s: 30") + "colour: red\n"
    with pytest.raises(DataError) as error:
        parse_plan(text)
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1,\nb: 2", "line 2"),
        ("- 1", "table"),
        ("", "empty"),
        (GOOD + "  - {name: a, vendor: GE, field_t: 3, sequence: PRESS, te_s: 0.03, tr_s: 2}\n",
         "two sites are called a"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(text, words):
    with pytest.raises(DataError, match=words):
        parse_plan(text)


def test_an_unknown_preset_names_those_that_there_are():
    with pytest.raises(DataError, match="korotkov2026"):
        load_plan("dmeo")
