"""`fmrsflow view [FILE] [-o OUT] [--open]`: NIfTI-MRS, a fit, or a results folder as a page
(without FILE that of `--study`); a file also as a picture (OUT ending in .png, .svg or .pdf)."""

from __future__ import annotations

import argparse
import zipfile
import zlib
from pathlib import Path

from fmrsflow.errors import DataError, reading_failed
from fmrsflow.files import write_bytes
from fmrsflow.results import Results, as_written
from fmrsflow.study import Study, study_option

PICTURES = (".png", ".svg", ".pdf")


def main(argv: list[str]) -> int:
    """Write the page or picture and print its path."""
    parser = argparse.ArgumentParser(prog="fmrsflow view", description=__doc__)
    study_option(parser)
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="*.nii[.gz], *_desc-fit_result.npz, or a folder of results (default: that of --study)",
    )
    parser.add_argument(
        "-o", "--out", type=Path, help="file to write (default: <name>.html in this folder)"
    )
    parser.add_argument("--open", action="store_true", help="open it in the web browser")
    arguments = parser.parse_args(argv)
    path = view(arguments.file or Study.load(arguments.study).results, arguments.out)
    print(path)
    if arguments.open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return 0


def view(path: Path, out: Path | None = None) -> Path:
    """Make the page or picture of a file or folder; its path.

    Raises
    ------
    DataError
        Not there, or nothing that can be shown.
    """
    if not path.exists():
        raise DataError(f"{path} is not there")
    if path.is_dir():
        return _folder(path, out)
    path = as_written(path)
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    out = out or Path(f"{stem}.html")
    if path.name.endswith((".nii", ".nii.gz")):
        shown = _nifti(path)
    elif path.suffix == ".npz":
        shown = _fit(path)
    else:
        raise DataError(
            f"{path.name} is neither NIfTI-MRS (.nii, .nii.gz) nor the result of a fit (.npz)"
        )
    if out.suffix in PICTURES:
        from fmrsflow.report.pictures import as_bytes, picture

        write_bytes(out, as_bytes(picture(shown), out.suffix[1:]))
    elif out.suffix == ".html":
        from fmrsflow.report.pages import view_page

        write_bytes(out, view_page(shown).encode())
    else:
        raise DataError(f"{out.name}: a page ends in .html, a picture in {', '.join(PICTURES)}")
    return out


def _nifti(path: Path):
    from fmrsflow.convert.reader import load
    from fmrsflow.report.results import View

    fids = load(path)
    if fids.n_coils > 1:
        from fmrsflow.preprocess.coils import coil_weights, combine

        return View(path.name, combine(fids, coil_weights(fids)), n_coils=fids.n_coils)
    return View(path.name, fids)


def _fit(path: Path):
    import numpy as np

    from fmrsflow.report.results import View

    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise reading_failed(path, error, f"{path.name} cannot be read as a fit: {error}") from None
    needed = {"ppm", "spectra", "data", "fit", "baseline", "residual", "names", "metabolites"}
    if needed - set(arrays):
        raise DataError(
            f"{path.name} lacks {', '.join(sorted(needed - set(arrays)))}: it is not the "
            "*_desc-fit_result.npz of fmrsflow"
        )
    return View(path.name, fit=arrays)


def _folder(path: Path, out: Path | None) -> Path:
    """The report of a results folder; where the run has not ended, a page of what is there."""
    pages = sorted(path.glob("report/index.html")) or sorted(path.glob("*/report/index.html"))
    if (path / "study.json").exists():
        results = Results.below(path)
        analysis = results.study.config["primary"]
        first = path / analysis / "report" / "index.html"
        if first.exists() and out is None:
            return first
        from fmrsflow.report.group_pages import consortium_page
        from fmrsflow.report.read import read_consortium, read_group

        page = consortium_page(read_consortium(results, analysis, read_group(results, analysis)))
        out = out or path / analysis / "report" / "so-far.html"
        write_bytes(out, page.encode())
        return out
    if pages and out is None:
        return pages[0]
    raise DataError(f"{path} holds no study.json and no report: give the results folder of a run")
