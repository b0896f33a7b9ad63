"""One bad thing stops nothing and is not believed: images, inputs, bundles, texts."""

from __future__ import annotations

import dataclasses
import shutil

import hostile_texts
import pytest
from bad_inputs import KINDS, bad_inputs
from hostile_bundles import hostile_bundles, kinds, merge, rewritten
from image_mutations import mutated_images

from fmrsflow.bundles import pack
from fmrsflow.study import Study


@pytest.fixture(scope="module")
def bundles(tiny_run, tmp_path_factory):
    """Bundles of both sites of the tiny run."""
    folder = tmp_path_factory.mktemp("bundles")
    study = Study.load(tiny_run / "results" / "study.json")
    config = {**study.config, "results": str(tiny_run / "results")}
    for site in study.sites:
        content, _ = pack(dataclasses.replace(study, config=config), site)
        (folder / f"{site}.zip").write_bytes(content)
    return folder


@pytest.mark.slow
def test_mutated_images_give_no_silent_wrong_number(tmp_path):
    counts = mutated_images(24, tmp_path, seed=2)
    print(counts)
    assert (counts.tried, counts.harm) == (24, ())


@pytest.mark.slow
def test_each_bad_input_fails_its_scan_alone(tmp_path):
    counts = bad_inputs(tmp_path)
    print(counts)
    assert (counts.tried, counts.harm) == (len(KINDS) + 1, ())


@pytest.mark.slow
def test_a_hostile_bundle_is_refused_by_its_name_or_merged_rightly(bundles, tmp_path):
    """Every second way; `benchmarks/run.py scale` tries all."""
    counts = hostile_bundles(bundles / "alpha.zip", bundles / "beta.zip", tmp_path, every=2)
    print(counts)
    assert counts.tried > 45
    assert counts.harm == ()
    assert counts.number("merged") == 2, "the good one, and one of two with code in its texts"


@pytest.mark.slow
def test_merge_leaves_out_what_is_refused_if_asked(bundles, tmp_path):
    change = kinds(tmp_path / "harm")["NPZ of garbage"]
    bad = rewritten(bundles / "alpha.zip", tmp_path / "bad.zip", change)
    paths = [bad, bundles / "beta.zip"]
    code, said = merge(paths, tmp_path / "merged")
    assert code == 1 and "bad.zip" in said and not (tmp_path / "merged").exists()
    code, said = merge(paths, tmp_path / "merged", "--keep-going")
    assert code == 0 and "left out: bad.zip" in said
    merged = Study.load(tmp_path / "merged" / "study.json")
    assert list(merged.sites) == ["beta"]
    assert (tmp_path / "merged" / "main" / "report" / "index.html").exists()
    shutil.copy(bad, tmp_path / "worse.zip")
    code, said = merge([bad, tmp_path / "worse.zip"], tmp_path / "none", "--keep-going")
    assert code == 1 and "no bundle is left" in said


def test_no_parser_is_slow_or_breaks_on_hostile_text():
    told = list(hostile_texts.run(50_000))
    assert len(told) > 500
    assert [one for one in told if one[2].startswith(("fault", "message"))] == []
    assert [one for one in told if one[1] > 1] == []
