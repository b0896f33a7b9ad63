"""Bundles: what goes in, and everything that `unpack` must refuse."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import zipfile
from dataclasses import replace

import pytest
import yaml

import report_fixture as made
from fmrsflow import bundle_merge, bundles, cli
from fmrsflow.bundle_merge import differences, duplicates, unpack
from fmrsflow.bundles import MANIFEST, STUDY, pack
from fmrsflow.cli import main as fmrsflow
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.files import read_json, write_bytes
from fmrsflow.results import read_record, record_bytes
from fmrsflow.sheets import PLAIN_SECTIONS, read_plan, schema
from fmrsflow.stages import merge
from fmrsflow.study import ANALYSIS_SETTINGS
from fmrsflow.tables import columns_of

SAID = [
    "siteA/Jane_Doe/rest.SDAT and rest.SPAR of /home/Jane_Doe/scan: odd",
    "designs/Jane_Doe_sub-01.tsv: no column",
    "condition rest has 3 transients in water",
]
HEARD = [
    "withheld and withheld of withheld: odd",
    "withheld: no column",
    "condition rest has 3 transients in water",
]


def make_study(root):
    """A study without results as its sheets would give it; paths bear a person's name."""
    study = made.make_study(root, n_sites=2, n_subjects=1)
    config = dict(study.config)
    for section in (*ANALYSIS_SETTINGS, *PLAIN_SECTIONS):
        defaults = {key: rule["default"] for key, rule in schema(section).items()}
        named = section in ANALYSIS_SETTINGS
        config[section] = {name: dict(defaults) for name in config[section]} if named else defaults
    config["analyses"] = {"main": made.ANALYSIS, "again": made.ANALYSIS}
    config["sites"] |= {"bootstraps": 0, "estimator": "blocks"}
    config["sites"] |= {"covariates": ["age"], "groups": ["sex", "arm"]}
    config["data_root"] = str(root / "Jane_Doe" / "data")
    config["sites_sheet"] = config["scans_sheet"] = "/home/Jane_Doe/sheet.tsv"
    config["basis"]["simulated"]["path"] = "Jane_Doe/{site}.basis"
    config["fit"]["spline"]["joint_design"] = "designs/Jane_Doe_{stem}.tsv"
    config["fit"]["spline"]["command"] = "/home/Jane_Doe/bin/lcmodel"
    config["bold"]["transform"] = "Jane_Doe/warp.h5"
    scans = [
        replace(
            scan,
            task="",
            mrs=f"{scan.site}/Jane_Doe/rest.SDAT",
            ref=f"{scan.site}/Jane_Doe/water.SDAT",
            t1w=f"{scan.site}/Jane_Doe/anatomy.nii.gz",
        )
        for scan in study.scans
    ]
    sites = study.sites
    scans.append(replace(scans[1], subject="02", mrs="siteB/Jane_Doe/lost.SDAT"))
    persons = tuple(
        {"site": name, "subject": "01", "age": age, "sex": sex, "note": "Jane_Doe"}
        for name, age, sex in zip(sites, ("31", "35-40"), "FM")
    )
    return replace(study, config=config, scans=tuple(scans), sites=sites, participants=persons)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two sites with results of every stage, warnings that name files, sources, a failed scan."""
    made_study = make_study(tmp_path_factory.mktemp("study"))
    *scans, lost = made_study.scans
    reason = f"{lost.mrs} is not there"
    made.fail_scan(made_study, lost, "convert", reason)
    Job("anatomy", made_study, lost, made.ANALYSIS).finish("failed", reason, "convert", {})
    for seed, scan in enumerate(scans):
        made.write_scan(made_study, scan, seed, n_transients=64)
        path = made_study.record_path("convert", {}, scan)
        sources = {
            f"{scan.stem}_mrs.SDAT": f"{seed}" * 64,
            f"{scan.stem}_mrs.SPAR": "e" * 64,
            f"{scan.stem}_ref.SDAT": f"{seed + 4}" * 64,
            "designs/Jane_Doe.tsv": "e" * 64,
        }
        record = read_record(path) | {"sources": sources, "warnings": SAID}
        write_bytes(path, record_bytes(record))
    return made_study


@pytest.fixture(scope="module")
def packed(study) -> bytes:
    return pack(study, "siteA")[0]


def records_in(packed: bytes) -> dict[str, dict]:
    """Records of a bundle by name."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = [name for name in archive.namelist() if name.endswith("record.json")]
        return {name: json.loads(archive.read(name)) for name in names}


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
        assert name.rsplit("_", 1)[-1] in ("record.json", *bundles.LEAVES[stage]), name
    assert not [name for name in names if name.endswith("_svs.nii.gz")]


