"""The door: typed cells, digests, what is absent, inputs noted, and one writer of records."""

from __future__ import annotations

import json
import math
import os
import re

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.errors import Damaged, DataError
from fmrsflow.fids import Fids
from fmrsflow.files import file_digest, write_bytes
from fmrsflow.results import Results, Writer, read_record, record_bytes
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import (
    MISSING,
    columns_of,
    data_dictionary,
    flag,
    integer,
    number,
    parse_table,
    read_table,
    table_bytes,
    text,
    write_table,
)

COLUMNS = {
    "value": number("a number", "Hz"),
    "count": integer("how many"),
    "used": flag("whether"),
    "reason": text("why"),
}
SCAN = Scan("A", "01", "x.rda")
TRANSIENT = {"transient": 0, "time_s": 2.0, "condition": "rest", "kept": True, "weight": 0.5}


@pytest.fixture
def study(tmp_path):
    config = {"results": str(tmp_path / "results"), "data_root": str(tmp_path / "data")}
    return Study(config, {"A": Site("A", "GE", 3.0, "PRESS", 0.03, 2.0, "own")}, (SCAN,))


NAMES = {"preprocess": "robust"}


@pytest.fixture
def left(study):
    """What a preprocess job left: a file of each kind."""
    writer = Writer(Results(study).of("preprocess", NAMES, SCAN), {"Name": "us"}, {"x": "0"})
    writer.save("transients", [TRANSIENT], columns_of("preprocess", "transients"))
    writer.save("result", {"x": np.arange(3), "y": np.ones(2)})
    writer.save("GM", nib.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4)))
    writer.save("svs", Fids(np.ones((2, 1, 8), complex), 1e-3, 123.0))
    writer.save("svs", {"EchoTime": 0.03})
    writer.save("voxel.png", b"a picture")
    writer.finish({"stage": "preprocess", "status": "ok"}, {"snr": math.nan})
    return writer.output


def test_each_kind_of_cell_is_read_as_what_it_is():
    rows = [
        {"value": 1.23456789, "count": 3, "used": True, "reason": "too wide"},
        {"value": -math.inf, "count": np.int64(-1), "used": np.bool_(False), "reason": "x"},
        {},
    ]
    first, second, third = parse_table(table_bytes(rows, COLUMNS), COLUMNS, "t.tsv")
    assert first == {"value": 1.23457, "count": 3, "used": True, "reason": "too wide"}
    assert second == {"value": -math.inf, "count": -1, "used": False, "reason": "x"}
    assert math.isnan(third.pop("value"))
    assert third == {"count": None, "used": None, "reason": ""}
    kinds = [type(one) for one in first.values()]
    assert kinds == [float, int, bool, str]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("value", "much"),
        ("value", "true"),
        ("value", "1,5"),
        ("count", "2.5"),
        ("count", "1e3"),
        ("used", "True"),
        ("used", "1"),
    ],
)
def test_a_cell_that_is_not_of_its_kind_is_damage(column, cell):
    cells = dict.fromkeys(COLUMNS, MISSING) | {column: cell}
    content = "\t".join(COLUMNS) + "\n" + "\t".join(cells.values()) + "\n"
    with pytest.raises(DataError, match=rf"t\.tsv line 2: {column} '{cell}' is not of the kind"):
        parse_table(content.encode(), COLUMNS, "t.tsv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"value\tcount\tused\n1\t2\ttrue\n", "lacks the column reason"),
        (b"value\tcount\tused\treason\n1\t2\ttrue\n", "line 2 has 3 cells"),
        (b"", "lacks the column value"),
        (b"\xff\xfe\x00", "not a UTF-8 text table"),
        (b"value\0", "zero byte"),
    ],
)
def test_a_table_of_another_form_is_damage(content, message):
    with pytest.raises(DataError, match=message):
        parse_table(content, COLUMNS, "t.tsv")


