"""Bundles with right digests and bad content: each is refused by its name, or merged rightly."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from counts import Counts, Fault

from fmrsflow import cli
from fmrsflow.bundles import MANIFEST, STUDY
from fmrsflow.results import record_bytes

Content = dict[str, bytes]

LIMIT_S = 10
"""CPU seconds of a merge of two small bundles beside what the merge of two good ones takes."""

TABLES = ("transients.tsv", "amplitudes.tsv", "joint.tsv", "concentrations.tsv", "change.tsv")

DEEP = 5000


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _name(content: Content, ending: str) -> str:
    """The first entry of that ending."""
    return next(name for name in sorted(content) if name.endswith(f"_{ending}"))


def _number_column(lines: list[str]) -> int:
    """A column whose first cell is a number with a point."""
    cells = lines[1].split("\t")
    return next(n for n, cell in enumerate(cells) if "." in cell and cell[0] in "-0123456789")


def _cell(table: str, value: str) -> Callable[[Content], None]:
    """One numeric cell of a table replaced."""

    def change(content: Content) -> None:
        name = _name(content, table)
        lines = content[name].decode().split("\n")
        cells = lines[1].split("\t")
        cells[_number_column(lines)] = value
        lines[1] = "\t".join(cells)
        content[name] = "\n".join(lines).encode()

    return change


def _columns(table: str, change_row: Callable[[list[str]], list[str]]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        name = _name(content, table)
        lines = [line.split("\t") for line in content[name].decode().splitlines()]
        content[name] = "\n".join("\t".join(change_row(line)) for line in lines).encode() + b"\n"

    return change


def _cut(data: bytes) -> bytes:
    """A table that ends within a row; one that ends with a row is a table, of another content."""
    return data[: data.rindex(b"\t", 0, len(data) // 2)]


def _file(ending: str, data: bytes | Callable[[bytes], bytes]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        name = _name(content, ending)
        content[name] = data(content[name]) if callable(data) else data

    return change


def _arrays(edit: Callable[[dict], dict]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as archive:
            arrays = {key: archive[key] for key in archive}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=True, **edit(arrays))
        return buffer.getvalue()

    return change


def _record(stage: str, **keys) -> Callable[[Content], None]:
    """Keys of the first record of a stage replaced."""

    def change(content: Content) -> None:
        name = _name(content, f"desc-{stage}_record.json")
        content[name] = record_bytes(json.loads(content[name]) | keys)

    return change


def _raw_record(stage: str, text: Callable[[str], str]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        name = _name(content, f"desc-{stage}_record.json")
        content[name] = text(content[name].decode()).encode()

    return change


def _maker(**keys) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        name = _name(content, "desc-fit_record.json")
        record = json.loads(content[name])
        made = record["GeneratedBy"][0] | keys
        content[name] = record_bytes({**record, "GeneratedBy": [made]})

    return change


def _libraries(content: Content) -> None:
    record = json.loads(content[_name(content, "desc-fit_record.json")])
    libraries = record["GeneratedBy"][0]["Dependencies"] | {"numpy": "1.0"}
    _maker(Dependencies=libraries)(content)


def _swap(stage: str) -> Callable[[Content], None]:
    """The record of another scan in the place of the first."""

    def change(content: Content) -> None:
        names = [one for one in sorted(content) if one.endswith(f"desc-{stage}_record.json")]
        content[names[0]] = content[names[1]]

    return change


def _other_fit(content: Content) -> None:
    name = _name(content, "desc-fit_record.json")
    record = json.loads(content[name])
    record["settings"]["fit"]["baseline"] = "polynomial"
    content[name] = record_bytes(record)


def _entry(name: str, data: bytes = b"x") -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content[name] = data

    return change


def _study(edit: Callable[[dict], None]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        told = json.loads(content[STUDY])
        edit(told)
        content[STUDY] = json.dumps(told).encode()

    return change


def _many_analyses(told: dict) -> None:
    names = next(iter(told["config"]["analyses"].values()))
    told["config"]["analyses"].update({f"a{number}": names for number in range(2000)})


def _label(label: str) -> Callable[[Content], None]:
    def edit(told: dict) -> None:
        told["scans"][0]["subject"] = label

    return _study(edit)


def _twins(content: Content) -> None:
    """A file beside one of the same name in capitals."""
    name = _name(content, "change.tsv")
    content[name.replace("change.tsv", "CHANGE.tsv")] = content[name]


def _below_a_file(content: Content) -> None:
    content[f"{_name(content, 'change.tsv')}/x.tsv"] = b"x"


def _texts(text: str) -> Callable[[Content], None]:
    return _record("preprocess", warnings=[text])


def _sidecar(data: bytes) -> Callable[[Content], None]:
    return _file("desc-convert_svs.json", data)


def kinds(harm: Path) -> dict[str, Callable[[Content], None]]:
    """What is wrong with a bundle -> what makes it so; `harm` is made by what must not run."""
    deep = b'{"a":' * DEEP + b"1" + b"}" * DEEP
    garbage = np.random.default_rng(3).bytes(2000)
    values = {"text": "abc", "inf": "inf", "1e308": "1e308", "NUL": "\0", "empty": ""}
    values |= {"digits": "9" * 5000, "nan": "nan"}
    found: dict[str, Callable[[Content], None]] = {}
    for table in TABLES:
        found |= {f"{table}: {what}": _cell(table, value) for what, value in values.items()}
        found[f"{table}: missing column"] = _columns(table, lambda row: row[1:])
        found[f"{table}: doubled column"] = _columns(table, lambda row: [*row, row[0]])
        found[f"{table}: extra column"] = _columns(table, lambda row: [*row, "x"])
        found[f"{table}: cut"] = _file(table, _cut)
    pickled = {"names": np.array([Harm(harm)], dtype=object)}
    found |= {
        "NPZ of garbage": _file("result.npz", garbage),
        "NPZ that is pickled": _file("result.npz", _arrays(lambda arrays: arrays | pickled)),
        "NPZ of another length": _file(
            "result.npz", _arrays(lambda arrays: arrays | {"data": arrays["data"][:, :-1]})
        ),
        "NPZ without a spectrum": _file(
            "result.npz", _arrays(lambda arrays: {**arrays, "spectra": arrays["spectra"][:0]})
        ),
        "NIfTI of garbage": _file("average.nii.gz", garbage),
        "NIfTI of garbage in gzip": _file("average.nii.gz", gzip.compress(garbage)),
        "NIfTI of another shape": _file(
            "average.nii.gz",
            lambda data: gzip.compress(
                (raw := gzip.decompress(data))[:24] + np.array([2], "<i8").tobytes() + raw[32:]
            ),
        ),
        "NIfTI that unpacks to 1 GB": _file("average.nii.gz", _gzip_bomb()),
        "sidecar nested deep": _sidecar(deep),
        "sidecar of wrong types": _sidecar(
            b'{"WaterSuppressionType": {"a": [1]}, "RxCoil": 1e400}'
        ),
        "sidecar that is a list": _sidecar(b"[1, 2]"),
        "sidecar with half a surrogate pair": _sidecar(b'{"RxCoil": "\\ud800"}'),
        "record nested deep": _raw_record(
            "fit", lambda text: f'{{"a": {deep.decode()}, {text[1:]}'
        ),
        "record of wrong types": _record("preprocess", snr_tcr="abc", n_kept=["rest"]),
        "record of wrong types, further down": _record("quantify", tissue={"origin": [1, {}]}),
        "record of wrong types, in the joint fit": _record("fit", joint={"bold_narrowing_hz": "x"}),
        "record of wrong types that no check foresees": _record(
            "preprocess", parameters={"eddy": {"applied": "yes"}}
        ),
        "record with a number beyond all": _record("preprocess", drift_hz=1e300),
        "record with half a surrogate pair": _record("fit", reason="\ud800"),
        "record of another scan": _swap("fit"),
        "record of another fit": _other_fit,
        "record of another program": _maker(Name="otherfit"),
        "record of another version": _libraries,
        "record of other code": _maker(StageDigest="0" * 12),
        "HTML in a text": _texts("<script>alert(1)</script><img src=x onerror=alert(1)>"),
        "TeX in a text": _texts(r"\input{/etc/passwd} $x^{\write18{ls}}$"),
        "a text of 1 MB": _texts("x" * 1_000_000),
        "absolute name": _entry(f"{harm.parent}/evil.tsv"),
        "name with ..": _entry("../evil.tsv"),
        "name with NUL": _entry("main\0evil.tsv"),
        "name of 300 letters": _label("x" * 300),
        "a label with NUL": _label("01\0"),
        "a file that is a folder": _below_a_file,
        "names that differ in capitals": _twins,
        "a program": _entry("report/alpha/setup.exe", b"MZ"),
        "a picture of the voxel": _entry(
            "anatomy/alpha/sub-01/mrs/sub-01_task-visual_desc-anatomy_voxel.png", b"\x89PNG"
        ),
        "study.json nested deep": _entry(STUDY, deep),
        "study.json with software of wrong types": _study(
            lambda told: told["software"].update(Dependencies=[1], Stages="x")
        ),
        "study.json with 2,000 analyses of one setting": _study(_many_analyses),
        "study.json with a number of 400 digits": _study(
            lambda told: told["sites"][0].update(tr_s=10**400)
        ),
        "study.json with addresses": _study(
            lambda told: told.update(
                participants=[{"site": "alpha", "subject": "01", "address": "Lane 1"}]
            )
        ),
        "study.json of wrong types": _study(lambda told: told.update(scans=[1, 2])),
    }
    return found


def _gzip_bomb() -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        for _ in range(1 << 10):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


MERGED = ("HTML in a text", "TeX in a text")
"""Kinds that are no fault of a bundle: its texts are text."""


def rewritten(
    source: Path, target: Path, change: Callable[[Content], None], told: dict | None = None
) -> Path:
    """A bundle after a change of its entries, records and manifest agreeing with them; `told`
    replaces keys of the manifest."""
    with zipfile.ZipFile(source) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(content.pop(MANIFEST))
    before = dict(content)
    change(content)
    _seal(content, before)
    manifest["files"] = {name: hashlib.sha256(one).hexdigest() for name, one in content.items()}
    manifest |= told or {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**content, MANIFEST: json.dumps(manifest).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return target


def _seal(content: Content, before: Content) -> None:
    """Records name the files as they are now: whoever forges a table forges its record too."""
    digests = {name: hashlib.sha256(one).hexdigest() for name, one in content.items()}
    for name in [one for one in content if one.endswith("_record.json")]:
        if content[name] != before.get(name):
            continue
        record = json.loads(content[name])
        folder = name.rpartition("/")[0]
        for file in record["files"]:
            record["files"][file] = digests.get(f"{folder}/{file}", record["files"][file])
        content[name] = record_bytes(record)


def link(source: Path, target: Path) -> Path:
    """A bundle with a symbolic link among its entries."""
    target.write_bytes(source.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        info = zipfile.ZipInfo("main/link.tsv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return target


def hostile_bundles(bad: Path, good: Path, work: Path, every: int = 1) -> Counts:
    """Merge a bundle, made bad in each way, with a good one.

    Parameters
    ----------
    bad, good : Path
        Bundles of two sites of one study.
    work : Path
        Folder for what is made.
    every : int
        1 for all ways; n for every n-th, the good bundle first.

    Returns
    -------
    Counts
        Outcomes: `refused by name`, `merged` (where nothing is wrong with it); else what is wrong.
    """
    return Counts.of(_hostile(bad, good, work, every))


def _hostile(bad: Path, good: Path, work: Path, every: int) -> Iterator[Fault]:
    harm = work / "harm"
    usual_s = None
    made: dict[str, Callable[[Path], Path]] = {
        "nothing wrong": lambda target: rewritten(bad, target, lambda content: None)
    }
    for kind, change in kinds(harm).items():
        made[kind] = lambda target, change=change: rewritten(bad, target, change)
    for what, value in (("a list", [1]), ("of wrong types", {"Dependencies": [1]})):
        made[f"manifest with software that is {what}"] = lambda target, value=value: rewritten(
            bad, target, lambda content: None, {"software": value}
        )
    made["a symbolic link"] = lambda target: link(bad, target)
    made["a folder"] = lambda target: target.mkdir() or target
    made["a pipe"] = lambda target: os.mkfifo(target) or target
    for number, (kind, make) in list(enumerate(made.items()))[::every]:
        path = make(work / f"hostile-{number}.zip")
        start = time.process_time()
        code, said = merge([path, good], work / f"merged-{number}")
        took_s = time.process_time() - start
        usual_s = took_s if usual_s is None else usual_s
        outcome, harmless = _judged(kind, code, said, path.name)
        if took_s > LIMIT_S + (usual_s if "wrong types that" in kind or code == 0 else 0):
            outcome, harmless = "too slow", False
        if harm.exists() or (work / "evil.tsv").exists():
            outcome, harmless = "it ran", False
        yield Fault(kind, outcome, harmless, f"{took_s:.1f} s; {said[-600:]}")


def merge(paths: list[Path], results: Path, *options: str) -> tuple[int | str, str]:
    """Exit code of `fmrsflow merge`, or the exception that it ended in, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            code = cli.main(["merge", *map(str, paths), "--results", str(results), *options])
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
    return code, said.getvalue()


def _judged(kind: str, code: int | str, said: str, name: str) -> tuple[str, bool]:
    if isinstance(code, str):
        return f"traceback ({code[:80]})", False
    if code == 0:
        return "merged", kind in ("nothing wrong", *MERGED)
    foreseen = "Traceback" not in said or f"{name}: tables or pages of it" in said
    named = name in said and foreseen and "make room" not in said
    return ("refused by name" if named else "refused without the name"), named
