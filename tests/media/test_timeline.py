"""The times of frames: rates found in rounded stamps, gaps, resampling and parts."""

import itertools
from fractions import Fraction

import pytest

from reenact.media.timeline import (
    Timeline,
    constant_timeline,
    exact_rate,
    timeline_from_stamps,
)

MILLISECOND = Fraction(1, 1000)
# 4 frames at 2 fps, then 4 at 10 fps.
VARIABLE = Timeline(
    times=(*(Fraction(i, 2) for i in range(4)), *(2 + Fraction(i, 10) for i in range(4))),
    end=Fraction(24, 10),
    fps=Fraction(10, 3),
)


def read(stamps, *rates, tick=MILLISECOND, last_duration=None, start=Fraction(0)) -> Timeline:
    return timeline_from_stamps(
        stamps, last_duration=last_duration, tick=tick, rates=rates, start=start
    )


@pytest.mark.parametrize("rate", [24, 25, 30, 60, Fraction(30000, 1001), Fraction(24000, 1001)])
@pytest.mark.parametrize("rounded", [round, int])
def test_a_constant_rate_is_found_behind_rounded_stamps(rate, rounded) -> None:
    stamps = [5 + Fraction(rounded(i / Fraction(rate) * 1000), 1000) for i in range(500)]
    timeline = read(stamps)
    assert timeline == constant_timeline(500, Fraction(rate))
    assert timeline.is_constant


def test_a_wrong_rate_of_a_cut_file_is_corrected() -> None:
    # Ten frames at 30 fps by a clock of 12800: the file gives 10 / (4267 / 12800).
    stamps = [Fraction(round(12800 * i / 30), 12800) for i in range(10)]
    given = Fraction(128000, 4267)
    assert read(stamps, given, tick=Fraction(1, 12800)) == constant_timeline(10, Fraction(30))


def test_an_unusual_rate_of_the_file_is_kept() -> None:
    rate = Fraction(7, 3)
    stamps = [i / rate for i in range(50)]
    assert read(stamps, rate, tick=Fraction(1, 7000)) == constant_timeline(50, rate)


def test_variable_times_are_kept_exactly() -> None:
    stamps = [7 + time for time in VARIABLE.times]
    timeline = read(stamps, Fraction(10), last_duration=Fraction(1, 10), start=Fraction(1, 3))
    assert timeline.times == tuple(time + Fraction(1, 3) for time in VARIABLE.times)
    assert timeline.end == VARIABLE.end + Fraction(1, 3)
    assert timeline.fps == 7 / Fraction(23, 10)
    assert not timeline.is_constant


def test_a_frame_that_is_missing_makes_the_rate_variable() -> None:
    stamps = [Fraction(i, 25) for i in range(20) if i != 7]
    assert read(stamps, Fraction(25), tick=Fraction(1, 25)).times == tuple(stamps)


def test_unknown_and_repeated_stamps_still_increase() -> None:
    stamps = [None, Fraction(1, 10), Fraction(1, 10), None, Fraction(4, 10)]
    times = read(stamps, Fraction(10)).times
    assert times[0] == 0
    assert times[1] == Fraction(1, 10)
    assert times[-1] == Fraction(4, 10)
    assert all(a < b for a, b in itertools.pairwise(times))
    assert read([None] * 8, Fraction(12)) == constant_timeline(8, Fraction(12))


def test_time_goes_on_after_a_reset_of_the_clock() -> None:
    part = [Fraction(i, 25) for i in range(50)]
    assert read(part + part, Fraction(25)) == constant_timeline(100, Fraction(25))


def test_an_absurd_step_is_a_jump_of_the_clock() -> None:
    stamps = [Fraction(i, 25) + (80_000 if i > 3 else 0) for i in range(10)]
    assert read(stamps, Fraction(25)) == constant_timeline(10, Fraction(25))
    long = read([Fraction(0), Fraction(3000), Fraction(6000)], Fraction(90_000))
    assert long.times == (0, 3000, 6000)
    assert read([Fraction(0)], Fraction(90_000)) == constant_timeline(1, Fraction(25))


def test_one_frame_has_the_rate_of_the_file() -> None:
    assert read([Fraction(3)], Fraction(30)) == constant_timeline(1, Fraction(30))
    assert read([None], None) == constant_timeline(1, Fraction(25))


def test_resampling_shows_the_frame_that_is_on_screen() -> None:
    timeline, numbers = VARIABLE.resampled(Fraction(5))
    assert timeline == constant_timeline(12, Fraction(5))
    #        0.0 .2 .4 .6 .8 1.0 ...            2.0 2.2
    assert numbers == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 6]


def test_resampling_to_the_own_rate_changes_nothing() -> None:
    ntsc = Fraction(30000, 1001)
    timeline = constant_timeline(1000, ntsc)
    assert timeline.resampled(ntsc) == (timeline, list(range(1000)))
    # Stamps rounded to milliseconds: no frame is lost or repeated.
    times = tuple(Fraction(round(time * 1000), 1000) for time in timeline.times)
    rounded = Timeline(times=times, end=timeline.end, fps=ntsc)
    assert rounded.resampled(ntsc) == (timeline, list(range(1000)))


def test_pictures_that_start_late_are_shown_from_the_start_when_resampled() -> None:
    timeline, numbers = constant_timeline(2, Fraction(10), Fraction(3, 10)).resampled(Fraction(10))
    assert timeline == constant_timeline(5, Fraction(10))
    assert numbers == [0, 0, 0, 0, 1]


def test_a_part_ends_where_the_next_frame_begins() -> None:
    numbers = VARIABLE.between(Fraction(6, 10), Fraction(21, 10))
    assert numbers == range(2, 5)
    part = VARIABLE.part(numbers, zero=VARIABLE.times[2])
    assert part.times == (0, Fraction(1, 2), 1)
    assert part.end == Fraction(11, 10)
    slow = VARIABLE.part(range(4), zero=Fraction(0))
    assert slow == constant_timeline(4, Fraction(2))
    assert slow.is_constant
    assert not VARIABLE.between(Fraction(9), None)


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (30.0, 30),
        (25, 25),
        (12.5, Fraction(25, 2)),
        (1.0, 1),
    ],
)
def test_rounded_television_rates_are_exact(given: float, exact: Fraction) -> None:
    assert exact_rate(given) == exact