@pytest.mark.parametrize(
    "row", [{"value": "1.0"}, {"value": True}, {"count": 2.0}, {"used": 1}, {"reason": 3}]
)
def test_a_value_that_could_not_be_read_again_is_never_written(row):
    with pytest.raises(ValueError, match="is not of the kind"):
        table_bytes([row], COLUMNS)


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "=cmd|' /C calc'!A0",
            "+1+cmd|x",
            "-2+3+cmd|x",
            "@SUM(A1)",
            "\uff1d1+1",
            "'=1",
            "''@x",
            "'-5",
        ),
        *("rest", "'quoted' is odd", "a=b", "-0.5", "+3", "-inf", "-1e-05", "-", "-CrCH2", "+A1"),
    ],
)
def test_no_cell_is_run_as_a_formula_and_each_is_read_as_it_was(cell, tmp_path):
    """As OWASP lists them: a cell that begins with =, +, -, @; white space in front is cut."""
    columns = {"words": text("w"), "value": number("v")}
    written = table_bytes([{"words": f"\t{cell}", "value": -1.5}], columns)
    shown, value = written.decode().splitlines()[1].split("\t")
    assert value == "-1.5", "a number stays a number"
    # What still begins with a sign is a number or one word.
    assert shown[0] not in "=+-@\uff1d" or re.fullmatch(r"[+-](\d+(\.\d+)?(e-\d+)?|\w+)", shown)
    assert parse_table(written, columns, "x.tsv")[0]["words"] == cell
    write_table(tmp_path / "sheet.tsv", [{"words": cell, "value": -1.5}])
    assert read_table(tmp_path / "sheet.tsv") == [{"words": cell, "value": "-1.5"}]


def test_a_data_dictionary_gives_descriptions_and_units():
    dictionary = data_dictionary(COLUMNS)
    assert dictionary["value"] == {"Description": "a number", "Units": "Hz"}
    assert dictionary["used"] == {"Description": "whether"}


@pytest.mark.parametrize("stage", ["preprocess", "fit", "quantify", "response", "bold", "sites"])
def test_every_declared_column_has_a_description_and_a_kind(stage):
    from importlib import import_module

    for table in import_module(f"fmrsflow.tables.{stage}").TABLES.values():
        for column in table.values():
            assert column.description
            assert column.kind in ("number", "integer", "flag", "text")


def test_every_kind_of_file_is_read_back(left):
    (row,) = left.table("transients")
    assert (row["kept"], row["condition"], row["weight"]) == (True, "rest", 0.5)
    assert math.isnan(row["shift_hz"]) and row["cause"] == ""
    assert list(left.arrays("result")) == ["x", "y"]
    assert list(left.arrays("result", ["y"])) == ["y"]
    assert left.image("GM").shape == (2, 2, 2)
    assert left.fids("svs").data.shape == (2, 1, 8)
    assert left.json("svs") == {"EchoTime": 0.03}
    assert left.content("voxel.png") == b"a picture"


READS = {
    "transients.tsv": lambda output: output.table("transients"),
    "result.npz": lambda output: output.arrays("result"),
    "GM.nii.gz": lambda output: output.image("GM"),
    "svs.nii.gz": lambda output: output.fids("svs"),
    "svs.json": lambda output: output.json("svs"),
    "voxel.png": lambda output: output.content("voxel.png"),
}


def edit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", READS)
def test_an_edited_file_is_refused_with_what_to_do(study, left, name):
    edit(left.place(name))
    again = Results(study).of("preprocess", NAMES, SCAN)
    with pytest.raises(Damaged, match="is not what was written .* delete .* and run again"):
        READS[name](again)
    left.place(name).unlink()
    with pytest.raises(Damaged, match="is missing; delete .* and run again"):
        READS[name](again)


def test_a_table_that_is_not_what_the_stage_declares_is_refused(study, left):
    """Made by another version: whole, but of other columns."""
    writer = Writer(left, {}, {})
    writer.save("transients", [TRANSIENT])
    writer.finish({"stage": "preprocess", "status": "ok"}, {})
    with pytest.raises(Damaged, match="lacks the column shift_hz: .* delete .* and run again"):
        Results(study).of("preprocess", NAMES, SCAN).table("transients")