def test_no_name_of_a_source_file_leaves(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            assert b"Jane_Doe" not in archive.read(name), name


def test_a_record_leaves_as_it_is_but_for_names_of_files(packed, study):
    """Not with a condition, a quantity or a setting blanked that is called like a file."""
    (scan,) = (scan for scan in study.scans if scan.site == "siteA")
    assert {scan.mrs, scan.ref, scan.t1w} == {
        f"siteA/Jane_Doe/{name}" for name in ("rest.SDAT", "water.SDAT", "anatomy.nii.gz")
    }
    records = records_in(packed)
    assert len(records) == 6
    for name, record in records.items():
        home = read_json(study.results / name)
        assert json.loads(record_bytes(record)) == record
        for content in (home, record):
            for key in ("files", "inputs", "sources", "withheld", "digest"):
                content.pop(key, None)
            for section, keys in bundles.PATH_SETTINGS.items():
                for key in keys:
                    content["settings"].get(section, {}).pop(key, None)
        if record["stage"] == "convert":
            assert record.pop("warnings") == HEARD and home.pop("warnings") == SAID
        assert record == home, name


def test_a_path_with_a_space_is_withheld_as_a_whole():
    names = bundles._names_in_text({"siteA/x.SDAT"}, {"/home/Jane Doe/data"})
    said = "cannot read '/home/Jane Doe/data/siteA/x.SDAT': no such file"
    assert names.sub("withheld", said) == "cannot read 'withheld': no such file"


def test_paths_of_settings_are_blank_and_compare_equal_and_other_settings_do_not(study, tmp_path):
    moved = json.loads(json.dumps(study.config).replace("Jane_Doe", "John_Roe"))
    moved["results"] = study.config["results"]
    found = []
    for site, config in (("siteA", study.config), ("siteB", moved)):
        (tmp_path / f"{site}.zip").write_bytes(pack(replace(study, config=config), site)[0])
        found.append(unpack(tmp_path / f"{site}.zip"))
    assert found[0].study.config["basis"]["simulated"]["path"] == "withheld"
    assert found[0].study.config["fit"]["spline"]["command"] == "withheld"
    assert found[0].study.config["data_root"] == "withheld"
    assert differences(found) == []


def test_digests_of_sources_leave_by_column_and_inputs_that_stay_stand_apart(packed, study):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = set(archive.namelist())
    records = records_in(packed).values()
    (convert,) = (record for record in records if record["stage"] == "convert")
    assert convert["sources"] == {
        "withheld-beside-1": "e" * 64,
        "withheld-beside-2": "e" * 64,
        "withheld-mrs-1": "0" * 64,
        "withheld-ref-1": "4" * 64,
    }
    for record in records:
        assert set(record["inputs"]) <= names
        assert not set(record["withheld"]) & names


def test_the_list_of_what_leaves_tells_what_is_of_persons(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.json").write_text(study.save_text())
    assert fmrsflow(["bundle", "siteA", "--study", "study.json"]) == 0
    printed = capsys.readouterr().out
    (line,) = (one for one in printed.splitlines() if one.startswith("of persons"))
    assert "age" in line and "sex" in line and "times of processing" in line
    manifest = pack(study, "siteA")[1]
    assert manifest["levels"] == {
        "participants.tsv sex": ["F"],
        "trial types and conditions": sorted(made.CONDITIONS),
    }
    assert f"  trial types and conditions: {', '.join(sorted(made.CONDITIONS))}\n" in printed


def test_only_columns_of_people_that_the_configuration_names_leave(study, packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (row,) = json.loads(archive.read(STUDY))["participants"]
    assert row == {"site": "siteA", "subject": "01", "age": "31", "sex": "F"}
    config = study.config | {"sites": study.config["sites"] | {"covariates": [], "groups": []}}
    content, manifest = pack(replace(study, config=config), "siteA")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read(STUDY))["participants"] == [
            {"site": "siteA", "subject": "01"}
        ]
    assert "age" not in manifest["of_persons"] and "sex" not in manifest["of_persons"]


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


RECORD = "convert/siteA/sub-01/mrs/sub-01_desc-convert_record.json"


def _participant(**cells):
    return edited(STUDY, lambda study: study["participants"][0].update(cells))


def _setting(*section, **values):
    def edit(study):
        found = study["config"]
        for key in section:
            found = found[key]
        found.update(values)

    return edited(STUDY, edit)


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
        (_participant(site="siteB"), "siteB is not of site siteA"),
        (_participant(age=-3.0), "age: -3.0 is not an age"),
        (_participant(age="old"), "age: 'old' is neither an age in years nor a span"),
        (_participant(arm="on\nhold"), "is no group's name"),
        (_participant(note="x"), "participants have a column 'note'"),
        (_setting("sites", covariates=[{"a": 1}]), "is not a column"),
        (_setting("sites", groups=["birth_date"]), "tells who somebody is"),
        (_setting("analyses", "main", preprocess="x/../../.."), "there is no setting 'x/../../..'"),
        (_setting("sites", bootstraps=10**12), "bootstraps: 1000000000000 is above 100000"),
        (_setting("sites", effect_percent="three"), "'three' is not a number"),
        (edited(STUDY, lambda study: study["sites"][0].update(te_s=30.0)), "te_s: 30.0 is above"),
        (edited(STUDY, lambda study: study["sites"][0].update(vendor=None)), "vendor is missing"),
        (edited(RECORD, lambda record: record.pop("reason") and None), "no record of convert"),
        (
            edited(RECORD, lambda record: json.loads(record_bytes({**record, "status": "fine"}))),
            "no re",
        ),
        (lambda content: content.pop(RECORD), "missing or no record of convert"),
        (edited(STUDY, lambda study: [study]), "missing or bad"),
        (edited(STUDY, lambda study: study.update(extra=1) or study.pop("scans") and study), "bad"),
        (lambda content: content.update({STUDY: b"[" * 10**6}), "missing or bad"),
        (lambda content: content.update({"convert/siteB/x.tsv": b"x"}), "not of site"),
        (lambda content: content.update({"main/sites/meta.tsv": b"x"}), "not of site"),
        (lambda content: content.update({"../evil.tsv": b"x"}), "no path"),
        (lambda content: content.update({"/nowhere/evil.tsv": b"x"}), "no path"),
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
    monkeypatch.setattr(bundle_merge, "MOST_BYTES", 10_000)
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


def test_the_same_raw_data_under_two_names_of_sites_are_told(study, packed, tmp_path, capsys):
    (tmp_path / "a.zip").write_bytes(packed)

    def renamed(content):
        for name in [name for name in content if name != MANIFEST]:
            data = content.pop(name)
            if name.endswith(".json"):
                data = data.replace(b"siteA", b"siteC")
            if name.endswith("record.json"):
                data = record_bytes(json.loads(data))
            content[name.replace("siteA", "siteC")] = data

    rewritten(packed, tmp_path / "c.zip", renamed)
    both = [unpack(tmp_path / f"{name}.zip") for name in "ac"]
    (told,) = duplicates(both)
    assert "siteC/sub-01 in c.zip has the raw data of siteA/sub-01 in a.zip" in told
    paths = [str(tmp_path / "a.zip"), str(tmp_path / "c.zip")]
    assert fmrsflow(["merge", *paths, "--results", str(tmp_path / "merged")]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_merged_tables_are_those_of_all_results_but_for_names_of_files(study, tmp_path):
    """With a failed scan, two analyses and a preregistration, which is named where bundles are
    merged and in none of them; a name in a message alone may differ."""
    plan = {key: one for key, one in study.config.items() if one is not None}
    plan |= {"version": "0.1.0", "quality": {**plan["quality"], "min_snr_tcr": 12.5}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    study = replace(study, preregistration=read_plan(str(tmp_path / "plan.yaml"), problems := []))
    assert not problems
    (tmp_path / "study.json").write_text(study.save_text())
    paths = [tmp_path / f"{site}.zip" for site in study.sites]
    for path in paths:
        path.write_bytes(pack(study, path.stem)[0])
        assert unpack(path).study.preregistration == {}
    given = ["--results", str(tmp_path / "merged")]
    given += ["--preregistration", str(tmp_path / "plan.yaml")]
    assert fmrsflow(["merge", *map(str, paths), *given]) == 0
    for choice in ("main", "again", "--multiverse"):
        assert fmrsflow(["sites", "--study", str(tmp_path / "study.json"), choice]) == 0
    whole = [
        path
        for folder in ("main/sites", "again/sites", "multiverse")
        for path in (study.results / folder).glob("*.tsv")
    ]
    assert len(whole) > 25
    deviations = (study.results / "multiverse/deviations.tsv").read_text()
    assert deviations.splitlines()[1:] == ["exclusion\tn/a\tquality: min_snr_tcr\t12.5\t10"]
    for path in whole:
        text = path.read_text()
        for said, heard in (*zip(SAID, HEARD), ("siteB/Jane_Doe/lost.SDAT", "withheld")):
            text = text.replace(said, heard)
        assert (tmp_path / "merged" / path.relative_to(study.results)).read_text() == text
    assert (
        "sub-02_mrs.SDAT is not there" in (tmp_path / "merged/main/sites/problems.tsv").read_text()
    )


def test_verify_finds_merged_results_whole_and_tells_what_is_edited(study, tmp_path, capsys):
    """No source and no input that stayed at a site is missed; records of tables are sealed too."""
    paths = [tmp_path / f"{site}.zip" for site in study.sites]
    for path in paths:
        path.write_bytes(pack(study, path.stem)[0])
    merged = str(tmp_path / "merged")
    assert fmrsflow(["merge", *map(str, paths), "--results", merged]) == 0
    capsys.readouterr()
    assert fmrsflow(["verify", merged]) == 0, capsys.readouterr().out
    for name in ("main/sites/record.json", "multiverse/record.json"):
        record = tmp_path / "merged" / name
        record.write_text(record.read_text().replace('"Glu"', '"Gln"', 1))
    capsys.readouterr()
    assert fmrsflow(["verify", merged]) == 1
    assert capsys.readouterr().out.count("damaged or edited since it was written") == 2


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


def test_a_file_in_the_place_of_the_merged_results_is_told(tmp_path, capsys):
    (tmp_path / "merged").write_text("")
    assert fmrsflow(["merge", "a.zip", "--results", str(tmp_path / "merged")]) == 2
    assert "merged cannot be used (Not a directory); name a new folder" in capsys.readouterr().err


def killed(_: list[str]) -> int:
    """A command that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_killed_process_is_the_machine_s_fault_and_no_bundle_s(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "main", killed)
    with pytest.raises(MachineFault, match="was killed"):
        merge._without_pages(tmp_path / "study.json", ["main"], {"A": [("a",)], "B": [("b",)]})


@pytest.fixture(scope="module")
def with_bold(study):
    """A site's study whose scan has a BOLD run, with what the stage leaves of it."""
    (scan,) = study.scans_of("siteA")
    scan = replace(scan, bold="siteA/Jane_Doe/run.nii.gz", bold_events="siteA/Jane_Doe/run.tsv")
    part = replace(study, sites={"siteA": study.sites["siteA"]}, scans=(scan,))
    job = Job("bold", part, scan, {})
    area = {"condition": "sum", "area_mean": 4.2, "area_mean_se": 0.5, "area_total": 42.0}
    area |= {"area_total_se": 5.0, "negative_share": 0.1, "sign": 1, "n_voxels": 10}
    job.save("area", [area], columns_of("bold", "area"))
    job.save("voxels", [], columns_of("bold", "voxels"))
    job.save("response.png", b"PNG of Jane_Doe")
    job.warn(f"{scan.bold}: odd")
    body = {"area_mean_percent_s": 4.2, "area_mean_se_percent_s": 0.5, "n_runs": 1}
    job.finish("ok", None, None, {**body, "conditions": ["easy"], "not_used": None})
    return part


BOLD = "bold/siteA/sub-01/mrs/sub-01_desc-bold"


def test_bold_of_a_person_leaves_as_tables_alone(with_bold, tmp_path):
    content, manifest = pack(with_bold, "siteA")
    own = {name for name in manifest["files"] if name.startswith("bold/")}
    assert own == {f"{BOLD}_{what}" for what in ("record.json", "area.tsv", "area.json")}
    assert "easy" in manifest["levels"]["trial types and conditions"]
    (tmp_path / "a.zip").write_bytes(content)
    bundle = unpack(tmp_path / "a.zip")
    for name in own:
        assert b"Jane_Doe" not in bundle.files[name]
    assert bundle.study.scans[0].bold == bundles.WITHHELD
    assert len(bundle.study.items("bold")) == 1


@pytest.mark.parametrize(
    ("what", "old", "new", "said"),
    [
        ("area.tsv", b"4.2", b"1e300", "beyond"),
        ("area.tsv", b"area_mean\t", b"area\t", "lacks the column|other columns"),
        ("record.json", b'"n_runs": 1', b'"n_runs": "many"', "n_runs is not of the kind"),
        (
            "record.json",
            b'"conditions": [',
            b'"conditions": [[1], ',
            "conditions is not of the kind",
        ),
    ],
)
def test_bad_bold_is_refused_at_the_door(with_bold, tmp_path, what, old, new, said):
    def change(content):
        name = f"{BOLD}_{what}"
        assert old in content[name]
        content[name] = content[name].replace(old, new, 1)
        record = json.loads(content[f"{BOLD}_record.json"])
        digest = hashlib.sha256(content[name]).hexdigest()
        record["files"] |= {} if what == "record.json" else {name.rsplit("/", 1)[1]: digest}
        content[f"{BOLD}_record.json"] = record_bytes(record)

    with pytest.raises(DataError, match=said):
        unpack(rewritten(pack(with_bold, "siteA")[0], tmp_path / "a.zip", change))
