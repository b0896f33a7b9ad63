"""Sites that keep their raw data: bundle, merge, verify, on the tiny run."""

from __future__ import annotations

import io
import json
import os
import zipfile

import pytest
from bold_fixture import MRS_AFFINE, small_run, write_image
from chain_tools import copy_of, snakemake, tables, write_config

from fmrsflow.bundle_merge import unpack
from fmrsflow.bundles import MANIFEST, pack
from fmrsflow.cli import main as fmrsflow
from fmrsflow.errors import DataError
from fmrsflow.files import read_json
from fmrsflow.study import Study
from fmrsflow.tables import read_table, write_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundles(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    here = os.getcwd()
    os.chdir(tiny_run)
    try:
        for site in ("alpha", "beta"):
            assert fmrsflow(["bundle", site, "--out", str(folder / f"{site}.zip")]) == 0
    finally:
        os.chdir(here)
    return folder


def changed(source, target, change):
    """A copy of a bundle with one change of its entries (name -> content)."""
    with zipfile.ZipFile(source) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


def test_merged_bundles_give_the_tables_of_the_run_on_all_raw_data(bundles, tiny_run, tmp_path):
    paths = [str(bundles / f"{site}.zip") for site in ("beta", "alpha")]
    assert fmrsflow(["merge", *paths, "--results", str(tmp_path / "merged")]) == 0
    merged, whole = tables(tmp_path / "merged"), tables(tiny_run / "results")
    kinds = ("main/sites/", "main/bold/", "multiverse/")
    of_sites = {name: digest for name, digest in whole.items() if name.startswith(kinds)}
    assert len(of_sites) > 12
    assert {name: merged.get(name) for name in of_sites} == of_sites
    assert (tmp_path / "merged" / "main" / "report" / "index.html").exists()
    assert fmrsflow(["verify", str(tmp_path / "merged")]) == 0


def with_bold(folder) -> None:
    """Give each scan of a run a BOLD run over its voxel, of a name that says whose it is."""
    sheet = folder / "data" / "config" / "scans.tsv"
    rows = read_table(sheet)
    for seed, row in enumerate(rows):
        run, scan = small_run(seed, sign=1.0), f"{row['site']}/sub-{row['subject']}/mrs"
        (record,) = (folder / "results" / "convert" / scan).glob("*_record.json")
        centre = read_json(record)["voxel_centre_mm"]
        affine = run.affine.copy()
        affine[:3, 3] += centre - (MRS_AFFINE[:3, :3].sum(axis=1) / 2 + MRS_AFFINE[:3, 3])
        name = f"{row['site']}/Jane_Doe_{row['subject']}"
        write_image(folder / "data" / f"{name}_bold.nii.gz", run.data, affine, run.tr_s)
        write_table(folder / "data" / f"{name}_bold.tsv", run.events)
        row |= {"bold": f"{name}_bold.nii.gz", "bold_events": f"{name}_bold.tsv"}
    write_table(sheet, rows)
    write_config(folder, bold={"connectivity": False})


def test_bold_of_persons_is_merged_and_its_images_stay(tiny_run, tmp_path, monkeypatch):
    folder = copy_of(tiny_run, tmp_path)
    monkeypatch.chdir(folder)
    with_bold(folder)
    snakemake(folder, "--cores", "2")
    paths = []
    for site in ("alpha", "beta"):
        paths.append(str(tmp_path / f"{site}.zip"))
        assert fmrsflow(["bundle", site, "--out", paths[-1]]) == 0
        with zipfile.ZipFile(paths[-1]) as archive:
            own = [name for name in archive.namelist() if name.startswith("bold/")]
            text = b"".join(map(archive.read, own))
        assert {name.rpartition("_")[2] for name in own} == {
            *("record.json", "area.tsv", "area.json", "runs.tsv", "runs.json"),
            *("response.tsv", "response.json", "histogram.tsv", "histogram.json"),
        }
        assert b"Jane_Doe" not in text
    assert fmrsflow(["merge", *paths, "--results", str(tmp_path / "merged")]) == 0
    merged, whole = tables(tmp_path / "merged"), tables(folder / "results")
    kinds = ("main/sites/", "main/bold/", "bold/")
    same = {name: one for name, one in whole.items() if name.startswith(kinds)}
    apart = {name for name, one in same.items() if merged.get(name) != one}
    assert {name.rpartition("_")[2] for name in apart} == {"voxels.tsv"}
    rows = read_table(tmp_path / "merged" / "main" / "bold" / "concordance.tsv")
    assert sum(row["measure"] == "area" and row["used"] == "true" for row in rows) == 4
    (page, *_) = (tmp_path / "merged" / "main" / "report" / "scans").rglob("*.html")
    assert "Mean area under the response of" in page.read_text()
    assert fmrsflow(["verify", str(tmp_path / "merged")]) == 0


def test_no_raw_data_no_picture_and_no_name_of_a_file_leaves(bundles, tiny_run):
    study = Study.load(tiny_run / "results" / "study.json")
    with zipfile.ZipFile(bundles / "alpha.zip") as archive:
        names = archive.namelist()
        text = b"".join(archive.read(name) for name in names if name.endswith((".json", ".tsv")))
    assert not [name for name in names if name.endswith((".png", "_svs.nii.gz", "_mrsref.nii.gz"))]
    assert not [name for name in names if "segment" in name]
    for scan in study.scans:
        for path in (scan.mrs, scan.ref, scan.t1w, scan.events):
            assert path.encode() not in text
            assert path.rsplit("/", 1)[-1].encode() not in text


def test_the_same_results_give_the_same_bundle(bundles, tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run)
    content, _ = pack(Study.load("results/study.json"), "alpha")
    assert content == (bundles / "alpha.zip").read_bytes()


def test_a_changed_file_is_refused(bundles, tmp_path):
    def change(content):
        name = next(name for name in content if name.endswith("_change.tsv"))
        content[name] += b" "

    bad = changed(bundles / "alpha.zip", tmp_path / "a.zip", change)
    with pytest.raises(DataError, match="not what the manifest promises"):
        unpack(bad)


@pytest.mark.parametrize(
    "name", ["../evil.tsv", "/nowhere/evil.tsv", "a/../../evil.tsv", "a\\b.tsv"]
)
def test_an_entry_that_leads_out_is_refused(bundles, tmp_path, name):
    def change(content):
        content[name] = b"x"

    bad = changed(bundles / "alpha.zip", tmp_path / "a.zip", change)
    with pytest.raises(DataError, match="no path of a bundle|differ"):
        unpack(bad)


def test_a_link_is_refused(bundles, tmp_path):
    with zipfile.ZipFile(bundles / "alpha.zip") as archive:
        manifest = json.loads(archive.read(MANIFEST))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="no path of a bundle"):
        unpack(tmp_path / "a.zip")


