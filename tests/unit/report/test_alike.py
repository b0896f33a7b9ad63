"""Like messages are told once, and nothing that differs is passed off as the same."""

from __future__ import annotations

from fmrsflow.report.alike import alike


def test_messages_that_differ_in_values_or_files_are_one():
    texts = [
        "a/sub-01.SDAT is truncated: 12 of 40 bytes",
        "no water reference",
        "b/sub-02.SDAT is truncated: 30 of 40 bytes",
    ]
    assert alike(texts) == [("… is truncated: … of 40 bytes", [0, 2]), ("no water reference", [1])]


def test_messages_of_other_words_stay_apart():
    texts = ["tCr FWHM 0.1 ppm > 0.094 ppm", "tCr SNR 8 < 10", "tCr FWHM 0.1 ppm < 0.094 ppm"]
    assert [places for _, places in alike(texts)] == [[0], [1], [2]]


def test_the_most_frequent_comes_first_and_every_message_is_counted_once():
    found = alike(["x", "y 1", "y 2", "y 3", "x"])
    assert [len(places) for _, places in found] == [3, 2]
    assert sorted(place for _, places in found for place in places) == list(range(5))
    assert alike([]) == []
