"""The whole stage: a simulated scan with all artefacts, real files, bad input."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.exclusion import excluded
from fmrsflow.fids import Fids, from_nifti
from fmrsflow.noise import STEPS_OF_NOISE
from fmrsflow.preprocess.baseline import level
from fmrsflow.stages.preprocess import process
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import read_table

SCHEMA = Path(__file__).resolve().parents[3] / "workflow" / "schemas" / "preprocess.yaml"
NO_REFERENCE = "no water reference: eddy currents are not corrected"
EVENTS = "onset\tduration\ttrial_type\n64\t64\ttask\n"


class Outcome:
    """Record and files of a scan."""

    def __init__(self, job: Job):
        self.job = job
        path = job.study.record_path("preprocess", {"preprocess": "p"}, job.scan)
        self.record = json.loads(path.read_text())
        self.after = Job("fit", job.study, job.scan, {"preprocess": "p"})

    def fids(self, what: str) -> Fids:
        return self.after.fids("preprocess", what)

    def rows(self) -> list[dict]:
        return self.after.table("preprocess", "transients")


def run(
    folder,
    svs,
    reference=None,
    events=None,
    condition="",
    each=1,
    water_at=(),
    first=False,
    **setting,
) -> Outcome:
    """Write what `convert` would have written, run the stage."""
    defaults = {
        name: entry["default"] for name, entry in yaml.safe_load(SCHEMA.read_text()).items()
    }
    scan = Scan("site", "01", "x.nii.gz", condition=condition, events="e.tsv" if events else "")
    config = {
        "results": str(folder),
        "data_root": str(folder),
        "preprocess": {"p": {**defaults, **setting}},
        "quality": {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0},
    }
    site = Site("site", "siemens", 3.0, "press", 0.03, 2.0, "standardised")
    study = Study(config, {"site": site}, (scan,))
    if events:
        (folder / "e.tsv").write_text(events)
    before = Job("convert", study, scan, {})
    before.save("svs", svs)
    if reference is not None:
        before.save("mrsref", reference)
    over_time = first or len(water_at) > 0
    shown = {"te_s": 0.03, "tr_s": 2.0, "n_transients": 1, "over_time": over_time}
    shown = None if reference is None else shown
    times = {"excitations_per_transient": each, "water_transients": list(water_at)}
    times["water_before_each"] = first
    before.finish("ok", None, None, {"te_s": 0.03, "tr_s": 2.0, "reference": shown, **times})
    job = Job("preprocess", study, scan, {"preprocess": "p"})
    run_job(job, process)
    return Outcome(job)


def eddy(time):
    return 4.0 * (1 - np.exp(-time / 0.05))


@pytest.fixture(scope="module")
def measured(sim):
    """A scan as a scanner gives it: 8 coils, eddy currents, drift, unstable water, 64 transients,
    and its water reference; the truth beside it."""
    scan = sim.scan(n=64, snr=20, water=8, seed=4)
    rng = np.random.default_rng(5)
    time = scan.clean.time_s
    sensitivity = rng.normal(size=8) + 1j * rng.normal(size=8)
    sensitivity /= np.linalg.norm(sensitivity)
    turned = scan.fids.transients * np.exp(1j * eddy(time))
    coils = sensitivity[:, None] * turned[:, None]
    svs = scan.fids.with_data(coils + sim.noise(rng, coils.shape, 0.2 * scan.noise_sd))
    water = 2e4 * np.exp(-np.pi * 7 * time + 1j * eddy(time)) * sensitivity[:, None]
    reference = scan.fids.with_data(
        np.repeat(water[None], 4, 0) + sim.noise(rng, (4, *water.shape), 0.2 * scan.noise_sd)
    )
    return scan, svs, reference


@pytest.fixture(scope="module")
def outcome(measured, tmp_path_factory):
    _, svs, reference = measured
    return run(tmp_path_factory.mktemp("stage"), svs, reference, EVENTS)


def test_the_average_is_the_clean_spectrum_again(measured, outcome):
    scan, *_ = measured
    assert outcome.record["status"] == "ok"
    averages = outcome.fids("average")
    assert outcome.record["conditions"] == ["rest", "task"]
    inside = (averages.ppm > 1.8) & (averages.ppm < 4.0)
    clean = scan.clean.spectra[0, 0, inside]
    noise = scan.noise_sd * np.sqrt(2 * scan.clean.n_points / 32)
    for spectrum in averages.spectra[:, 0, inside]:
        # One phase and one shift are free; the reference's rest is taken off by a fit.
        turn = np.exp(1j * np.angle(np.vdot(spectrum, clean)))
        rest = np.sqrt(np.mean(np.abs(spectrum * turn - clean) ** 2))
        # Noise of 32 transients, and two per cent for jitter in frequency that none can see.
        assert rest < 1.5 * noise + 0.02 * np.abs(clean).max()


def test_the_table_tells_what_each_transient_had(measured, outcome):
    scan, *_ = measured
    rows = outcome.rows()
    assert len(rows) == 64
    shift = np.array([float(row["shift_hz"]) for row in rows])
    phase = np.array([float(row["phase_deg"]) for row in rows])
    assert np.std(shift - scan.shift_hz) < 2 * scan.bounds()[0]
    away = (phase - scan.phase_deg - np.median(phase - scan.phase_deg) + 180) % 360 - 180
    assert np.std(away) < 2 * scan.bounds()[1]
    assert [row["condition"] for row in rows] == ["rest"] * 32 + ["task"] * 32
    assert [float(row["time_s"]) for row in rows[:3]] == [0.0, 2.0, 4.0]
    snr = np.array([float(row["snr"]) for row in rows])
    assert np.median(snr) == pytest.approx(20, rel=0.15)
    width = np.array([float(row["linewidth_hz"]) for row in rows])
    assert np.median(width) == pytest.approx(outcome.record["fwhm_tcr_hz"], abs=0.3)
    for name in ("rest", "task"):
        weights = [float(row["weight"]) for row in rows if row["condition"] == name]
        assert sum(weights) == pytest.approx(1, abs=1e-4)


def test_the_record_holds_the_figures_of_the_scan(measured, outcome):
    scan, *_ = measured
    record = outcome.record
    # 64 transients of SNR 20; the window of the noise also holds the lines' tails.
    assert record["snr_tcr"] == pytest.approx(160, rel=0.2)
    voigt = 0.5346 * 3 + np.sqrt(0.2166 * 9 + 16)
    assert record["fwhm_tcr_hz"] == pytest.approx(voigt, abs=0.3)
    assert record["fwhm_water_hz"] == pytest.approx(7, abs=0.2)
    assert record["residual_water"] == pytest.approx(36 * 8 / 2e4, rel=0.3)
    slope = np.polyfit(np.arange(64), scan.shift_hz, 1)[0]
    assert record["drift_hz"] == pytest.approx(63 * slope, abs=0.3)
    assert sum(record["n_kept"].values()) + sum(record["n_removed"].values()) == 64
    assert set(record["matching_hz"]) == {"rest", "task"}
    assert all(
        abs(record["matching_hz"][name]) <= 4 * record["matching_se_hz"][name]
        for name in ("rest", "task")
    )


def test_the_water_reference_comes_out_as_one_straight_fid(outcome):
    reference = outcome.fids("mrsref")
    assert (reference.n_transients, reference.n_coils) == (1, 1)
    assert reference.data[0, 0, 0].real == pytest.approx(2e4, rel=0.02)
    assert np.abs(np.angle(reference.data[0, 0, :300])).max() < 0.02


def test_the_files_are_those_of_the_contract(outcome):
    names = {name.split("_desc-preprocess_")[1] for name in outcome.record["files"]}
    assert names == {
        "svs.nii.gz",
        "mrsref.nii.gz",
        "average.nii.gz",
        "matched.nii.gz",
        "transients.tsv",
        "transients.json",
    }
    assert outcome.fids("svs").data.shape == (64, 1, 2048)
    assert outcome.fids("matched").data.shape == outcome.fids("average").data.shape


def test_a_second_run_writes_the_same_bytes(measured, outcome, tmp_path):
    _, svs, reference = measured
    again = run(tmp_path, svs, reference, EVENTS)
    assert again.record["files"] == outcome.record["files"]


@pytest.mark.parametrize("setting", [{"align": "restricted"}, {"align": "none"}, {"water": "none"}])
def test_other_presets_run(measured, tmp_path, setting):
    _, svs, reference = measured
    record = run(tmp_path, svs, reference, EVENTS, **setting).record
    assert record["status"] == "ok"
    kept = record["snr_tcr"]
    # Without alignment a drift of 8 Hz and a phase step cost SNR; the others do not.
    assert (kept < 120) if setting.get("align") == "none" else (kept > 120)


def test_equal_weights_are_equal(measured, tmp_path):
    _, svs, reference = measured
    rows = run(tmp_path, svs, reference, EVENTS, average="equal").rows()
    weights = {row["weight"] for row in rows if row["kept"] == "true"}
    assert len({round(float(weight), 3) for weight in weights}) <= 2


def test_without_a_reference_coils_come_from_the_scan_and_a_warning_says_so(measured, tmp_path):
    _, svs, _ = measured
    straight = svs.with_data(svs.data * np.exp(-1j * eddy(svs.time_s)))
    record = run(tmp_path, straight, None, EVENTS).record
    assert record["status"] == "ok"
    assert record["warnings"] == ["no water reference: eddy currents are not corrected"]
    assert record["fwhm_water_hz"] is None and record["residual_water"] is None
    assert record["snr_tcr"] == pytest.approx(160, rel=0.2)


def test_the_condition_of_the_sheet_names_all_transients(measured, tmp_path):
    _, svs, reference = measured
    record = run(tmp_path, svs, reference, condition="drug").record
    assert record["conditions"] == ["drug"]
    assert record["matching_hz"] == {"drug": 0.0}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s, r: (s, replace(r, dwell_s=2e-4)), "dwell time of 200 us, the scan 400 us"),
        (lambda s, r: (s, r.with_data(r.data[:, :, :512])), "512 points, the scan 2048"),
        (lambda s, r: (s, r.with_data(r.data[:, :4])), "4 coils, the scan 8"),
        (lambda s, r: (s, replace(r, frequency_mhz=297.2)), "297.2 MHz"),
        (lambda s, r: (s, r.with_data(r.data - r.data.mean(axis=0))), "unsuppressed water"),
        (
            lambda s, r: (s, r.with_data(0 * r.data)),
            "reference holds transients that are not finite, or empty",
        ),
        (lambda s, r: (s, r.with_data(np.nan * r.data)), "that are not finite"),
        (lambda s, r: (s.with_data(0 * s.data), r), "all 64 transients are empty"),
    ],
)
def test_bad_input_fails_that_scan_with_a_remedy(measured, tmp_path, change, words):
    _, svs, reference = measured
    svs, reference = change(svs, reference)
    record = run(tmp_path, svs, reference, EVENTS).record
    assert record["status"] == "failed"
    assert record["failed_at"] == "preprocess"
    assert re.search(words, record["reason"]), record["reason"]
    assert "\n" not in record["reason"]


def test_a_few_broken_transients_do_not_stop_a_scan(measured, tmp_path):
    _, svs, reference = measured
    data = svs.data.copy()
    data[3] = 0
    data[10, 2, 5] = np.nan
    outcome = run(tmp_path, svs.with_data(data), reference, EVENTS)
    assert outcome.record["status"] == "ok"
    causes = [row["cause"] for row in outcome.rows()]
    assert causes[3] == "empty" and causes[10] == "not finite"
    assert np.isfinite(outcome.fids("average").data).all()


def test_a_noisy_or_broad_scan_is_corrected_and_excluded_later_with_its_reason(sim, tmp_path):
    limits = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}
    record = run(tmp_path, sim.scan(n=2, snr=5).fids).record
    assert record["status"] == "ok"
    reason = excluded(record, limits)
    assert "tCr SNR" in reason and "< 10 (quality: min_snr_tcr)" in reason
    record = run(tmp_path, sim.scan(n=2, snr=60, lorentz=14.0).fids).record
    assert record["status"] == "ok"
    reason = excluded(record, limits)
    assert "tCr FWHM" in reason and "> 0.094 ppm (quality: max_fwhm_tcr_ppm)" in reason


def test_a_linear_baseline_is_taken_off_where_asked_for(sim, tmp_path):
    scan = sim.scan(n=8, snr=30)
    plain = run(tmp_path / "plain", scan.fids)
    line = run(tmp_path / "line", scan.fids, baseline="linear")
    assert plain.record["parameters"]["baseline"] == {"method": "none", "bands_ppm": None}
    assert line.record["parameters"]["baseline"]["bands_ppm"][0] == [-2.0, 0.0]
    assert line.record["parameters"]["rounding"] == {"steps_of_noise": STEPS_OF_NOISE}
    for what in ("svs", "average"):
        expected = level(plain.fids(what)).fids.data
        # Kept transients are rounded to steps of their noise, before here and after there.
        sd = expected[..., -expected.shape[-1] // 5 :].real.std()
        step = sd / STEPS_OF_NOISE if what == "svs" else 0.0
        np.testing.assert_allclose(
            line.fids(what).data, expected, rtol=0, atol=1e-6 * np.abs(expected).max() + 3 * step
        )
    # Noise and line are measured without it: no figure of quality moves.
    for figure in ("snr_tcr", "fwhm_tcr_hz"):
        assert line.record[figure] == pytest.approx(plain.record[figure], rel=0.02)


def test_a_scan_too_narrow_for_the_line_is_left_as_it_is_with_a_warning(sim, tmp_path):
    whole = sim.scan(n=4, snr=30).fids
    narrow = replace(whole, data=whole.data[:, :, ::2], dwell_s=2 * whole.dwell_s)
    record = run(tmp_path, narrow, baseline="linear").record
    assert record["status"] == "ok"
    assert any("baseline: linear needs signal-free bands" in one for one in record["warnings"])
    assert record["parameters"]["baseline"]["bands_ppm"] is None


def test_the_drift_series_runs(drift_series, tmp_path):
    outcome = run(tmp_path, drift_series)
    assert outcome.record["status"] == "ok"
    assert abs(outcome.record["drift_hz"]) == pytest.approx(13, abs=1.5)
    assert outcome.record["fwhm_tcr_hz"] < 8
    assert len(outcome.rows()) == 40


def convert(folder, *command) -> Fids:
    import nibabel as nib

    subprocess.run(
        ["spec2nii", *map(str, command), "-f", "out", "-o", str(folder)],
        check=True,
        capture_output=True,
    )
    return from_nifti(nib.load(folder / "out.nii.gz"))


def test_the_philips_scan_with_its_reference(shared_data, tmp_path):
    folder = shared_data / "philips-press-3t"
    act, ref = (
        convert(
            tmp_path,
            "philips",
            folder / f"sub-01_ses-01_PRESS_raw-{kind}_noID.SDAT",
            folder / f"sub-01_ses-01_PRESS_raw-{kind}_noID.SPAR",
        )
        for kind in ("act", "ref")
    )
    record = run(tmp_path, act, ref).record
    assert record["status"] == "ok"
    # Ranges of a good 3T scan (Korotkov 2026: 5.26 +- 0.48 Hz); water is broader than tCr.
    assert 4 < record["fwhm_tcr_hz"] < 7
    assert 5 < record["fwhm_water_hz"] < 10
    assert 30 < record["snr_tcr"] < 200
    assert record["residual_water"] < 0.03


def test_the_two_exports_of_the_siemens_scan_agree(shared_data, tmp_path):
    folder = shared_data / "siemens-press-3t"
    records = []
    for command in (("dicom", folder / "SVS_30.IMA"), ("rda", folder / "SVS_30.rda")):
        records.append(run(tmp_path, convert(tmp_path, *command)).record)
    dicom, rda = records
    # The same points, but the DICOM says 833.4 us of dwell time and the RDA 833: 0.05 % in every
    # width and 0.2 Hz at NAA; the noise window of 0.5 ppm moves by a point.
    assert dicom["fwhm_tcr_hz"] == pytest.approx(rda["fwhm_tcr_hz"], rel=0.01)
    assert dicom["frequency_reference_hz"] == pytest.approx(rda["frequency_reference_hz"], abs=0.2)
    assert dicom["snr_tcr"] == pytest.approx(rda["snr_tcr"], rel=0.1)
    assert records[0]["status"] == "ok"


def test_the_ge_phantom_with_eight_water_frames(shared_data, tmp_path):
    import nibabel as nib

    svs, ref = (
        from_nifti(nib.load(shared_data / "phantoms" / f"ge_P1751_{kind}.nii.gz"))
        for kind in ("svs", "ref")
    )
    assert (svs.n_transients, ref.n_transients) == (16, 8)
    outcome = run(tmp_path, svs, ref)
    assert outcome.record["status"] == "ok"
    # Cold phantom: NAA stands near 1.8 ppm, 0.2 ppm or 13 Hz below its place at 37 degrees.
    assert outcome.record["frequency_reference_hz"] == pytest.approx(-13, abs=4)
    average = outcome.fids("average")
    inside = np.flatnonzero((average.ppm > 1.0) & (average.ppm < 4.2))
    top = inside[np.argmax(np.abs(average.spectra[0, 0, inside]))]
    assert average.ppm[top] == pytest.approx(2.01, abs=0.06)


def test_tables_can_be_read_back(outcome):
    job = outcome.after
    rows = read_table(job.earlier("preprocess").path("transients.tsv"))
    meaning = job.earlier("preprocess").json("transients")
    assert list(rows[0]) == list(meaning)
    assert meaning["shift_hz"]["Units"] == "Hz"


def filled(fids: Fids, n_points: int) -> Fids:
    return fids.with_data(np.pad(fids.data, ((0, 0), (0, 0), (0, n_points))))


def test_zeros_of_an_export_are_cut_and_change_nothing_else(measured, outcome, tmp_path):
    _, svs, reference = measured
    padded = run(tmp_path, filled(svs, 2048), filled(reference, 2048), EVENTS)
    assert padded.record["parameters"]["zero_filling"] == {"points_cut": 2048}
    assert outcome.record["parameters"]["zero_filling"] == {"points_cut": 0}
    assert padded.fids("svs").n_points == 2048
    for name in ("snr_tcr", "fwhm_tcr_hz", "fwhm_tcr_ppm", "drift_hz", "noise_white"):
        assert padded.record[name] == pytest.approx(outcome.record[name], rel=1e-3), name
    assert padded.record["warnings"] == outcome.record["warnings"] == []


def test_a_reference_that_was_zero_filled_alone_is_followed_to_its_end(sim, tmp_path):
    scan = sim.scan(n=4, snr=60)
    time = scan.clean.time_s
    water = 2e4 * np.exp(-np.pi * 7 * time + 1j * eddy(time))
    reference = scan.clean.with_data(np.where(np.arange(2048) < 1024, water, 0)[None])
    turned = scan.fids.with_data(scan.fids.data * np.exp(1j * eddy(time)))
    record = run(tmp_path, turned, reference).record
    assert record["status"] == "ok"
    assert record["parameters"]["eddy"]["trusted_s"] <= 1024 * scan.clean.dwell_s
    voigt = 0.5346 * 3 + np.sqrt(0.2166 * 9 + 16)
    assert record["fwhm_tcr_hz"] == pytest.approx(voigt, abs=0.5)


def test_a_filtered_export_is_reported_and_its_shape_recorded(sim, tmp_path):
    scan = sim.scan(n=16, snr=30)
    shape = np.exp(-np.pi * 1.5 * scan.clean.time_s)
    record = run(tmp_path, scan.fids.with_data(scan.fids.data * shape)).record
    assert record["status"] == "ok"
    assert record["noise_white"] is False
    # An exponential's means over the first and the last quarter: exp(-3/4 of what falls over all).
    expected = np.exp(-np.pi * 1.5 * 0.75 * 2048 * 4e-4)
    assert record["noise_end_to_start"] == pytest.approx(expected, rel=0.3)
    assert any("filtered before the export: the noise falls" in one for one in record["warnings"])


def test_a_filter_does_not_make_errors_of_line_widths_smaller(sim):
    """Widths of filtered transients scatter as much as they are told to."""
    from fmrsflow.preprocess.linewidth import relative_widths

    scan = sim.scan(n=200, snr=40, drift_hz=0)
    aligned = scan.fids.rotated(-scan.phase_deg).shifted(-scan.shift_hz)
    for shape in (1.0, np.exp(-np.pi * 3 * scan.clean.time_s)):
        found = relative_widths(
            aligned.with_data(aligned.transients * shape), scan.clean.transients[0] * shape
        )
        # SE of a scatter of 200 values: 5 %.
        assert found.width_hz.std() == pytest.approx(found.se_hz.mean(), rel=0.15)


def test_a_good_line_at_7t_is_no_reason_to_leave_a_scan_out(shared_data, sim, tmp_path):
    """A measured STEAM scan of 12 Hz, and lines of 14 Hz: 0.04 to 0.05 ppm."""
    from fmrsflow.convert.reader import load

    limits = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}
    folder = shared_data / "real-nulls" / "steam-7t"
    svs, reference = (load(folder / f"nmt_{kind}_raw.nii.gz") for kind in ("metab", "wref"))
    record = run(tmp_path, svs, reference).record
    assert 11 < record["fwhm_tcr_hz"] < 13.5
    assert record["noise_white"] and record["noise_under_signals"] == 1
    assert excluded(record, limits) == ""
    shape = {"frequency_mhz": 297.2, "lorentz": 7.0, "gauss": 10.0, "dwell_s": 2e-4}
    record = run(tmp_path, sim.scan(n=4, snr=60, n_points=4096, **shape).fids).record
    assert 13 < record["fwhm_tcr_hz"] < 15
    assert excluded(record, limits) == ""
    # The same in Hz at 3T is no good line.
    assert "ppm" in excluded({**record, "fwhm_tcr_ppm": record["fwhm_tcr_hz"] / 123.2}, limits)


def averaged(fids: Fids, each: int) -> Fids:
    """Means of so many transients in a row."""
    return fids.with_data(fids.transients.reshape(-1, each, fids.n_points).mean(axis=1))


def test_transients_of_several_excitations_are_timed_by_them(sim, tmp_path):
    """Sixteen means of eight at a TR of 2 s: a block of 64 s is four of them, not thirty-two."""
    svs = averaged(sim.scan(n=128, drift_hz=0, seed=6).fids, 8)
    found = run(tmp_path, svs, events=EVENTS, each=8)
    rows = found.rows()
    assert [row["condition"] for row in rows] == ["rest"] * 4 + ["task"] * 4 + ["rest"] * 8
    assert [row["time_s"] for row in rows[:2]] == [7.0, 23.0]
    assert found.record["warnings"] == [NO_REFERENCE]
    assert not found.record["parameters"]["eddy"]["applied"]


def test_a_mean_over_the_edge_of_an_event_is_told(sim, tmp_path):
    svs = averaged(sim.scan(n=128, drift_hz=0, seed=6).fids, 8)
    events = "onset\tduration\ttrial_type\n72\t64\ttask\n"
    found = run(tmp_path, svs, events=events, each=8)
    labels = [row["condition"] for row in found.rows()]
    assert labels == ["rest"] * 4 + [""] + ["task"] * 3 + [""] + ["rest"] * 7
    assert any(
        "2 transients of 8 excitations lie across" in one for one in found.record["warnings"]
    )


def test_unknown_excitations_take_no_events(sim, tmp_path):
    svs = sim.scan(n=16, drift_hz=0, seed=6).fids
    found = run(tmp_path, svs, events=EVENTS, each=None)
    assert found.record["status"] == "failed"
    assert "column excitations_per_transient" in found.record["reason"]
    assert run(tmp_path, svs, each=None).record["status"] == "ok"


@pytest.mark.parametrize("scaling", ["scan", "block"])
def test_water_between_the_transients_is_followed(sim, tmp_path, scaling):
    """A water transient before each 16; the receiver gains 5 % from one group to the next."""
    groups, each = 4, 16
    scan = sim.scan(n=groups * each, drift_hz=0, water=0.5, seed=8)
    time = scan.clean.time_s
    gain = 1 + 0.05 * np.arange(groups)
    water = 2e4 * gain[:, None] * np.exp(-np.pi * 8 * time)
    places = np.arange(groups) * (each + 1)
    rows = np.setdiff1d(np.arange(groups * (each + 1)), places)
    course = np.interp(rows, places, gain)
    svs = scan.fids.with_data(scan.fids.transients * course[:, None])
    found = run(
        tmp_path,
        svs,
        scan.fids.with_data(water),
        "onset\tduration\ttrial_type\n34\t34\ttask\n",
        water_at=places,
        water_scaling=scaling,
    )
    table = found.after.table("preprocess", "water")
    assert [row["amplitude_percent"] for row in table] == pytest.approx(
        100 * gain / gain.mean(), rel=1e-3
    )
    assert [row["condition"] for row in table] == ["rest", "task", "rest", "rest"]
    assert [row["time_s"] for row in table] == [0.0, 34.0, 68.0, 102.0]
    assert [row["time_s"] for row in found.rows()[:3]] == [2.0, 4.0, 6.0]
    size = np.abs(found.fids("svs").transients[:, :200]).mean(axis=1)
    slope = np.polyfit(course / course.mean(), size / size.mean(), 1)[0]
    # Each value has 1 % of noise, the course an SD of 4 %: an SE of 0.03.
    assert slope == pytest.approx(1.0 if scaling == "scan" else 0.0, abs=0.1)


def test_scaling_without_water_over_the_scan_is_told(sim, tmp_path):
    found = run(tmp_path, sim.scan(n=16, seed=6).fids, water_scaling="block")
    assert any("no water was measured over the scan" in one for one in found.record["warnings"])


def test_water_before_each_phase_cycle(sim, tmp_path):
    """Twenty phase cycles of 16 after one of water each, TR 2 s: 34 s from one to the next."""
    svs = averaged(sim.scan(n=320, drift_hz=0, seed=9).fids, 16)
    water = 2e4 * np.exp(-np.pi * 8 * svs.time_s) * np.ones((20, 1))
    events = "onset\tduration\ttrial_type\n340\t170\theat\n"
    found = run(tmp_path, svs, svs.with_data(water), events, each=16, first=True)
    labels = [row["condition"] for row in found.rows()]
    assert labels == ["rest"] * 10 + ["heat"] * 5 + ["rest"] * 5
    assert [row["time_s"] for row in found.rows()[:2]] == [17.0, 51.0]
    table = found.after.table("preprocess", "water")
    assert [row["time_s"] for row in table[:3]] == [0.0, 34.0, 68.0] and len(table) == 20
    assert [row["condition"] for row in table] == labels
