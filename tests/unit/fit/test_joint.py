"""The joint fit of all transients against known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.concentration import quantities
from fmrsflow.errors import DataError
from fmrsflow.fit.design import Design, Timing, condition_design, linewidth_design
from fmrsflow.fit.joint import fit_joint, fit_joint_models
from fmrsflow.fit.nuisance import water_design
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs, shape_designs
from fmrsflow.fit.series import of_transients
from fmrsflow.fit.solve import fit_spectra
from fmrsflow.quality import voigt_fwhm
from fmrsflow.sites.plateau import timing as timing_of
from fmrsflow.sites.plateau import weighed

LABELS = (["rest"] * 8 + ["task"] * 8) * 2
BOX = np.array([label == "task" for label in LABELS], float)


@pytest.fixture(scope="module")
def scan(clean, basis, truth, noisy):
    """Function of (Glu change in percent, narrowing in Hz, SNR or None, seed): 32 transients."""

    def make(glu=3.0, narrowing=0.2, snr=None, seed=0, box=BOX, drift=0.0, gauss=4.0):
        amplitudes = np.tile(truth, (len(box), 1))
        amplitudes[:, basis.names.index("Glu")] *= 1 + glu / 100 * box
        amplitudes *= 1 + drift * np.linspace(-1, 1, len(box))[:, None]
        fids = replace(clean, data=(amplitudes @ basis.fids)[:, None])
        fids = fids.broadened(3.0 - narrowing * box, gauss)
        return fids if snr is None else noisy(len(box), snr, seed, fids)

    return make


def _fit(fids, basis, narrowing=True, labels=LABELS, **options):
    width = linewidth_design(labels, "rest") if narrowing else None
    return fit_joint(fids, basis, condition_design(labels, "rest"), width, FitOptions(**options))


@pytest.mark.parametrize(
    "lorentz, gauss",
    [(2.8, 4.0), (3.0, 3.7), (2.8, 3.8)],
    ids=["Lorentzian", "Gaussian", "both"],
)
def test_noise_free_change_and_narrowing_return(scan, basis, lorentz, gauss):
    """Whatever part of the line narrows, to a tenth of the error of a good scan."""
    fids = scan(narrowing=3.0 - lorentz, gauss=4.0 + (gauss - 4.0) * BOX)
    result = _fit(fids, basis)
    change = dict(zip(result.names, result.change_percent[0]))
    assert change["Glu"] == pytest.approx(3.0, abs=0.05)
    for name in ("NAA", "tCr", "mI", "Gln"):
        assert change[name] == pytest.approx(0.0, abs=0.05), name
    lost = voigt_fwhm(3.0, 4.0) - voigt_fwhm(lorentz, gauss)
    assert result.narrowing_hz[0] == pytest.approx(lost, rel=0.02)
    assert result.kept.all()


def test_a_constant_width_turns_narrowing_into_glutamate(scan, basis):
    """The known false change; +1 to +4 % for 0.2 Hz at 3T (docs/science.md#bold-narrowing)."""
    result = _fit(scan(glu=0.0), basis, narrowing=False)
    change = dict(zip(result.names, result.change_percent[0]))
    assert 1.0 < change["Glu"] < 4.0
    assert change["tCr"] > 1.0
    assert result.linewidth_model == "none"


def test_a_basis_without_pcr_has_total_creatine_everywhere(scan, basis):
    """The same tCr, all of it Cr, in a single fit, the joint fit and its concentration."""
    fids = scan(glu=0.0, narrowing=0.0)
    one_line = basis.select(tuple(name for name in basis.names if name != "PCr"))
    single = fit_spectra(fids.mean(), one_line)[0]
    names, amplitudes, covariance = single.with_sums()
    cr, tcr = names.index("Cr"), names.index("tCr")
    assert amplitudes[tcr] == amplitudes[cr] == pytest.approx(9.0, rel=0.05)  # their CH2 lie apart
    assert covariance[tcr, tcr] == covariance[cr, cr]
    joint = _fit(fids, one_line)
    change = dict(zip(joint.names, joint.change_percent[0]))
    error = joint.change_se_percent[0, joint.names.index("tCr")]
    # The basis lacks a line: what the mean misses bends the width a little.
    assert change["tCr"] == change["Cr"] == pytest.approx(0.0, abs=0.25 * error)
    assert error > 0
    base = joint.baseline_amplitude[joint.names.index("tCr")]
    # What the missing line takes from the one width of the joint fit, own widths give back.
    assert base == pytest.approx(amplitudes[tcr], rel=0.07)
    values = quantities(single.names, single.amplitudes, single.covariance, 0.028, 2.0)
    raw = {one.metabolite: one for one in values if one.quantity == "raw"}
    assert raw["tCr"].value == amplitudes[tcr]
    assert raw["tCr"].se == pytest.approx(np.sqrt(covariance[tcr, tcr]))


def test_a_known_narrowing_can_be_fixed(scan, basis):
    result = _fit(scan(glu=0.0), basis, joint_linewidth="fixed", joint_narrowing_hz=0.2)
    change = dict(zip(result.names, result.change_percent[0]))
    assert abs(change["Glu"]) < 0.02
    assert result.linewidth_model == "fixed"
    assert len(result.narrowing_hz) == 0


def test_drift_of_all_amplitudes_is_no_change(scan, basis):
    result = _fit(scan(glu=0.0, narrowing=0.0, drift=0.02), basis)
    assert np.nanmax(np.abs(result.change_percent[0])) < 0.01


def test_errors_are_the_spread_of_repeated_scans(scan, basis):
    """60 scans know an SD to 9 %, a mean to 0.13 SD."""
    fits = [_fit(scan(snr=40.0, seed=seed), basis) for seed in range(60)]
    k = fits[0].names.index("Glu")
    change = np.array([one.change_percent[0, k] for one in fits])
    error = np.mean([one.change_se_percent[0, k] for one in fits])
    assert 0.75 < change.std(ddof=1) / error < 1.25
    assert abs(change.mean() - 3.0) < 3 * error / np.sqrt(len(fits))
    hertz = np.array([one.narrowing_hz[0] for one in fits])
    error = np.mean([one.narrowing_se_hz[0] for one in fits])
    assert 0.75 < hertz.std(ddof=1) / error < 1.25


def test_time_has_no_direction(scan, basis):
    """Gain and drift run as well backwards."""
    fids, design = scan(snr=60.0, seed=3), condition_design(LABELS, "rest")
    back = np.arange(32)[::-1]
    one = fit_joint(fids, basis, design)
    other = fit_joint(fids.select(back), basis, design.select(back))
    np.testing.assert_allclose(one.change_percent, other.change_percent, rtol=1e-6, atol=1e-6)


def test_what_the_mean_misses_is_in_neither_change_nor_error(scan, basis):
    """A line that is in all transients alike and not in the basis, a fifth of NAA's: the residual
    of the mean is twice the noise."""
    fids = scan(snr=40.0, seed=5)
    plain = _fit(fids, basis)
    line = 2.5 * np.exp((2j * np.pi * -2.0 * 123.25 / 4 - 15) * fids.time_s)
    missed = _fit(fids.with_data(fids.transients + line), basis)
    assert missed.average.fqn > 2 * plain.average.fqn
    assert missed.fqn == pytest.approx(1.0, abs=0.03)
    for name in ("tNAA", "tCr", "mI"):
        k = plain.names.index(name)
        error = plain.change_se_percent[0, k]
        assert missed.change_se_percent[0, k] == pytest.approx(error, rel=0.1)
        assert missed.change_percent[0, k] == pytest.approx(
            plain.change_percent[0, k], abs=0.25 * error
        )


def test_gain_of_single_transients_is_told_apart(scan, basis):
    """Gain of 3 % that runs on: told, and in the errors (60 scans know an SD to 9 %)."""
    changes, errors, gains = [], [], []
    for seed in range(60):
        fids = scan(snr=40.0, seed=seed)
        steps = np.random.default_rng((1, seed)).standard_normal(len(BOX))
        gain = steps[:1].copy()
        for step in steps[1:]:
            gain = np.append(gain, 0.8 * gain[-1] + 0.6 * step)
        result = _fit(fids.with_data(fids.transients * (1 + 0.03 * gain[:, None])), basis)
        k = [result.names.index(name) for name in ("Glu", "tCr")]
        changes.append(result.change_percent[0, k])
        errors.append(result.change_se_percent[0, k])
        gains.append(result.gain_percent)
    ratio = np.std(changes, axis=0, ddof=1) / np.sqrt(np.mean(np.square(errors), axis=0))
    assert ratio == pytest.approx(1.0, abs=0.25)
    assert np.mean(gains) == pytest.approx(3.0, abs=0.6)


def test_corrupted_transients_are_cut(scan, basis):
    fids, bad = scan(snr=40.0, seed=7), np.array([3, 11, 20])
    data = fids.transients.copy()
    data[bad[0]] *= 0.8
    data[bad[1]] *= np.exp(0.5j)
    data[bad[2]] *= np.exp((2j * np.pi * 5.0 - 6.0) * fids.time_s)
    kept = np.ones(32, bool)
    kept[bad] = False
    design, width = condition_design(LABELS, "rest"), linewidth_design(LABELS, "rest")
    result = _fit(fids.with_data(data), basis)
    assert not result.kept[bad].any() and result.kept.sum() >= 28
    assert len(result.timecourse) == result.kept.sum()
    clean = fit_joint(
        fids.select(result.kept), basis, design.select(result.kept), width.select(result.kept)
    )
    # Another start of the same fit of the mean.
    off = (result.change_percent - clean.change_percent) / clean.change_se_percent
    assert np.nanmax(np.abs(off)) < 0.05


def test_sums_use_the_covariance(scan, basis):
    result = _fit(scan(snr=40.0, seed=1), basis)
    names = result.names
    i, j, k = (names.index(name) for name in ("Cr", "PCr", "tCr"))
    base = result.baseline_amplitude
    weighted = base[i] * result.change_percent[0, i] + base[j] * result.change_percent[0, j]
    assert result.change_percent[0, k] == pytest.approx(weighted / base[k])
    assert result.change_se_percent[0, k] < result.change_se_percent[0, i]


def test_only_chosen_metabolites_respond(scan, basis):
    result = fit_joint(
        scan(snr=40.0),
        basis,
        condition_design(LABELS, "rest"),
        linewidth_design(LABELS, "rest"),
        responding=("Glu", "Lac"),
    )
    told = {n for n, x in zip(result.names, result.change_percent[0]) if np.isfinite(x)}
    assert told == {"Glu", "Lac", "Glx"}


def test_transients_that_were_fitted_before_give_the_same(scan, basis):
    """And a gain knows the gaps between them: its error is not that of neighbours."""
    fids, places = scan(snr=40.0, seed=5), np.cumsum(np.tile([1, 9], 16))
    design, width = condition_design(LABELS, "rest"), linewidth_design(LABELS, "rest")
    courses = np.concatenate([design.matrix, width.matrix], axis=1)
    series = of_transients(fids, basis, courses, FitOptions(), places)
    given = (fids, basis, design, [width], FitOptions(), (), places)
    (alone,), (again,) = fit_joint_models(*given), fit_joint_models(*given, common=series)
    np.testing.assert_array_equal(again.change_percent, alone.change_percent)
    np.testing.assert_array_equal(again.change_covariance, alone.change_covariance)
    (close,) = fit_joint_models(*given[:-1])
    assert not np.array_equal(close.change_covariance, alone.change_covariance)


@pytest.mark.parametrize("everything", [True, False], ids=["all signals", "macromolecules"])
def test_macromolecules_are_a_reference_unless_they_may_respond(
    clean, basis, truth, noisy, everything
):
    """Of 4 % in all signals or in macromolecules alone, at an SNR at which the data say so: held
    fixed, macromolecules make it a gain, which comes off all others; free, everything is as it is.
    """
    share = np.array([everything or name.startswith("MM") for name in basis.names])
    amplitudes = truth * (1 + 0.04 * np.outer(BOX, share))
    fids = replace(clean, data=(amplitudes @ basis.fids)[:, None]).broadened(3.0, 4.0)
    fids = noisy(len(BOX), 400.0, 3, fids)
    fixed, free = (_fit(fids, basis, joint_macromolecules=one) for one in ("fixed", "free"))
    expected = np.array([4.0 if everything else 0.0, 4.0])
    tcr, mm20 = places = [free.names.index(name) for name in ("tCr", "MM20")]
    error = free.change_se_percent[0, places]
    assert np.all(np.abs(free.change_percent[0, places] - expected) < 3 * error)
    assert np.isnan(fixed.change_percent[0, mm20])
    assert fixed.change_percent[0, tcr] == pytest.approx(expected[0] - 4.0, abs=0.6)


def test_free_frequency_and_phase_are_followed(scan, basis):
    rng = np.random.default_rng(4)
    shift, phase = rng.normal(0, 1.0, 32), rng.normal(0, 8.0, 32)
    fids = scan().shifted(shift).rotated(phase)
    result = _fit(fids, basis, joint_alignment="free")
    assert np.std(result.shift_hz - shift) < 0.05
    assert np.std(result.phase_deg - phase) < 0.5
    assert result.change_percent[0, result.names.index("Glu")] == pytest.approx(3.0, abs=0.3)


def test_timecourse_follows_the_truth(scan, basis, truth):
    result = _fit(scan(glu=10.0, snr=100.0, seed=2), basis)
    k = basis.names.index("Glu")
    course, error = result.timecourse[:, k], result.timecourse_se[k]
    expected = truth[k] * (1 + 0.1 * BOX)
    assert np.mean(((course - expected) / error) ** 2) == pytest.approx(1.0, abs=0.8)


@pytest.mark.parametrize("labels", [["rest"] * 32, ["task"] * 32])
def test_one_condition_has_no_contrast(labels):
    with pytest.raises(DataError, match="one condition"):
        condition_design(labels, "rest")


def test_too_few_transients_are_told(scan, basis):
    design = condition_design(LABELS, "rest").select([0, 8, 9, 16])
    with pytest.raises(DataError, match="4 transients for 3 regressors"):
        fit_joint(scan().select([0, 8, 9, 16]), basis, design)


def test_dependent_regressors_are_told(scan, basis):
    twice = Design(("constant", "a", "b"), np.stack([np.ones(32), BOX, 1 - BOX], axis=1))
    with pytest.raises(DataError, match="depend"):
        fit_joint(scan(), basis, twice)


@pytest.mark.parametrize(
    "place, column, words",
    [
        (0, np.zeros(32), "regressors constant, b: .*b: the same in each transient"),
        (1, np.full(32, 2.0), "linewidth bold, b: .*b: the same in each"),
        (2, 3 * np.linspace(-1, 1, 32), "linewidth bold, drift_1, b: .*b: given by those before"),
    ],
    ids=["amplitudes", "width", "nuisance"],
)
def test_a_regressor_that_no_transient_samples_is_named(scan, basis, place, column, words):
    """Also one that nuisance shares with the width."""
    designs = [condition_design(LABELS, "rest"), linewidth_design(LABELS, "rest"), None]
    names = ("constant", "b") if place == 0 else ("bold", "b") if place == 1 else ("b",)
    first = [np.ones(32)] if place == 0 else [BOX] if place == 1 else []
    designs[place] = Design(names, np.column_stack([*first, column]))
    design, width, nuisance = designs
    with pytest.raises(DataError, match=words):
        fit_joint_models(scan(), basis, design, (width,), nuisance=nuisance)


def test_a_shape_that_cannot_be_fitted_is_withheld_and_none_takes_its_place(scan, basis):
    options = FitOptions(joint_shapes=(), joint_linewidth_regressor="boxcar")
    design, width = designs(LABELS, Timing.of_labels(LABELS, 2.0 * np.arange(32)), options)
    gone = replace(design, matrix=design.matrix * (np.array(design.names) != "task"))
    shapes = {"boxcar": gone, "hrf": design}
    told = fit_joint_models(scan(), basis, design, (width,), options, shapes=shapes)[0].plateaus
    assert told.shapes == ("boxcar", "hrf")
    assert "task: the same in each transient" in told.reasons[0]
    assert told.reasons[1] == ""
    k = told.names.index("Glu")
    assert np.isnan(told.change_percent[0]).all()
    assert np.isnan(told.log_likelihood[0])
    assert told.change_percent[1, 0, k] == pytest.approx(3.0, abs=0.2)


def test_a_scan_of_noise_is_no_change(clean, basis):
    rng = np.random.default_rng(1)
    shape = (32, 1, clean.n_points)
    white = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    with pytest.raises(DataError, match="creatine"):
        _fit(replace(clean, data=white), basis)


def test_plateaus_and_likelihoods_tell_shapes_apart(scan, basis):
    """A response that rises with 15 s, read at TR 2 s: the plateau is right under its own shape,
    and a boxcar reads of it what the design says."""
    time_s = 2.0 * np.arange(32)
    rise = np.zeros(32)
    level = 0.0
    for j, label in enumerate(np.repeat(LABELS, 200)):  # steps of 10 ms
        if j % 200 == 0:
            rise[j // 200] = level
        level += 0.01 / 15.0 * ((label == "task") - level)
    fids = scan(glu=6.0, narrowing=0.0, snr=400.0, seed=4, box=rise)
    timing = Timing.of_labels(LABELS, time_s)
    options = FitOptions(joint_shapes=tuple(f"exponential_{t}s" for t in (5, 10, 15, 20, 30)))
    design, width = designs(LABELS, timing, options)
    shapes = shape_designs(LABELS, timing, options)
    found = fit_joint_models(fids, basis, design, (width,), options, shapes=shapes)[0]
    told, k = found.plateaus, found.names.index("Glu")
    assert told.shapes == ("boxcar", "hrf", *options.joint_shapes)
    own = told.shapes.index("exponential_15s")
    assert int(told.log_likelihood.argmax()) == own
    error = np.sqrt(told.covariance[own, 0, k, k])
    assert told.change_percent[own, 0, k] == pytest.approx(6.0, abs=3 * error)
    np.testing.assert_array_equal(told.change_percent[0], found.change_percent)
    reads = found.change_percent[0, k] / 6.0
    assert told.boxcar_reads[own, 0] == pytest.approx(reads, abs=0.08)
    # Ten such scans know the time constant.
    likely = weighed(*np.ones((2, 10, 7)), np.tile(told.log_likelihood, (10, 1)))
    times = timing_of(told.shapes, likely.weight)
    assert times["time_constant_s"] == pytest.approx(15.0, abs=2.5)
    assert (times["delay_s"], times["delay_sd_s"]) == (0.0, 0.0)


def test_the_width_of_water_says_what_no_regressor_does(scan, basis):
    """Lines narrow at once, where the model has them follow the BOLD signal: without water most of
    it reads as glutamate. Noise-free; water comes after every transient."""
    time_s = 2.0 * np.arange(32)
    timing = Timing.of_labels(LABELS, time_s)
    design = condition_design(LABELS, "rest", timing)
    width = linewidth_design(LABELS, "rest", timing, "hrf")
    rows = [{"time_s": t + 0.5, "linewidth_hz": 9.0 - 0.2 * box} for t, box in zip(time_s, BOX)]
    rows.append({"time_s": None, "linewidth_hz": 9.0})
    told = water_design(rows, timing, width)
    assert told.names == ("bold", "drift_1", "water")
    errors = []
    for one in (width, told):
        found = fit_joint(scan(), basis, design, one)
        places = [found.names.index(name) for name in ("Glu", "tCr", "NAA")]
        errors.append(np.abs(found.change_percent[0, places] - (3.0, 0.0, 0.0)).max())
    assert errors[1] < 0.3 < errors[0] / 10, errors
    with pytest.raises(DataError, match="4 groups of water have a time and a width, of 5 needed"):
        water_design(rows[:4], timing, width)


def test_motion_that_comes_with_the_task_is_taken_off(scan, basis):
    """It pulls all signals down by up to 4 %: tCr and Glu follow it where nothing is known of it,
    and no longer with its course in the model."""
    rng = np.random.default_rng(4)
    task = np.array([one == "task" for one in LABELS], float)
    motion = task * rng.uniform(0.2, 1.0, 32) + 0.1 * rng.normal(size=32)
    fids = scan(glu=6.0, narrowing=0.0, snr=400.0, seed=4)
    moved = fids.with_data(fids.transients * (1 - 0.04 * motion)[:, None])
    design, width = condition_design(LABELS, "rest"), linewidth_design(LABELS, "rest")
    course = (motion - motion.mean()) / motion.std()
    still = np.full(32, 0.3)  # of a transient that was rejected, say
    nuisance = Design(("motion", "spike"), np.stack([course, still], axis=1))
    (bare,), (told,) = (
        fit_joint_models(moved, basis, design, (width,), nuisance=one) for one in (None, nuisance)
    )
    errors = []
    for one in (bare, told):
        places = [one.names.index(name) for name in ("Glu", "tCr")]
        off = one.change_percent[0, places] - (6.0, 0.0)
        errors.append(off / one.change_se_percent[0, places])
    assert np.abs(errors[1]).max() < 3
    assert told.gain_percent < 0.3 * bare.gain_percent
