"""Fit each average, the time course and all transients of a scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.fids import Fids
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.design import Design, condition_design, given_design, linewidth_design
from fmrsflow.fit.joint import fit_joint_models
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import PAIRS, FitResult
from fmrsflow.fit.solve import fit_spectra
from fmrsflow.fit.water import water_amplitude
from fmrsflow.metabolites import sums_of
from fmrsflow.tables import read_table
from fmrsflow.tables.fit import AMPLITUDES, JOINT, TIMECOURSE

REST = "rest"
"""Condition that changes refer to; where a scan has none of that name, its first condition."""


def process(job: Job) -> dict:
    """Fit one scan; see docs/fit.md."""
    done = job.record("preprocess")
    options = FitOptions.from_settings(job.settings["fit"])
    transients = job.fids("preprocess", "svs")
    rows = job.table("preprocess", "transients")
    labels = [row["condition"] or None for row in rows]
    kept = np.array([row["kept"] for row in rows])
    weights = _overall_weights(rows, labels, kept)
    basis = job.basis().resampled(transients.dwell_s, transients.n_points, transients.frequency_mhz)
    names, spectra = _spectra(job, done["conditions"], transients, weights)
    blocks = _blocks(labels, kept, options.timecourse_transients)
    courses = [spectra.with_data(transients.select(b).mean(weights[b]).data) for b in blocks]
    together = spectra.with_data(np.concatenate([one.data for one in (spectra, *courses)]))
    results = _fit(together, basis, options)
    fitted = _with_whole_noise(dict(zip(names, results)))
    if fitted["all"].status == "failed":
        raise DataError(f"the average of all transients: {fitted['all'].reason}")
    for name, result in fitted.items():
        if result.status == "failed":
            job.warn(f"spectrum {name}: {result.reason}")
    table = [row for name, result in fitted.items() for row in result.to_table(name)]
    job.save("amplitudes", table, AMPLITUDES)
    times = np.array([row["time_s"] for row in rows])
    course = _timecourse(blocks, labels, times, results[len(names) :])
    job.save("timecourse", course, TIMECOURSE)
    job.save("result", _arrays(fitted))
    # Transients between conditions (lag_s) belong to no regressor.
    used = kept & np.array([label is not None for label in labels])
    joint = _joint(job, options, transients.select(used), basis, labels, used)
    sums = sums_of(fitted["all"].names)
    return {**_quality(fitted), "sums": sums, "water_amplitude": _water(job), "joint": joint}


def _fit(fids: Fids, basis, options: FitOptions) -> list[FitResult]:
    if options.engine == "fmrsflow":
        return fit_spectra(fids, basis, options)
    from fmrsflow.fit.engines import fit_with_engine

    return fit_with_engine(fids, basis, options)


def _overall_weights(rows: list[dict], labels: list, kept: np.ndarray) -> np.ndarray:
    """Weights of the average of all transients: a condition counts by its number of transients."""
    weights = np.array([row["weight"] for row in rows]) * kept
    for label in set(labels) - {None}:
        mask = np.array([one == label for one in labels])
        total = weights[mask].sum()
        if total > 0:
            weights[mask] *= kept[mask].sum() / total
    return weights


def _spectra(job: Job, conditions: list[str], transients: Fids, weights) -> tuple[list, Fids]:
    """Averages to fit and their names: each condition, each matched condition, all."""
    average = job.fids("preprocess", "average")
    names, data = list(conditions), [average.data]
    if len(conditions) > 1:
        names += [f"{name}:matched" for name in conditions]
        data.append(job.fids("preprocess", "matched").data)
    if "all" not in names:
        names.append("all")
        data.append(transients.mean(weights).data)
    return names, average.with_data(np.concatenate(data))


def _with_whole_noise(fitted: dict[str, FitResult]) -> dict[str, FitResult]:
    """Results of matched spectra with the errors of their noise before matching.

    Broadening takes noise off the late FID, where there is no signal: the residual shrinks, the
    error of the amplitudes does not.
    """
    found = dict(fitted)
    for name, one in fitted.items():
        plain = fitted.get(name.removesuffix(":matched"))
        if plain is not one and one.status == plain.status == "ok":
            ratio = max(1.0, plain.residual_sd / one.residual_sd)
            found[name] = replace(one, covariance=ratio**2 * one.covariance)
    return found


def _blocks(labels: list, kept: np.ndarray, size: int) -> list[np.ndarray]:
    """Kept transients of each uninterrupted run of a condition, in pieces of at most `size`."""
    edges = [j for j in range(1, len(labels)) if labels[j] != labels[j - 1]]
    found = []
    for run in np.split(np.arange(len(labels)), edges):
        if labels[run[0]] is None:
            continue
        pieces = np.array_split(run, -(-len(run) // size)) if size else [run]
        found += [piece[kept[piece]] for piece in pieces if kept[piece].any()]
    return found


def _timecourse(blocks, labels, times, results: list[FitResult]) -> list[dict]:
    rows = []
    for number, (block, result) in enumerate(zip(blocks, results)):
        names, amplitudes, covariance = result.with_sums()
        for name, amplitude, variance in zip(names, amplitudes, np.diag(covariance)):
            rows.append(
                {
                    "block": number,
                    "condition": labels[block[0]],
                    "time_s": float(times[block].mean()),
                    "metabolite": name,
                    "amplitude": float(amplitude),
                    "se": float(np.sqrt(variance)),
                }
            )
    return rows


def _joint(job: Job, options: FitOptions, fids: Fids, basis, labels: list, used) -> dict:
    """Joint fit with the linewidth model of the setting, and without as a control."""
    if not options.joint:
        return {"status": "absent", "reason": "switched off (setting joint)"}
    if options.engine != "fmrsflow":
        return {"status": "absent", "reason": f"engine {options.engine} fits single spectra only"}
    try:
        design, width = _designs(job, options, labels)
        design = design.select(used)
        widths: list[Design | None] = [None]
        if options.joint_linewidth != "none" and width is not None:
            widths.insert(0, width.select(used))
        fits = fit_joint_models(fids, basis, design, widths, options, options.joint_respond)
    except Unreachable:
        raise  # a design that is not there would be missing in a record that says ok, for good
    except DataError as failure:
        return {"status": "failed", "reason": " ".join(str(failure).split())}
    job.save("joint", [row for one in fits for row in one.to_table()], JOINT)
    job.save("joint", _joint_arrays(fits[0], np.flatnonzero(used)))
    first = fits[0]
    free = len(first.narrowing_hz) > 0
    return {
        "status": "ok",
        "reason": None,
        "linewidth_model": first.linewidth_model,
        "bold_narrowing_hz": float(first.narrowing_hz[0]) if free else None,
        "bold_narrowing_se_hz": float(first.narrowing_se_hz[0]) if free else None,
        "fqn": first.fqn,
        "stop_reason": first.stop_reason,
        "design": list(design.names),
    }


def _designs(job: Job, options: FitOptions, labels: list) -> tuple[Design, Design | None]:
    """Amplitude and linewidth design over all transients, from the setting's TSV or the events."""
    if options.joint_design:
        scan = job.scan
        name = options.joint_design.format(stem=scan.stem, **scan.entities)
        path, root = job.study.data_root / name, job.study.data_root.resolve()
        if not (path.is_file() and path.resolve().is_relative_to(root)):
            raise Unreachable(f"{name} (setting joint_design) is not below the data root", path)
        return given_design(read_table(job.beside(path)), len(labels))
    present = [label for label in dict.fromkeys(labels) if label is not None]
    rest = REST if REST in present else present[0]
    tr_s = job.record("convert")["tr_s"] or job.site.tr_s or 1.0
    return (
        condition_design(labels, rest, tr_s, options.joint_regressor, options.joint_drift_order),
        linewidth_design(labels, rest, tr_s, options.joint_linewidth_regressor),
    )


