"""BIDS URIs of what a study reads: that they lead back to the file, and that no vendor file has
one."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from convert_tools import converted
from fmrsflow.bids_uris import dataset_links, uri
from fmrsflow.files import file_digest, read_json
from fmrsflow.study import Scan, Site, Study

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")


def study_of(root: Path, *scans: Scan, **config) -> Study:
    config = {"data_root": str(root / "data"), "results": str(root / "out" / "results"), **config}
    sites = {scan.site: SITE for scan in scans}
    return Study(config, sites, scans)


def resolved(study: Study, text: str) -> Path:
    """The file that a URI of the results names, by the standard alone."""
    scheme, name, inner = text.split(":")
    assert scheme == "bids"
    link = unquote(dataset_links(study)[name]) if name else "."
    return Path(os.path.realpath(study.results / link / inner))


@pytest.mark.parametrize("results", ["out/results", "data/north/derivatives/fmrsflow", "data/r"])
@pytest.mark.parametrize("dataset", ["north", "Zürich 3T/raw", "."])
def test_a_uri_leads_to_the_file_wherever_the_results_lie(tmp_path, results, dataset):
    name = "sub-01/ses-2/mrs/sub-01_ses-2_task-visual_svs.nii.gz"
    scan = Scan("north", "01", f"{dataset}/{name}".removeprefix("./"), session="2")
    study = study_of(tmp_path, scan, results=str(tmp_path / results))
    file = study.data_root / scan.mrs
    for folder in (file.parent, study.results):
        folder.mkdir(parents=True)
    file.write_bytes(b"spectra")
    assert uri(scan, "mrs").endswith(f":{name}")
    assert resolved(study, uri(scan, "mrs")) == file
    (link,) = dataset_links(study).values()
    assert not link.startswith("/") and str(tmp_path) not in link


def test_a_dataset_has_one_name_whatever_other_rows_there_are(tmp_path):
    def scan(site: str, dataset: str, subject: str) -> Scan:
        return Scan(site, subject, f"{dataset}/sub-{subject}/mrs/sub-{subject}_svs.nii")

    scans = [
        scan("north", "north", "1"),
        scan("north", "Jane_Doe", "2"),
        scan("south", "north", "3"),
    ]
    scans += [scan("north", "Jane_Doe", "4"), Scan("north", "5", "sub-5/mrs/sub-5_svs.nii")]
    links = dataset_links(study_of(tmp_path, *scans))
    assert links["north"] == "../../data/north" and links["data-root"] == "../../data"
    assert len(links) == 4 and not any("Doe" in name for name in links)
    names = [uri(one, "mrs").split(":")[1] for one in scans]
    assert names[1] == names[3] and set(names) == set(links)
    assert all(links[names[n]].endswith("/north") for n in (0, 2))
    for one in scans:
        (name,) = dataset_links(study_of(tmp_path, one))
        assert uri(one, "mrs").startswith(f"bids:{name}:")
        assert re.fullmatch(r"bids:[0-9a-zA-Z/#:?_.-]*", uri(one, "mrs")), "the standard's pattern"


@pytest.mark.parametrize(
    "name",
    [
        "Jane_Doe/rest.SDAT",
        "north/sub-01/mrs/sub-01_svs.SDAT",
        "north/sub-01/mrs/Jane_Doe.nii.gz",
        "north/sub-JaneDoe/mrs/sub-JaneDoe_svs.nii.gz",
        "north/sub-01/ses-1990/mrs/sub-01_ses-1990_svs.nii.gz",
        "north/sub-01/ses-2/mrs/sub-01_svs.nii.gz",
        "north/sub-01/mrs/sub-02_svs.nii.gz",
        "sub-01_svs.nii.gz",
        "withheld",
        "",
    ],
)
def test_what_is_not_of_a_bids_dataset_and_of_this_subject_has_none(tmp_path, name):
    scan = Scan("north", "01", name)
    study = study_of(tmp_path, scan)
    assert uri(scan, "mrs") is None
    assert dataset_links(study) == {}


def test_sidecars_of_a_conversion_name_what_they_were_made_of(tiny_data, tmp_path):
    """NIfTI-MRS of site beta have URIs that lead to the bytes of the record; SDAT of alpha none."""
    results = tmp_path / "results"
    stem = "sub-01_task-visual"
    names = [f"beta/sub-01/mrs/{stem}_{what}.nii.gz" for what in ("svs", "mrsref")]
    record, folder = converted(SITE, tiny_data, results, *names, task="visual")
    assert record["status"] == "ok"
    config = {"data_root": str(tiny_data), "results": str(results)}
    scan = Scan(SITE.name, "01", names[0], ref=names[1], task="visual")
    study = Study(config, {SITE.name: SITE}, (scan,))
    for what, column in (("svs", "mrs"), ("mrsref", "ref")):
        told = read_json(folder / f"{stem}_desc-convert_{what}.json")
        (source,) = told["Sources"]
        digest = record["sources"][f"{stem}_{column}.nii.gz"]
        assert file_digest(resolved(study, source)) == digest
    signal = read_json(folder / f"{stem}_desc-convert_svs.json")["ReferenceSignal"]
    assert resolved(study, signal) == (folder / f"{stem}_desc-convert_mrsref.nii.gz").resolve()

    names = [f"alpha/sub-01/mrs/{stem}_{what}.SDAT" for what in ("svs", "mrsref")]
    shutil.rmtree(results)
    philips = Site("north", "Philips", 3.0, "PRESS", 0.03, 2.0, "own")
    _, folder = converted(philips, tiny_data, results, *names, task="visual")
    for what in ("svs", "mrsref"):
        assert "Sources" not in read_json(folder / f"{stem}_desc-convert_{what}.json")