def test_a_truncated_bundle_is_refused(bundles, tmp_path):
    (tmp_path / "a.zip").write_bytes((bundles / "alpha.zip").read_bytes()[:5000])
    with pytest.raises(DataError, match="no readable bundle"):
        unpack(tmp_path / "a.zip")


def test_a_site_given_twice_is_refused(bundles, tmp_path, capsys):
    twice = [str(bundles / "alpha.zip")] * 2
    assert fmrsflow(["merge", *twice, "--results", str(tmp_path / "merged")]) == 1
    assert "site alpha stands in" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_other_settings_are_refused_and_listed(tiny_run, bundles, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tiny_run)
    study = Study.load("results/study.json")
    study.config["quality"]["min_snr_tcr"] = 3.0
    (tmp_path / "beta.zip").write_bytes(pack(study, "beta")[0])
    paths = [str(bundles / "alpha.zip"), str(tmp_path / "beta.zip")]
    assert fmrsflow(["merge", *paths, "--results", str(tmp_path / "merged")]) == 1
    told = capsys.readouterr().err
    assert "quality.min_snr_tcr" in told and "10.0" in told and "3.0" in told


def test_verify_finds_nothing_after_a_run_and_what_changed_after_that(
    tiny_run, tmp_path, monkeypatch, capsys
):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder)
    monkeypatch.chdir(folder)
    assert fmrsflow(["verify", "results"]) == 0
    table = next((folder / "results").rglob("*_desc-fit_amplitudes.tsv"))
    table.write_text(table.read_text() + "\n")
    source = next((folder / "data" / "alpha").rglob("*_svs.SDAT"))
    source.write_bytes(source.read_bytes()[:-8])
    capsys.readouterr()
    assert fmrsflow(["verify", "results"]) == 1
    told = capsys.readouterr().out
    assert f"{table.relative_to(folder)}\tchanged since fit recorded it" in told
    assert "source changed since convert read it" in told
