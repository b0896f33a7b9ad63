"""Oddities of sheets and events: who is who, when is what, whose file is whose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from given import Base, Given
from kit import Case


def _events(function) -> Callable[[Base], Given]:
    """The undisturbed scan with other rows of events."""

    def make(base: Base) -> Given:
        given = base.given("nifti")
        given.events = function([dict(row) for row in given.events])
        return given

    return make


def _each(**values) -> Callable[[Base], Given]:
    """A value in the first event of the task, which the second row is."""
    return _events(lambda rows: [rows[0], {**rows[1], **values}, *rows[2:]])


def _times(factor: float, shift: float = 0.0):
    def change(rows):
        for row in rows:
            row["onset"] = f"{float(row['onset']) * factor + shift:.12g}"
            row["duration"] = f"{float(row['duration']) * factor:g}"
        return rows

    return _events(change)


def _all(function) -> Callable[[Base], Given]:
    """A change of each row of events."""
    return _events(lambda rows: [function(row) for row in rows])


def _commas(row: dict) -> dict:
    return row | {key: f"{float(row[key]):.1f}".replace(".", ",") for key in ("onset", "duration")}


def _presses(rows: list[dict]) -> list[dict]:
    """A button press within each event of the task, as stimulus programs log it."""
    more = [
        {**row, "onset": float(row["onset"]) + 3.2, "duration": "0", "trial_type": "press"}
        for row in rows
        if row["trial_type"] != "rest"
    ]
    return sorted([*rows, *more], key=lambda row: float(row["onset"]))


def _file_of_events(change: Callable[[bytes], bytes]) -> Callable[[Base], Given]:
    """The bytes of events.tsv changed."""
    return _named(lambda given: given.edit("events", change))


def _tab_behind(content: bytes) -> bytes:
    return content.replace(b"\n", b"\t\n")


def _named(function) -> Callable[[Base], Given]:
    """One scan after a change of its rows or files."""

    def make(base: Base) -> Given:
        given = base.given("nifti")
        function(given)
        return given

    return make


def other_noise(given: Given, seed: int) -> Given:
    """The same scan with noise of its own, as another person's."""
    rng = np.random.default_rng(seed)
    noise = 0.02 * np.abs(given.fids.data).mean()
    for name, size in (("fids", noise), ("reference", noise)):
        fids = getattr(given, name)
        more = rng.normal(size=fids.data.shape) + 1j * rng.normal(size=fids.data.shape)
        setattr(given, name, fids.with_data(fids.data + size * more))
    return given


def pair(function=lambda first, second: None, subject: str = "02") -> Callable[[Base], Given]:
    """Two people of a site, after a change of their rows."""

    def make(base: Base) -> Given:
        first = base.given("nifti")
        second = other_noise(base.given("nifti", subject), 2)
        first.more = [second]
        function(first, second)
        return first

    return make


def _one_file(first: Given, second: Given) -> None:
    second.row["mrs"] = first.row["mrs"]


def _one_content(first: Given, second: Given) -> None:
    second.fids = first.fids


def _one_reference(first: Given, second: Given) -> None:
    second.row["ref"] = first.row["ref"]


def _same_reference(first: Given, second: Given) -> None:
    second.reference = first.reference


def _anatomy(first: Given, second: Given) -> None:
    for tissue in ("gm", "wm", "csf"):
        second.row[tissue] = first.row[tissue]


def _swapped_references(first: Given, second: Given) -> None:
    first.row["ref"], second.row["ref"] = second.row["ref"], first.row["ref"]


def _people(*persons: str | None, subjects=("01", "02")):
    def change(first: Given, second: Given) -> None:
        first.people = [
            {"site": "siemens", "subject": subject, "person": person}
            for subject, person in zip(subjects, persons)
        ]

    return change


def _participant_id(first: Given, second: Given) -> None:
    first.people = [{"participant_id": f"sub-{n}", "age": 30} for n in ("01", "02")]


def _row_twice(first: Given, second: Given) -> None:
    second.row.clear()
    second.row.update(first.row)


def _twin(first: Given, second: Given) -> None:
    second.row["subject"] = "1"


def _site(**values) -> Callable[[Base], Given]:
    return _named(lambda given: given.site.update(values))


def _later(function) -> Callable[[Base], Given]:
    """A change of the row after the files were written under their names."""
    return _named(lambda given: given.edits.append(lambda data: function(given.row)))


def _row(**values) -> Callable[[Base], Given]:
    return _later(lambda row: row.update(values))


def _swap(row: dict) -> None:
    row["mrs"], row["ref"] = row["ref"], row["mrs"]


def _moved_maps(mm: float):
    """Tissue maps moved, as of another session."""

    def change(given: Given) -> None:
        def move(data):
            import nibabel as nib

            for tissue in ("gm", "wm", "csf"):
                path = data / given.row[tissue]
                image = nib.load(path)
                affine = image.affine.copy()
                affine[1, 3] += mm
                content = np.asarray(image.dataobj)
                path.unlink()
                nib.save(nib.Nifti1Image(content.astype(np.float32), affine), path)

        given.edits.append(move)

    return _named(change)


