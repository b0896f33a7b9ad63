"""BOLD over all scans of an analysis: accord with glutamate, group maps of connectivity."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fmrsflow.bold.concordance import Pair, concordance, linewidth_narrowing
from fmrsflow.bold.tables import slug
from fmrsflow.errors import DataError
from fmrsflow.exclusion import excluded
from fmrsflow.results import Output, Results, Writer
from fmrsflow.study import Scan, Study, Unit, study_option
from fmrsflow.tables import bold as columns

MEASURES = {
    "area": "Mean area under the BOLD response (% s)",
    "linewidth": "Narrowing of tCr in the task (Hz)",
}
"""Measures of BOLD: from fMRI, and from the spectra alone."""


def main(argv: list[str]) -> int:
    """`fmrsflow bold [--study FILE] --analysis NAME`."""
    parser = argparse.ArgumentParser(prog="fmrsflow bold", description=__doc__)
    study_option(parser)
    parser.add_argument("--analysis", required=True, help="analysis that gives the change")
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    results = Results(study)
    writer = Writer(results.group("bold", arguments.analysis), study.software, results.inputs)
    names = study.analysis(arguments.analysis)
    rows = list(pair_rows(results, names))
    writer.save("concordance", rows, columns.CONCORDANCE)
    tests = []
    for measure in MEASURES:
        there = [row for row in rows if row["measure"] == measure and row["used"]]
        if there:
            tests.append(_test(writer, measure, there, study.config["sites"]["metabolite"]))
    writer.save("concordance_test", tests, columns.TEST)
    group, notes = _group(results, writer)
    writer.save("group_clusters", group, columns.GROUP)
    head = {
        "stage": "bold",
        "analysis": arguments.analysis,
        "settings": names,
        "metabolite": study.config["sites"]["metabolite"],
    }
    seeds = {"signs": 0, "permutations": 0}
    writer.finish(head, {"tests": tests, "group": notes, "seeds": seeds})
    return 0


def pair_rows(results: Results, names: dict[str, str]) -> Iterator[dict]:
    """Rows of concordance.tsv: each unit with each measure that it has."""
    study = results.study
    for unit in study.units():
        change = _change(results, unit, names)
        rest = change.get("rest", study.setting("response", names["response"])["rest"])
        person = study.person(unit.scan)
        identity = {
            "site": unit.scan.site,
            "subject": unit.scan.subject,
            "person": person,
            "label": " ".join(
                one for one in (unit.scan.subject, unit.scan.session, unit.scan.acq, unit.scan.run)
                if one
            ),
            **{key: change.get(key) for key in ("contrast", "change_percent", "change_se")},
        }  # fmt: skip
        for measure, found in (
            ("area", _area(results, unit, rest)),
            ("linewidth", _width(results, unit, names, rest)),
        ):
            if found is None:
                continue
            value, se, note = found
            row = {**identity, "measure": measure, "bold": value, "bold_se": se}
            # The shims of two scans differ by more than BOLD.
            shims = measure == "linewidth" and len(unit.scans) > 1
            row["used"] = se is not None and identity["change_se"] is not None and not shims
            row["note"] = "; ".join(one for one in (note, change.get("note", "")) if one)
            if se is not None and identity["change_se"] is not None:
                pair = Pair("", person, value, se, row["change_percent"], row["change_se"])
                row["same_sign"] = bool((value > 0) == (row["change_percent"] > 0))
                row["p_same_sign"] = pair.p_same_sign
            yield row


def _test(writer: Writer, measure: str, rows: list[dict], metabolite: str) -> dict:
    from fmrsflow.report.bold_figures import scatter

    pairs = [
        Pair(row["label"], row["person"], row["bold"], row["bold_se"], row["change_percent"],
             row["change_se"])
        for row in rows
    ]  # fmt: skip
    found = concordance(pairs)
    text = (
        f"{found.same_sign} of {found.n} of one sign, p = {found.p_value:.2g}\n"
        f"(signs random by person: p = {found.p_value_persons:.2g})"
    )
    writer.save(f"concordance_{measure}", scatter(rows, MEASURES[measure], metabolite, text))
    return {
        "measure": measure,
        **{key: getattr(found, key) for key in columns.TEST if key != "measure"},
    }


def _change(results: Results, unit: Unit, names: dict[str, str]) -> dict:
    """The unit's change under the main answer's estimator and quantity."""
    response = results.of("response", names, unit)
    if reason := _why_not(response):
        return {"note": f"no change: {reason}"}
    limits, record = results.study.config["quality"], response.record
    for scan in unit.scans:
        if reason := excluded(results.of("preprocess", names, scan).record, limits):
            return {"note": f"no change: {reason}"}
    setting = results.study.config["sites"]
    rows = [
        row
        for row in response.table("change")
        if row["metabolite"] == setting["metabolite"]
        and np.isfinite([row["change_percent"], row["se_percent"]]).all()
    ]
    preferred = (
        ("estimator", (setting["estimator"], "blocks", "joint", "timecourse")),
        ("quantity", (setting["quantity"], "molal", "ratio_tcr", "raw")),
        ("matched", (True, None, False)),
    )
    for column, order in preferred:
        first = next((one for one in order if any(row[column] == one for row in rows)), None)
        rows = [row for row in rows if row[column] == first]
    if not rows:
        return {"note": f"no change of {setting['metabolite']}"}
    row = rows[0]
    return {
        **({"rest": record["rest"]} if record.get("rest") else {}),
        "contrast": row["contrast"],
        "change_percent": row["change_percent"],
        "change_se": row["se_percent"],
    }


def _why_not(output: Output) -> str | None:
    """Why a stage gave no result; None where it did."""
    if not output.exists:
        return f"{output.stage} left no record: a fault, which the next run does again"
    return output.record["reason"] or output.record.get("not_used")


def _area(results: Results, unit: Unit, rest: str) -> tuple[float | None, float | None, str] | None:
    """Mean area of the unit's BOLD runs and its error; None where it has no run."""
    found, notes = [], []
    for scan in unit.scans:
        if not scan.bold or scan.condition == rest:
            continue
        run = results.of("bold", {}, scan)
        if reason := _why_not(run):
            notes.append(f"BOLD not used: {reason}")
            continue
        found.append((run.record["area_mean_percent_s"], run.record["area_mean_se_percent_s"]))
    if not found:
        return (None, None, "; ".join(notes)) if notes else None
    values, errors = np.array(found).T
    return float(values.mean()), float(np.sqrt((errors**2).sum())) / len(found), "; ".join(notes)


