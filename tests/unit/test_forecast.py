"""What a run will cost: by the size of its scans, what is done, and the shape that headers tell."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import report_fixture as made
from fmrsflow import forecast as module
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.forecast import Forecast, forecast, slowness


@pytest.fixture
def study(tmp_path):
    return made.make_study(tmp_path, n_sites=2, n_subjects=3)


def test_costs_grow_with_scans_transients_and_analyses(study):
    few = forecast(study)
    less = forecast(replace(study, scans=study.scans[:3]))
    assert less.jobs < few.jobs and less.cpu_s < few.cpu_s and less.n_bytes < few.n_bytes
    long = {name: replace(site, transients=1000) for name, site in study.sites.items()}
    more = forecast(replace(study, sites=long))
    assert (more.jobs, more.cpu_s > few.cpu_s) == (few.jobs, True)
    two = {**study.config, "analyses": {**study.config["analyses"]}}
    two["analyses"]["again"] = next(iter(two["analyses"].values()))
    both = forecast(replace(study, config=two))
    assert both.jobs > few.jobs and both.cpu_s > few.cpu_s
    assert forecast(study, speed=2.0).cpu_s == pytest.approx(2 * few.cpu_s)


def test_what_is_done_costs_nothing_again(study):
    before = forecast(study)
    (names,) = study.choices("fit")
    for job in study.jobs("fit"):
        path = study.manifest_path("fit", names, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    after = forecast(study)
    assert after.done == before.done + len(study.jobs("fit"))
    assert after.cpu_s < before.cpu_s and after.jobs == before.jobs


def test_the_shape_is_that_of_the_header(tmp_path):
    fids = Fids(np.ones((12, 4, 512), np.complex64), 5e-4, 123.2, 0.03, 2.0)
    path = tmp_path / "a.nii.gz"
    nib.save(to_nifti(fids), path)
    assert module._shape(path, None) == (12, 512, 4)
    other = tmp_path / "a.SDAT"
    other.write_bytes(bytes(8 * 2048 * 30))
    assert module._shape(other, None) == (30, 2048, 1)
    assert module._shape(other, 10) == (10, 2048, 3)
    assert module._shape(tmp_path / "none.SDAT", None)[0] == 1.0
    (tmp_path / "bad.nii.gz").write_bytes(b"\x1f\x8bbroken")
    assert module._shape(tmp_path / "bad.nii.gz", 20)[0] == 20


def test_the_words_and_the_speed_of_this_machine():
    said = str(Forecast(15, 4, 7200.0, 3.2e9))
    assert said.endswith("15 jobs, 4 of them done, about 2.0 h of CPU, 3.2 GB of results")
    assert 0.1 < slowness() < 20
