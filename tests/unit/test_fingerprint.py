"""One measurement under two files is known by its noise; two measurements never are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fmrsflow.convert.reader import load, read
from fmrsflow.fids import Fids
from fmrsflow.fingerprint import FEWEST, POINTS, SAME, fingerprint, twins
from fmrsflow.study import Site

SITE = Site("a", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own", spectral_width_hz=4000.0)


def noisy(seed: int, n: int = 2, noise: float = 0.01) -> Fids:
    """The same line under noise of its own, a percent of it."""
    rng = np.random.default_rng(seed)
    time = np.arange(1024) * 5e-4
    line = np.exp(2j * np.pi * 40 * time - 15 * time)
    draws = rng.normal(size=(2, n, 1, 1024))
    return Fids(line + noise * (draws[0] + 1j * draws[1]), 5e-4, 123.2)


@pytest.mark.parametrize(
    "pair",
    [
        ("siemens-press-3t/SVS_30.IMA", "siemens-press-3t/SVS_30.rda"),
        ("fitting-challenge/jmrui/dataset1_WS.txt", "fitting-challenge/lcmodel/dataset1.RAW"),
    ],
)
def test_two_exports_of_one_measured_scan_are_one(shared_data, pair):
    prints = {name: fingerprint(read(shared_data / name, SITE).fids) for name in pair}
    assert twins(prints) == {pair[0]: pair[1], pair[1]: pair[0]}


def test_scale_phase_sign_and_order_of_transients_change_nothing():
    scan = noisy(1, 8)
    others = {
        "scaled": scan.with_data(3e-5 * scan.data),
        "turned": scan.rotated(77.0),
        "conjugated": scan.with_data(np.conj(scan.data)),
        "averaged": scan.mean(),
        "reversed": scan.select(slice(None, None, -1)),
        "single precision": scan.with_data(scan.data.astype(np.complex64)),
    }
    for name, other in others.items():
        prints = {"scan": fingerprint(scan), name: fingerprint(other), "x": fingerprint(noisy(2))}
        assert twins(prints) == {"scan": name, name: "scan"}


def test_scans_of_one_phantom_and_halves_of_one_scan_are_several(shared_data):
    """The most alike that are at hand: an SNR of 244, the same thing ten times."""
    paths = sorted((shared_data / "real-nulls" / "ge-phantom").glob("*_svs.nii.gz"))
    first = load(paths[0])
    halves = [first.select(slice(0, 8)), first.select(slice(8, 16))]
    scans = [*halves, *map(load, paths[1:])]
    prints = {str(n): fingerprint(one) for n, one in enumerate(scans)}
    assert len(prints) == 11 and twins(prints) == {}
    values = np.array(list(prints.values()))
    apart = [np.median(np.abs(a - b)) for a, b in combinations(values, 2)]
    assert min(apart) > 0.01


@pytest.mark.parametrize("points", [200, 256, 400])
def test_short_and_filled_fids_are_known_by_what_they_hold(points):
    """One export of the first part, one with zeros behind it, and the whole."""
    scan = noisy(1)
    short = scan.with_data(scan.data[..., :points])
    filled = scan.with_data(np.where(np.arange(1024) < points, scan.data, 0))
    prints = {"whole": scan, "short": short, "filled": filled, "x": noisy(2)}
    prints |= {f"{name} too": one.with_data(one.data[..., :points]) for name, one in prints.items()}
    prints |= {"y": noisy(3).with_data(noisy(3).data[..., :points])}
    found = twins({name: fingerprint(one) for name, one in prints.items()})
    assert set(found) == set(prints) - {"y"}
    assert {name for name, other in found.items() if "x" in (name[0], other[0])} == {"x", "x too"}


def test_what_holds_too_little_has_none():
    scan = noisy(1)
    few = scan.with_data(scan.data[..., :128])
    assert fingerprint(few) == fingerprint(scan.with_data(0 * scan.data)) == []
    assert len(fingerprint(scan)) == POINTS
    assert twins({"a": [], "b": [], "c": fingerprint(scan)}) == {} == twins({})


def test_fewest_points_still_tell_halves_of_one_scan_apart():
    """At an SNR of 244, that of the measured phantom, a tenth of the median would still do."""
    scan = noisy(1, 16, noise=4 / 244)
    halves = (scan.select(slice(n, None, 2)) for n in (0, 1))
    a, b = (np.array(fingerprint(one)[:FEWEST]) for one in halves)
    assert np.median(np.abs(a - b)) > SAME


def test_three_names_of_one_scan_are_all_told_among_thousands():
    rng = np.random.default_rng(3)
    prints = {f"s{n}": rng.normal(size=POINTS).tolist() for n in range(3000)}
    prints |= {name: prints["s7"] for name in ("again", "and again")}
    assert set(twins(prints)) == {"s7", "again", "and again"}