def _width(results: Results, unit: Unit, names: dict[str, str], rest: str):
    """Narrowing of tCr in the task; None where the transients do not tell."""
    tables = []
    for scan in unit.scans:
        done = results.of("preprocess", names, scan)
        if reason := _why_not(done):
            return None, None, f"no linewidths: {reason}"
        kept = [
            row
            for row in done.table("transients")
            if row["kept"] and row["condition"] and np.isfinite(row["linewidth_hz"])
        ]
        widths = np.array([row["linewidth_hz"] for row in kept])
        task = np.array([row["condition"] != rest for row in kept], float)
        tables.append((widths, task))
    widths, task = (np.concatenate(one) for one in zip(*tables))
    if len(tables) > 1:
        return _between_scans(tables)
    try:
        value, se = linewidth_narrowing(widths, task, results.study.site(unit.scan).tr_s)
    except ValueError:
        return None
    return value, se, ""


def _between_scans(tables):
    from fmrsflow.bold import glm

    rest = [widths for widths, task in tables if not task.any() and len(widths) >= 8]
    active = [widths for widths, task in tables if task.all() and len(widths) >= 8]
    if not rest or not active:
        return None
    means = []
    for group in (rest, active):
        fits = [glm.fit(one[:, None], np.ones((len(one), 1))).contrast([1.0]) for one in group]
        means.append(
            (
                np.mean([one.effect[0] for one in fits]),
                np.sqrt(np.sum([one.variance[0] for one in fits])) / len(fits),
            )
        )
    (rest_mean, rest_se), (task_mean, task_se) = means
    note = "rest and task are scans of their own: a change of shim counts as BOLD, so not tested"
    return float(rest_mean - task_mean), float(np.hypot(rest_se, task_se)), note


