"""Texts that ask for much: each parser of text on 100 kB of what costs it most, and its seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from fmrsflow import bounded_yaml
from fmrsflow.basis.formats import read_basis
from fmrsflow.convert.causes import cause
from fmrsflow.convert.formats import recognise
from fmrsflow.convert.mend import mended_rda, mended_spar
from fmrsflow.convert.reader import load, read_lcmodel_raw
from fmrsflow.errors import DataError
from fmrsflow.events import events_of
from fmrsflow.files import read_json
from fmrsflow.headers import told
from fmrsflow.results import parse_record
from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.study import Site
from fmrsflow.tables import read_table

SITE = Site("alpha", "Philips", 3.0, "PRESS", 0.03, 2.0, "p")

REFUSALS = (DataError, ValueError)
"""How a parser may end; everything else is a fault of the program."""


def texts(letters: int) -> dict[str, str]:
    """Texts of about that many letters which make patterns and loaders try again and again."""
    many = range(letters)
    spaces, word = " " * letters, "a" * letters
    return {
        "spaces": spaces,
        "spaces, then a letter": f"{spaces}x",
        "key, spaces, letter": f"a{spaces}x",
        "key: x, spaces, letter": f"a: x{spaces}x",
        "one word": word,
        "one word with = far away": f"{word} b=1",
        "letters and digits": "a1" * (letters // 2),
        "digits": "9" * letters,
        "number of digits": f"primary: {'9' * letters}",
        "empty lines": "\n" * letters,
        "blank lines, slash": " \n" * (letters // 2) + "/x",
        "slashes": " /" * (letters // 2) + "x",
        "quotes": "'" * letters,
        "double quotes on lines": '"\n' * (letters // 2),
        "open brackets": "[" * letters,
        "open braces": "{" * letters,
        "list marks": "- " * (letters // 2),
        "question marks": "? " * (letters // 2),
        "brackets of a key": "a(" + "1," * (letters // 2),
        "keys of brackets": "a(1) " * (letters // 5),
        "deep JSON": '{"a":' * (letters // 5) + "1" + "}" * (letters // 5),
        "JSON of digits": f'{{"a": {"1" * letters}}}',
        "indented YAML": "".join(" " * n + "a:\n" for n in many[: int((2 * letters) ** 0.5)]),
        "merges": _merges(27),
        "aliases": _aliases(9),
        "cyclic alias": "a: &a [*a]",
        "many anchors": "".join(f"k{n}: &a{n} 1\n" for n in many[: letters // 12]),
        "colons": ":" * letters,
        "tabs": "\t" * letters,
        "exclamation marks": "!" * letters,
        "long cell": f"onset\tduration\ttrial_type\n0\t1\t{'x' * max(letters, 131_073)}\n",
        "dates": "a: 2001-99-99\n" * (letters // 14),
    }


def _merges(levels: int) -> str:
    lines = ["a0: &a0 {k0: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" for n in range(1, levels + 1)]
    return "\n".join(lines)


def _aliases(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 7)}]" for n in range(1, levels)]
    return "\n".join([*lines, f"primary: *a{levels - 1}"])


def parsers(folder: Path) -> dict[str, Callable[[str], object]]:
    """Parsers of text, each of a text; what they read stands in `folder`."""

    def beside(name: str, parse: Callable[[Path], object], form: str = "{}"):
        """Call `parse` with a file that holds the text in a `form`."""

        def of(text: str):
            path = folder / name
            path.write_text(form.replace("{}", text, 1))
            return parse(path)

        return of

    (folder / "x.SDAT").write_bytes(bytes(8 * 64))
    rda = ">>> Begin of header <<<\n{}\n>>> End of header <<<\n"
    jmrui = "jMRUI Data Textfile\n\n{}\nSignal 1 out of 1 in file\n"

    from fmrsflow.convert.jmrui import read_jmrui

    return {
        "config.yaml": beside("config.yaml", lambda path: read_study(read_config(path))),
        "yaml": bounded_yaml.load,
        "SPAR": beside("x.SPAR", lambda path: mended_spar(path.with_suffix(".SDAT"), folder)),
        "RDA": beside("y.rda", lambda path: mended_rda(path, folder), rda),
        "LCModel RAW": beside("z.RAW", lambda path: read_lcmodel_raw(path, SITE)),
        "LCModel RAW, a header": beside(
            "z.RAW", lambda path: read_lcmodel_raw(path, SITE), " $SEQPAR {}\n $END\n 1.0 2.0\n"
        ),
        "LCModel .BASIS": beside("z.BASIS", read_basis, " $SEQPAR {}\n $END\n $BASIS {} $END\n"),
        "FSL-MRS basis": beside("fsl/Glu.json", lambda path: read_basis(path.parent)),
        "jMRUI": beside("j.txt", read_jmrui, jmrui),
        "jMRUI, of samples": beside(
            "j.txt", read_jmrui, "jMRUI Data Textfile\nPointsInDataset: 64\nSamplingInterval: 1\n"
            "TransmitterFrequency: 1e8\nSignal 1 out of 1 in file\n{}",
        ),
        "first bytes": beside("k.dat", recognise),
        "events.tsv": beside("e.tsv", lambda path: events_of(read_table(path), "e.tsv")),
        "sidecar": beside("s.json", read_json),
        "record": lambda text: parse_record(text.encode(), "record.json"),
        "converter's words": lambda text: cause(text, "spec2nii"),
        "names in a header": lambda text: told({"ProtocolName": text, "SequenceName": text}),
        "NIfTI-MRS header": lambda text: load(_nifti_mrs(folder / "n.nii", text)),
    }  # fmt: skip


def _nifti_mrs(path: Path, header: str) -> Path:
    """A NIfTI-MRS file of 64 points whose header extension is any text."""
    image = nib.Nifti2Image(np.ones((1, 1, 1, 64), np.complex64), np.eye(4))
    image.header["intent_name"] = b"mrs_v0_9"
    image.header.extensions.append(nib.nifti1.Nifti1Extension(44, header.encode()))
    nib.save(image, path)
    return path


def run(letters: int = 100_000) -> Iterator[tuple[str, float, str]]:
    """(parser and text, CPU seconds, how it ended) for every parser on every text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fsl").mkdir()
        found = parsers(folder)
        for what, text in texts(letters).items():
            for parser, parse in found.items():
                start = time.process_time()
                try:
                    parse(text)
                    ended = "read"
                except REFUSALS as error:
                    ended = f"refused in {len(str(error))} letters"
                    if isinstance(error, StudyError) and len(str(error)) > LONGEST_MESSAGE:
                        ended = f"message of {len(str(error))} letters"
                except Exception as error:
                    ended = f"fault: {type(error).__name__}: {str(error)[:80]}"
                yield f"{parser}: {what}", time.process_time() - start, ended


LONGEST_MESSAGE = 100_000
"""Letters of all problems of a configuration of a few lines."""