def _swapped_maps(given: Given) -> None:
    given.row["gm"], given.row["csf"] = given.row["csf"], given.row["gm"]


def _percent_maps(given: Given) -> None:
    """Maps of percent, 0 to 100."""

    def scale(data):
        import nibabel as nib

        for tissue in ("gm", "wm", "csf"):
            path = data / given.row[tissue]
            image = nib.load(path)
            content = 100 * np.asarray(image.dataobj)
            path.unlink()
            nib.save(nib.Nifti1Image(content.astype(np.float32), image.affine), path)

    given.edits.append(scale)


def _other_reference(given: Given) -> None:
    """A second metabolite scan named as reference."""
    noisy = other_noise(replace(given), 3)
    given.reference = noisy.fids


def _sheet(name: str, function) -> Callable[[Base], Given]:
    """The bytes of a sheet changed after all is written."""

    def change(given: Given) -> None:
        given.sheets[name] = function

    return _named(change)


ROWS = [
    Case("events: onset NaN", _each(onset="nan"), False),
    Case("events: onset Inf", _each(onset="inf"), False),
    Case("events: onset n/a", _each(onset="n/a"), False),
    Case("events: onset blank", _each(onset=""), False),
    Case("events: onset with a comma", _each(onset="16,0"), False),
    Case("events: onset negative", _each(onset="-200"), False),
    Case("events: duration NaN", _each(duration="NaN"), False),
    Case("events: duration 0", _each(duration="0"), False),
    Case("events: duration negative", _each(duration="-16"), False),
    Case("events: duration n/a", _each(duration="n/a"), False),
    Case("events: overlap", _each(duration="60"), False),
    Case("events: type blank", _each(trial_type=""), False),
    Case("events: type in capitals", _each(trial_type="Visual"), False),
    Case(
        "events: no type",
        _events(lambda rows: [{k: v for k, v in row.items() if k != "trial_type"} for row in rows]),
        False,
    ),
    Case("events: in transients", _times(0.5), False),
    Case("events: in ms", _times(1000.0), False),
    Case("events: in minutes", _times(1 / 60), False),
    Case("events: 4 s late", _times(1.0, 4.0), False),
    Case("events: of a longer scan", _times(4.0), False),
    Case("events: counted from the dummy scans", _times(1.0, 8.0), False),
    Case("events: backwards", _events(lambda rows: rows[::-1]), True),
    Case(
        "events: rest not named",
        _events(lambda rows: [row for row in rows if row["trial_type"] != "rest"]),
        True,
    ),
    Case(
        "events: rest in capitals",
        _events(lambda rows: [{**row, "trial_type": row["trial_type"].upper()} for row in rows]),
        False,
    ),
    Case("events: twice the same row", _events(lambda rows: [rows[0], *rows]), False),
    Case("events: none", _events(lambda rows: rows[:0]), False),
    Case("events: commas in all numbers", _all(_commas), False),
    Case(
        "events: times of the day",
        _all(lambda row: row | {"onset": f"10:{int(float(row['onset'])) // 60:02d}:00"}),
        False,
    ),
    Case("events: seconds since midnight", _times(1.0, 43_200.0), False),
    Case("events: seconds since 1970", _times(1.0, 1.7e9), False),
    Case("events: from the trigger of an fMRI run, 300 s before", _times(1.0, 300.0), False),
    Case("events: from a trigger within the scan", _times(1.0, -20.0), False),
    Case("events: with button presses", _events(_presses), False),
    Case(
        "events: one onset, two types",
        _events(lambda rows: [*rows[:2], {**rows[1], "trial_type": "face"}, *rows[2:]]),
        False,
    ),
    Case(
        "events: column names in capitals",
        _all(lambda row: {key.capitalize(): value for key, value in row.items()}),
        False,
    ),
    Case("events: parted by commas", _file_of_events(lambda c: c.replace(b"\t", b",")), False),
    Case("events: byte order mark", _file_of_events(lambda c: b"\xef\xbb\xbf" + c), True),
    Case("events: CRLF", _file_of_events(lambda c: c.replace(b"\n", b"\r\n")), True),
    Case("events: blanks for tabs", _file_of_events(lambda c: c.replace(b"\t", b"  ")), False),
    Case("events: a tab behind each line", _file_of_events(_tab_behind), False),
    Case(
        "events: quotes round cells",
        _all(lambda row: {key: f'"{value}"' for key, value in row.items()}),
        False,
    ),
    Case(
        "events: more columns",
        _all(lambda row: row | {"response_time": "n/a", "stim_file": "a b.png"}),
        True,
    ),
    Case(
        "events: absent",
        _named(
            lambda given: given.edits.append(lambda data: (data / given.row["events"]).unlink())
        ),
        False,
    ),
    Case("two people, each with its own", pair(), True),
    Case("two people with one file", pair(_one_file), False),
    Case("two people with one content", pair(_one_content), False),
    Case("two people with one file as reference", pair(_one_reference), False),
    Case("two people with one content as reference", pair(_same_reference), False),
    Case("two people with the maps of one", pair(_anatomy), False),
    Case("references of two people swapped", pair(_swapped_references), False),
    Case("person NA for all", pair(_people("NA", "NA")), False),
    Case("person nan for all", pair(_people("nan", "nan")), False),
    Case("one person for both", pair(_people("p1", "p1")), False),
    Case("persons blank", pair(_people("", "")), True),
    Case("participants 1 for 01", pair(_people("a", "b", subjects=("1", "2"))), False),
    Case("participants sub-01 for 01", pair(_people("a", "b", subjects=("sub01", "sub02"))), False),
    Case("subject 1 beside 01", pair(_twin, "02"), False),
    Case("participants: a row twice", pair(_people("a", "a", subjects=("01", "01"))), False),
    Case("participants: two persons", pair(_people("a", "b", subjects=("01", "01"))), False),
    Case("participants: BIDS' participant_id", pair(_participant_id), False),
    Case("scans: a row twice", pair(_row_twice), False),
    Case("sheet: echo time in ms", _site(te_s="30"), False),
    Case("sheet: echo time 1.5 ms off", _site(te_s="0.0315"), False),
    Case("sheet: echo time 0.2 ms off", _site(te_s="0.0302"), True),
    Case("sheet: repetition time in ms", _site(tr_s="2000"), False),
    Case("sheet: repetition time of 3 s", _site(tr_s="3"), False),
    Case("sheet: field 7 T", _site(field_t="7"), False),
    Case("sheet: field 2.9 T", _site(field_t="2.9"), True),
    Case("sheet: of GE", _site(vendor="GE"), False),
    Case("sheet: vendor in small letters", _site(vendor="siemens"), False),
    Case("sheet: STEAM", _site(sequence="STEAM", tm_s="0.01"), False),
    Case("sheet: 64 transients", _site(transients="64"), True),
    Case("sheet: width of 4000 Hz", _site(spectral_width_hz="4000"), True),
    Case("sheet: decimal comma", _site(te_s="0,03"), False),
    Case("sheet: a column too many", _site(remark="new coil"), False),
    Case("sheet: scan not there", _row(mrs="siemens/nothing.nii.gz"), False),
    Case("sheet: path leads out", _row(mrs="../other/scan.nii.gz"), False),
    Case("sheet: path of Windows", _row(mrs="siemens\\sub-01\\mrs\\sub-01_svs.nii.gz"), False),
    Case(
        "sheet: scan is its own ref",
        _named(lambda given: given.row.update(ref=given.row["mrs"])),
        False,
    ),
    Case(
        "sheet: ref is the scan with ./",
        _named(lambda given: given.row.update(ref="./" + given.row["mrs"])),
        False,
    ),
    Case("sheet: mrs and ref swapped", _later(_swap), False),
    Case("sheet: ref a second scan", _named(_other_reference), False),
    Case("sheet: events and condition", _row(condition="rest"), False),
    Case("sheet: gm alone", _row(wm="", csf=""), False),
    Case(
        "sheet: gm three times",
        _named(lambda given: given.row.update(wm=given.row["gm"], csf=given.row["gm"])),
        False,
    ),
    Case("sheet: gm and csf swapped", _named(_swapped_maps), False),
    Case("maps moved by 20 mm", _moved_maps(20.0), False),
    Case("maps moved by 60 mm", _moved_maps(60.0), False),
    Case("maps moved by 500 mm", _moved_maps(500.0), False),
    Case("maps in percent", _named(_percent_maps), False),
    Case("sheet: a label with a blank", _row(subject="0 1"), False),
    Case("sheet: a label of 225 letters", _row(subject="a" * 225), False),
    *(
        Case(f"{name}: {what}", _sheet(name, function), good)
        for name in ("sites", "scans")
        for what, function, good in (
            ("byte order mark", lambda content: b"\xef\xbb\xbf" + content, True),
            ("CRLF", lambda content: content.replace(b"\n", b"\r\n"), True),
            ("commas for tabs", lambda content: content.replace(b"\t", b","), False),
            ("a blank line at the end", lambda content: content + b"\n", True),
            ("UTF-16 of Excel", lambda content: content.decode().encode("utf-16"), False),
            ("NUL bytes", lambda content: content + b"\0\0", False),
            ("latin-1", lambda content: content.replace(b"siemens", b"M\xfcnchen"), False),
            ("blanks round cells", lambda content: content.replace(b"\t", b" \t "), True),
            (
                "quotes round cells",
                lambda content: b"\n".join(
                    b"\t".join(b'"' + c + b'"' for c in line.split(b"\t"))
                    for line in content.splitlines()
                ),
                True,
            ),
            ("no last line end", lambda content: content.rstrip(b"\n"), True),
            (
                "a row too short",
                lambda content: content.rstrip().rpartition(b"\t")[0] + b"\n",
                False,
            ),
            ("header alone", lambda content: content.partition(b"\n")[0] + b"\n", False),
            ("empty", lambda content: b"", False),
        )
    ),
]