@pytest.mark.parametrize("name", READS)
def test_an_edited_record_is_refused_whatever_is_read(study, left, name):
    text_ = left.record_path.read_text()
    for edited in (
        text_.replace('"ok"', '"no"', 1),
        text_[:-20],
        json.dumps({k: v for k, v in json.loads(text_).items() if k != "digest"}),
        text_.replace("null", "NaN", 1),
    ):
        assert edited != text_
        left.record_path.write_text(edited)
        with pytest.raises(Damaged, match="is damaged or was edited"):
            READS[name](Results(study).of("preprocess", NAMES, SCAN))
        with pytest.raises(Damaged, match="is damaged or was edited"):
            read_record(left.record_path)


def test_what_is_absent_is_asked_for_and_never_guessed(study, left):
    results = Results(study)
    output = results.of("preprocess", NAMES, SCAN)
    assert output.exists and output.has("svs.nii.gz") and not output.has("mrsref.nii.gz")
    with pytest.raises(FileNotFoundError, match=r"preprocess did not write .*_mrsref\.nii\.gz"):
        output.fids("mrsref")
    output.place("mrsref.nii.gz").write_bytes(b"of nobody")
    with pytest.raises(FileNotFoundError):
        output.fids("mrsref")
    assert not results.of("convert", {}, SCAN).exists
    with pytest.raises(FileNotFoundError):
        _ = results.of("convert", {}, SCAN).record


def test_everything_that_is_opened_is_noted_the_record_too(study, left):
    results = Results(study)
    output = results.of("preprocess", NAMES, SCAN)
    assert results.inputs == {}
    assert output.record["status"] == "ok"
    output.table("transients")
    output.image("GM")
    opened = [left.record_path, left.place("transients.tsv"), left.place("GM.nii.gz")]
    assert results.inputs == {
        str(path.relative_to(study.results)): file_digest(path) for path in opened
    }


def test_a_record_names_every_file_beside_it_and_what_was_read(left):
    record = read_record(left.record_path)
    beside = {path.name for path in left.record_path.parent.iterdir()} - {left.record_path.name}
    assert set(record["files"]) == beside
    assert "sub-01_desc-preprocess_transients.json" in beside
    assert record["inputs"] == {"x": "0"}
    assert record["GeneratedBy"] == [{"Name": "us"}]
    assert record["snr"] is None


def test_groups_and_bases_are_read_by_the_same_door(study):
    results = Results(study)
    for output, name in (
        (results.group("sites", "main"), "main/sites/record.json"),
        (results.group("bold", "main"), "main/bold/record.json"),
        (results.multiverse(), "multiverse/record.json"),
        (results.of("basis", {"basis": "b"}, study.sites["A"]), "basis-b/A_desc-basis_record.json"),
    ):
        assert str(output.record_path.relative_to(study.results)) == name
    writer = Writer(results.group("sites", "main"), {}, {})
    writer.save("figures/forest.png", b"picture")
    writer.finish({"stage": "sites"}, {})
    assert Results(study).group("sites", "main").content("figures/forest.png") == b"picture"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("what", ["record.json", "svs.nii.gz", "transients.tsv"])
def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_damage_and_never_waits(
    study, left, make, what
):
    path = left.place(what)
    path.unlink()
    make(path)
    output = Results(study).of("preprocess", NAMES, SCAN)
    assert path.name in output.damage("svs.nii.gz", "transients.tsv")
    with pytest.raises(Damaged, match=path.name):
        output.content(what) if what != "record.json" else output.record


def test_a_record_under_the_name_of_another_scan_is_refused(study, left):
    record = read_record(left.record_path) | {"scan": SCAN.entities | {"subject": "02"}}
    write_bytes(left.record_path, record_bytes(record))
    with pytest.raises(Damaged, match="record of another scan"):
        assert Results(study).of("preprocess", NAMES, SCAN).record
    assert read_record(left.record_path)["scan"]["subject"] == "02"