def _group(results: Results, writer: Writer) -> tuple[list[dict], dict]:
    """Clusters of each contrast and region over persons, where runs are in MNI space."""
    runs = [scan for scan in results.study.scans if scan.bold]
    if not runs:
        return [], {"status": "absent", "reason": "no scan has a BOLD run"}
    if not all("space-MNI" in Path(scan.bold).name for scan in runs):
        return [], {
            "status": "absent",
            "reason": "group maps need every run in MNI space (space-MNI in its name)",
        }
    outputs = {scan: results.of("bold", {}, scan) for scan in runs}
    records = {scan: out.record for scan, out in outputs.items() if not _why_not(out)}
    done = {
        scan: record["connectivity"]["contrasts"]
        for scan, record in records.items()
        if record["status"] == "ok" and record.get("connectivity")
    }
    rows, reasons = [], []
    for region, contrast in sorted({(scan.acq, name) for scan in done for name in done[scan]}):
        own = [scan for scan in done if scan.acq == region and contrast in done[scan]]
        try:
            rows += _group_map(results, writer, own, region, contrast)
        except DataError as problem:
            reasons.append(f"{contrast} {region}: {problem}")
    return rows, {"status": "ok" if rows or not reasons else "absent", "reason": "; ".join(reasons)}


def _group_map(results: Results, writer: Writer, scans: list[Scan], region, contrast) -> list[dict]:
    import nibabel as nib
    from scipy.ndimage import label

    from fmrsflow.bold.clusters import group_clusters

    setting = results.study.config["bold"]
    name = slug(contrast)
    by_person: dict[str, list] = {}
    for scan in scans:
        image = results.of("bold", {}, scan).image(f"ppi-{name}_effect")
        by_person.setdefault(results.study.person(scan), []).append(image)
    first = next(iter(by_person.values()))[0]
    for images in by_person.values():
        for image in images:
            if image.shape != first.shape or not np.allclose(image.affine, first.affine, atol=1e-3):
                raise DataError("runs differ in their grids; resample them to one template")
    means = [np.mean([one.get_fdata() for one in images], axis=0) for images in by_person.values()]
    mask = np.all([one != 0 for one in means], axis=0)
    if mask.sum() < 100:
        raise DataError(f"{mask.sum()} voxels hold data of every person, 100 are needed")
    found = group_clusters(
        [nib.Nifti1Image(one, first.affine) for one in means],
        nib.Nifti1Image(mask.astype(np.uint8), first.affine),
        setting["voxel_p"],
        setting["permutations"],
    )
    stem = f"group_{region + '_' if region else ''}ppi-{name}"
    for what in ("t", "size", "logp_max_size"):
        writer.save(f"{stem}_{what}", found[what])
    t, sizes, logp = (found[what].get_fdata() for what in ("t", "size", "logp_max_size"))
    rows = []
    for sign in (1, -1):
        parts, n = label((sizes > 0) & (sign * t > 0))
        for number in range(1, n + 1):
            own = parts == number
            peak = np.unravel_index(int(np.argmax(np.where(own, np.abs(t), 0))), t.shape)
            x, y, z = first.affine[:3, :3] @ peak + first.affine[:3, 3]
            rows.append(
                {
                    "contrast": contrast,
                    "region": region,
                    "n_persons": len(means),
                    "sign": sign,
                    "n_voxels": int(own.sum()),
                    "p_fwe": float(10 ** -logp[peak]),
                    "peak_t": float(t[peak]),
                    "x_mm": float(x),
                    "y_mm": float(y),
                    "z_mm": float(z),
                }
            )
    return sorted(rows, key=lambda row: row["p_fwe"])
