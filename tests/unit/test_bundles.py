"""Bundles: what goes in, and everything that `unpack` must refuse."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from dataclasses import replace

import pytest

import report_fixture as made
from fmrsflow import bundles
from fmrsflow.bundles import MANIFEST, STUDY, differences, duplicates, pack, unpack
from fmrsflow.errors import DataError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two sites with results of every stage; a source file bears a person's name."""
    made_study = made.make_study(tmp_path_factory.mktemp("study"), n_sites=2, n_subjects=1)
    named = [replace(scan, mrs=f"{scan.site}/Jane_Doe.nii.gz") for scan in made_study.scans]
    made_study = replace(made_study, scans=tuple(named))
    for seed, scan in enumerate(made_study.scans):
        made.write_scan(made_study, scan, seed, n_transients=32)
    return made_study


@pytest.fixture(scope="module")
def packed(study) -> bytes:
    return pack(study, "siteA")[0]


def rewritten(packed: bytes, path, change, seal: bool = True):
    """The bundle after `change` of its entries; `seal` makes the manifest agree with them."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    if seal:
        manifest = json.loads(content[MANIFEST])
        manifest["files"] = {
            name: hashlib.sha256(data).hexdigest()
            for name, data in content.items()
            if name != MANIFEST
        }
        content[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def edited(key: str, edit):
    """A change of a JSON entry."""

    def change(content):
        data = json.loads(content[key])
        content[key] = json.dumps(edit(data) or data).encode()

    return change


def test_what_is_packed_is_what_is_unpacked(packed, study, tmp_path):
    (tmp_path / "a.zip").write_bytes(packed)
    bundle = unpack(tmp_path / "a.zip")
    assert list(bundle.study.sites) == ["siteA"]
    table = next(name for name in bundle.files if name.endswith("_change.tsv"))
    assert bundle.files[table] == (study.results / table).read_bytes()


def test_only_listed_kinds_of_files_leave(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = set(archive.namelist()) - {MANIFEST, STUDY}
    for name in names:
        stage = name.split("/")[0].split("-")[0]
        assert name.rsplit("_", 1)[-1] in bundles.LEAVES[stage], name
    assert not [name for name in names if name.endswith("_svs.nii.gz")]


def test_no_name_of_a_source_file_leaves(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            assert b"Jane_Doe" not in archive.read(name), name


def test_the_manifest_lists_every_file_with_its_digest(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert set(manifest["files"]) == set(archive.namelist()) - {MANIFEST}
        for name, digest in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest


def test_an_unfinished_site_is_not_packed(tmp_path):
    empty = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    with pytest.raises(DataError, match="convert has not run"):
        pack(empty, "siteA")
    with pytest.raises(DataError, match="no scan of a site 'nowhere'"):
        pack(empty, "nowhere")


def _subject(label):
    return edited(STUDY, lambda study: study["scans"][0].update(subject=label))


def _analysis(study):
    study["config"]["analyses"]["../../out"] = study["config"]["analyses"]["main"]


def _second_site(study):
    study["sites"].append({**study["sites"][0], "name": "siteZ"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_subject("../../../../tmp/x"), "is no label"),
        (_subject("<script>"), "is no label"),
        (_subject("$(reboot)"), "is no label"),
        (edited(STUDY, _analysis), "is no label"),
        (edited(STUDY, _second_site), "holds one site"),
        (edited(STUDY, lambda study: study["scans"][0].update(site="siteB")), "not of site"),
        (edited(STUDY, lambda study: [study]), "missing or bad"),
        (edited(STUDY, lambda study: study.update(extra=1) or study.pop("scans") and study), "bad"),
        (lambda content: content.update({STUDY: b"[" * 10**6}), "missing or bad"),
        (lambda content: content.update({"convert/siteB/x.tsv": b"x"}), "not of site"),
        (lambda content: content.update({"main/sites/meta.tsv": b"x"}), "not of site"),
        (lambda content: content.update({"../evil.tsv": b"x"}), "no path"),
        (lambda content: content.update({"/etc/evil.tsv": b"x"}), "no path"),
        (lambda content: content.update({"a/.hidden": b"x"}), "no path"),
    ],
)
def test_a_sealed_bundle_with_bad_names_is_refused(packed, tmp_path, change, message):
    """Whoever makes the digests agree still cannot lead a path out or speak for another site."""
    with pytest.raises(DataError, match=message):
        unpack(rewritten(packed, tmp_path / "a.zip", change))


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"[]", "no bundle"),
        (b"[" * 10**6, "no bundle"),
        (b'{"format": 1, "software": {}, "files": 3}', "no bundle"),
        (b'{"format": 99, "software": {}, "files": {}}', "bundle format 99"),
        (b"\xff\xfe", "no bundle"),
    ],
)
def test_a_bad_manifest_is_refused(packed, tmp_path, manifest, message):
    bad = rewritten(packed, tmp_path / "a.zip", lambda one: one.update({MANIFEST: manifest}), False)
    with pytest.raises(DataError, match=message):
        unpack(bad)


def test_a_bundle_that_would_unpack_to_too_much_is_refused(packed, tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(packed)
    monkeypatch.setattr(bundles, "MOST_BYTES", 10_000)
    with pytest.raises(DataError, match="larger than a bundle"):
        unpack(tmp_path / "a.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damage", [False, True])
def test_an_entry_that_is_unpacked_without_a_bound_is_refused(tmp_path, method, damage):
    """A bomb of some hundred bytes, or a stream whose damage is no error of zipfile."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.tsv", bytes(1 << 20))
    if damage:
        data = bytearray(path.read_bytes())
        data[40:60] = b"\xff" * 20
        path.write_bytes(data)
    with pytest.raises(DataError, match="compressed as no bundle is"):
        unpack(path)


def test_damage_is_always_told_and_never_used(packed, tmp_path):
    """300 bundles with flipped bytes or a missing end: refused, or read as what was packed."""
    (tmp_path / "a.zip").write_bytes(packed)
    whole = unpack(tmp_path / "a.zip")
    rng = random.Random(7)
    refused = 0
    for _ in range(300):
        data = bytearray(packed)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        # The directory at the end steers the reader: hit it as often as the content.
        start = rng.choice((0, len(data) * 9 // 10))
        for _ in range(rng.randint(1, 3)):
            if data:
                data[rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "a.zip").write_bytes(data)
        try:
            bundle = unpack(tmp_path / "a.zip")
        except DataError:
            refused += 1
        else:
            assert (bundle.study, bundle.files) == (whole.study, whole.files)
    assert refused > 150


def test_differences_name_setting_bundle_and_both_values(study, tmp_path):
    other = json.loads(json.dumps(study.config))
    other["quality"]["min_snr_tcr"] = 3.0
    other["data_root"] = "elsewhere"  # a place, not a setting: may differ
    sites = {"siteA": study, "siteB": replace(study, config={**other, "results": study.results})}
    found = []
    for site, one in sites.items():
        whole = replace(one, config={**one.config, "results": str(study.results)})
        (tmp_path / f"{site}.zip").write_bytes(pack(whole, site)[0])
        found.append(unpack(tmp_path / f"{site}.zip"))
    (row,) = differences(found)
    assert row == {
        "what": "quality.min_snr_tcr",
        "siteA.zip": "10.0",
        "bundle": "siteB.zip",
        "has": "3.0",
    }
    assert duplicates(found) == []
    assert duplicates([found[0], found[0]]) == ["site siteA stands in siteA.zip, siteA.zip"]