def _joint_arrays(one: JointResult, transients: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "names": np.array(one.names),
        "contrasts": np.array(one.contrasts),
        "change_percent": one.change_percent,
        "change_covariance": one.change_covariance,
        "baseline_amplitude": one.baseline_amplitude,
        "transients": transients,
        "timecourse": one.timecourse,
        "timecourse_se": one.timecourse_se,
    }


def _arrays(fitted: dict[str, FitResult]) -> dict[str, np.ndarray]:
    results = list(fitted.values())
    single = ("data", "fit", "baseline", "residual", "metabolites")
    curves = {
        key: np.stack([getattr(one, key) for one in results]).astype(np.complex64) for key in single
    }
    return {
        "ppm": results[0].ppm,
        "spectra": np.array(list(fitted)),
        "names": np.array(results[0].names),
        **curves,
        "amplitudes": np.stack([one.amplitudes for one in results]),
        "covariance": np.stack([one.covariance for one in results]),
        "parameter_names": np.array(list(results[0].parameters)),
        "parameters": np.array([list(one.parameters.values()) for one in results]),
        "parameters_se": np.array([list(one.parameters_se.values()) for one in results]),
    }


def _quality(fitted: dict[str, FitResult]) -> dict:
    keys = (
        "status",
        "reason",
        "fqn",
        "mrar_percent",
        "fitted_fwhm_tcr_hz",
        "fitted_snr_tcr",
        "baseline_dimension_per_ppm",
        "stop_reason",
    )
    body = {key: {name: getattr(one, key) for name, one in fitted.items()} for key in keys}
    # `status` and `reason` of the record are those of the scan.
    body["spectrum_status"], body["spectrum_reason"] = body.pop("status"), body.pop("reason")
    body["correlations"] = {
        name: {f"{a}-{b}": one.correlation(a, b) for a, b in PAIRS} for name, one in fitted.items()
    }
    return body


def _water(job: Job) -> float | None:
    if job.record("convert")["reference"] is None:
        return None
    return water_amplitude(job.fids("preprocess", "mrsref"))


main = stage_main("fit", process)
