"""Norms of a consortium for the quality of scans, and where a site stands against them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.report.norm_words import compared_with, norm_words
from fmrsflow.sites.norms import (
    ALL,
    PER_ML,
    PLACES,
    Measured,
    measured,
    norms,
    quantile,
    read_norms,
    standing,
    volume_class,
)
from fmrsflow.tables import parse_table, table_bytes, write_table
from fmrsflow.tables.sites import TABLES


def test_quantiles_of_equal_weights_are_those_of_hazen():
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 40):
        values = rng.normal(size=n)
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            wanted = np.quantile(values, share, method="hazen")
            assert quantile(list(values), [3.0] * n, share) == pytest.approx(wanted)


def test_a_site_of_many_scans_counts_as_one():
    """Two sites of 1 and of 3: the median of scans that weigh as their sites do lies between."""
    values, weights = [1.0] * 2 + [3.0] * 200, [1 / 2] * 2 + [1 / 200] * 200
    assert quantile(values, weights, 0.25) == 1.0
    assert quantile(values, weights, 0.75) == 3.0


@pytest.mark.parametrize(
    ("side", "label"),
    [(15, "below 5 ml"), (20, "5-10 ml"), (25, "10-20 ml"), (30, "20-40 ml"), (40, "from 40 ml")],
)
def test_usual_voxels_lie_inside_a_class(side, label):
    assert volume_class(side**3 / 1e3) == label
    assert volume_class((side * 1.03) ** 3 / 1e3) == label
    assert volume_class(None) == ""


def scans(rng, sites, each=10, vendor="GE", field=3.0, volume="20-40 ml", snr=40.0):
    return [
        Measured(f"{vendor}{k}", vendor, field, volume,
                 {"snr_tcr": rng.normal(snr, 5), "fwhm_tcr_hz": rng.normal(6, 1)})
        for k in range(sites) for _ in range(each)
    ]  # fmt: skip


def row_of(rows, **wanted):
    (found,) = (row for row in rows if all(row[name] == value for name, value in wanted.items()))
    return found


def test_norms_stand_by_vendor_field_and_volume_and_over_them():
    rng = np.random.default_rng(2)
    found = norms(
        [*scans(rng, 3), *scans(rng, 2, vendor="Philips", volume="5-10 ml", snr=20.0),
         *scans(rng, 1, field=7.0, snr=80.0)]
    )  # fmt: skip
    whole = row_of(found, figure="snr_tcr", field_t=3.0, vendor=ALL, volume=ALL)
    assert (whole["n"], whole["n_sites"]) == (50, 5)
    own = row_of(found, figure="snr_tcr", field_t=3.0, vendor="Philips", volume="5-10 ml")
    assert own["p50"] == pytest.approx(20, abs=4) and own["n_sites"] == 2
    assert row_of(found, figure="snr_tcr", field_t=7.0, vendor="GE", volume=ALL)["p50"] > 60
    assert "p5" not in row_of(found, figure="snr_tcr", field_t=7.0, vendor="GE", volume=ALL)
    content = table_bytes(found, TABLES["norms"])
    assert b"GE0" not in content  # no name of a site
    assert table_bytes(norms(list(reversed(scans(rng, 3)))), TABLES["norms"])
    assert len(parse_table(content, TABLES["norms"], "norms.tsv")) == len(found)


def test_scans_that_are_not_used_make_no_norm_and_snr_goes_by_volume_and_transients():
    quality = [
        {"site": "a", "scan": "a/1", "vendor": "GE", "field_t": 3.0, "used": True, "n_kept": 64,
         "snr_tcr": 40.0, "drift_hz": -3.0, "fwhm_tcr_hz": math.nan},
        {"site": "a", "scan": "a/2", "vendor": "GE", "field_t": 3.0, "used": False},
    ]  # fmt: skip
    (one,) = measured(quality, {"a/1": 20.0})
    assert one.figures == {"snr_tcr": 40.0, "drift_hz": 3.0, PER_ML: 40.0 / (20.0 * 8.0)}
    assert one.volume == "20-40 ml"


def given(tmp_path, rows):
    write_table(tmp_path / "norms.tsv", rows, TABLES["norms"])
    return read_norms(tmp_path / "norms.tsv")


def test_a_site_is_compared_with_its_like_and_with_wider_norms_where_these_are_few(tmp_path):
    rng = np.random.default_rng(3)
    rows = norms([*scans(rng, 4), *scans(rng, 2, vendor="Philips", snr=30.0)])
    file = given(tmp_path, rows)
    new = scans(rng, 1, snr=25.0)
    found = row_of(standing(new, file), figure="snr_tcr")
    assert (found["vendor"], found["volume"], found["n_sites"]) == ("GE", "20-40 ml", 4)
    assert found["place"] == PLACES[0]
    found = row_of(standing(scans(rng, 1, vendor="Philips", snr=40), file), figure="snr_tcr")
    assert (found["vendor"], found["n_sites"]) == (ALL, 6)  # two Philips are no norm
    found = row_of(standing(scans(rng, 1, volume="from 40 ml"), file), figure="snr_tcr")
    assert (found["vendor"], found["volume"]) == ("GE", ALL)
    found = row_of(standing(scans(rng, 1, field=7.0), file), figure="snr_tcr")
    assert "no norms of 3 sites and more at 7 T" in found["reason"]
    table_bytes(standing(new, file), TABLES["standing"])


@pytest.mark.parametrize(("value", "place"), [(1.0, 0), (15.0, 1), (30.0, 2), (45.0, 3), (60.0, 4)])
def test_where_a_value_lies(value, place):
    norm = dict(zip(("p5", "p25", "p50", "p75", "p95"), (10.0, 20.0, 30.0, 40.0, 50.0)))
    norm |= {"figure": "snr_tcr", "vendor": ALL, "field_t": 3.0, "volume": ALL}
    norm |= {"n": 40, "n_sites": 4}
    own = [Measured("x", "GE", 2.89, "", {"snr_tcr": value})]
    (found,) = standing(own, [norm])
    assert found["place"] == PLACES[place]
    read = parse_table(table_bytes([found], TABLES["standing"]), TABLES["standing"], "t")
    said = " ".join(norm_words(read))
    bad = {0: "worse than nineteen of twenty", 1: "worse than three of four"}
    assert bad.get(place, "In no figure does the site stand in the worst quarter") in said
    assert compared_with(read[0]) == ("40 scans of 4 sites, 3 T, all vendors, voxels of any volume")


def test_broad_lines_are_the_bad_end_of_widths():
    row = {"figure": "fwhm_tcr_hz", "place": PLACES[4], "median": 12.0, "p25": 5.0, "p75": 7.0}
    (said,) = norm_words([row])
    assert "12 is worse than nineteen of twenty scans" in said
    assert norm_words([row | {"place": PLACES[0]}]) == [
        "In no figure does the site stand in the worst quarter of the norms."
    ]


def test_a_file_that_is_no_table_of_norms_is_refused(tmp_path):
    (tmp_path / "norms.tsv").write_text("figure\tn\nsnr_tcr\t3\n")
    with pytest.raises(DataError, match="lacks the column"):
        read_norms(tmp_path / "norms.tsv")
    with pytest.raises(DataError, match="cannot be read"):
        read_norms(tmp_path / "none.tsv")
