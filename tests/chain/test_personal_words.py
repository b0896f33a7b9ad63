"""A person's name planted in headers, file names, folders and columns that nothing asks for stands
in no page, table, record, log, bundle or published dataset of a real run."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import pytest
from chain_tools import snakemake, write_config

from fmrsflow.cli import main as fmrsflow
from fmrsflow.tables import read_table, write_table

pytestmark = pytest.mark.slow

NAME = "JANEDOE"
AT_HOME = ("study.json", "batches/")
"""Where names of files stand for the site itself and the next run."""


def planted(data: Path) -> None:
    """Put the name wherever a scanner or a person may have put it, and spoil one scan."""
    sheet = data / "config" / "scans.tsv"
    rows = read_table(sheet)
    for row in rows:
        for column in ("mrs", "ref", "t1w", "events"):
            if row[column] == "n/a":
                continue
            old = data / row[column]
            row[column] = f"{row['site']}/{NAME}_{row['subject']}/{column}_{NAME}{ending(old)}"
            new = data / row[column]
            new.parent.mkdir(exist_ok=True)
            for path, target in ((old, new), *beside(old, new)):
                shutil.move(path, target)
                plant(target)
    content = (data / rows[-1]["mrs"]).read_bytes()
    (data / rows[-1]["mrs"]).write_bytes(content[: len(content) // 2])
    write_table(sheet, rows)


def ending(path: Path) -> str:
    """Ending of a file, both parts of `.nii.gz`."""
    return "".join(path.suffixes)


def beside(old: Path, new: Path):
    """Files of the same name with another ending."""
    stem = old.name.removesuffix(ending(old))
    for path in old.parent.glob(f"{stem}.*"):
        if path != old:
            yield path, new.with_name(new.name.removesuffix(ending(new)) + ending(path))


def plant(path: Path) -> None:
    """Put the name into the header or an extra column of a file."""
    if path.suffix == ".SPAR":
        text = path.read_text()
        for key in ("examination_name", "patient_name"):
            text = re.sub(rf"(?m)^{key} :.*$", f'{key} : "{NAME}"', text)
        assert NAME in text
        path.write_text(text)
    elif path.name.endswith(".nii.gz"):
        image = nib.load(path)
        content = bytearray(gzip.decompress(path.read_bytes()))
        place = 148 if image.header["sizeof_hdr"] == 348 else 240
        content[place : place + len(NAME)] = NAME.encode()  # descrip
        path.write_bytes(gzip.compress(bytes(content), mtime=0))
        assert NAME.encode() in nib.load(path).header["descrip"].tobytes()
    elif path.suffix == ".json":
        told = json.loads(path.read_text()) | {"PatientName": NAME, "ReferringPhysician": NAME}
        path.write_text(json.dumps(told))
    elif path.suffix == ".tsv":
        write_table(path, [row | {"comment": NAME} for row in read_table(path)])


def contents(folder: Path):
    """Every file with its name below the folder, unpacked."""
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        if path.suffix in (".npz", ".zip"):
            with zipfile.ZipFile(path) as archive:
                content = b"".join(
                    one.encode() + archive.read(one) for one in sorted(archive.namelist())
                )
        yield str(path.relative_to(folder)), content


def test_a_name_leaves_in_no_output(tiny_study, monkeypatch):
    monkeypatch.chdir(tiny_study)
    planted(tiny_study / "data")
    write_config(tiny_study)
    snakemake(tiny_study, "--cores", "1")
    results = tiny_study / "results"
    problems = (results / "main" / "sites" / "problems.tsv").read_text()
    assert "failed" in problems and "sub-02_task-visual_mrs" in problems
    for site in ("alpha", "beta"):
        assert fmrsflow(["bundle", site, "--out", str(results / f"{site}.zip")]) == 0
    assert fmrsflow(["publish", str(results / "open")]) == 0
    assert len(list((results / "open").glob("sub-*/anat/*_T1w.nii.gz"))) >= 3
    searched = 0
    for name, content in contents(results):
        if not any(part in name for part in AT_HOME):
            searched += 1
            assert NAME.encode() not in content and NAME not in name, name
    assert searched > 150
    assert NAME in (results / "study.json").read_text(), "it was planted"
    assert fmrsflow(["verify"]) == 0, "what files are called leads back to them"
