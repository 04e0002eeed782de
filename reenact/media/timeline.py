"""The time of every frame of a video: read from time stamps, cut, resampled to another rate."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

# Many containers round time stamps to milliseconds.
ROUNDING = Fraction(1, 1000)
# A clock that goes back by more than LONGEST_BACK, or forward by more than LONGEST_STEP seconds,
# was reset or is damaged. Smaller steps back are damage of one time stamp.
LONGEST_BACK, LONGEST_STEP = Fraction(1, 2), Fraction(3600)
DEFAULT_RATE, HIGHEST_RATE = Fraction(25), Fraction(1000)
# Rates are rounded to denominators up to this one, so that an MP4 can hold each of them.
# 1001 (television rates) and 12800 (a usual clock of MP4) are below it.
MAX_DENOMINATOR = 20_000


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When each frame of a video is shown, in exact seconds from the start of the video.

    times: when each of the N frames appears, increasing. The first is 0, or later if the sound
        starts before the pictures.
    end: when the last frame disappears.
    fps: frames per second. If the rate is variable, the average.
    """

    times: tuple[Fraction, ...]
    end: Fraction
    fps: Fraction

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_constant(self) -> bool:
        """Whether every frame is shown for exactly 1 / fps."""
        first, step = self.times[0], 1 / self.fps
        return self.end == first + len(self) * step and all(
            time == first + i * step for i, time in enumerate(self.times)
        )

    def between(self, start: Fraction, end: Fraction | None) -> range:
        """The numbers of the frames that appear at `start` or later, and before `end`."""
        first = bisect_left(self.times, start)
        last = len(self) if end is None else bisect_left(self.times, end)
        return range(first, max(first, last))

    def part(self, numbers: range, zero: Fraction) -> "Timeline":
        """The timeline of these frames (one or more, step 1); `zero` becomes time 0."""
        end = self.end if numbers.stop == len(self) else self.times[numbers.stop]
        times = tuple(time - zero for time in self.times[numbers.start : numbers.stop])
        fps = self.fps
        if not self.is_constant:
            fps = _average_rate(len(times), end - self.times[numbers.start])
        return Timeline(times=times, end=end - zero, fps=fps)

    def resampled(self, fps: Fraction) -> tuple["Timeline", list[int]]:
        """The same time at a constant rate: a timeline, and for each new frame an old number.

        New frame k appears at k / fps and shows the old frame that is on screen then. Old frames
        are repeated or left out. Time stamps may be rounded, so an old frame also counts as on
        screen if it appears within ROUNDING after k / fps.
        """
        count = max(1, math.ceil((self.end - ROUNDING) * fps))
        numbers = [max(0, bisect_right(self.times, k / fps + ROUNDING) - 1) for k in range(count)]
        return constant_timeline(count, fps), numbers


def constant_timeline(num_frames: int, fps: Fraction, start: Fraction = Fraction(0)) -> Timeline:
    """Frames that are shown for 1 / fps each, the first one at `start`."""
    times = tuple(start + i / fps for i in range(num_frames))
    return Timeline(times=times, end=start + num_frames / fps, fps=fps)


def timeline_from_stamps(
    stamps: Sequence[Fraction | None],
    *,
    last_duration: Fraction | None,
    tick: Fraction,
    rates: Iterable[Fraction | None],
    start: Fraction = Fraction(0),
) -> Timeline:
    """The timeline of frames with these time stamps (seconds, None = unknown) in a file.

    last_duration: how long the last frame is shown, None = unknown.
    tick: the smallest step of the file's clock. Time stamps are rounded to it.
    rates: frames per second as the file gives them; any of them may be wrong.
    start: when the first frame appears in the timeline.

    If the stamps fit a constant rate up to rounding, the timeline is exactly constant.
    """
    given = [Fraction(rate) for rate in rates if rate and 0 < rate <= HIGHEST_RATE]
    usual_step = 1 / given[0] if given else 1 / DEFAULT_RATE
    times = _increasing(stamps, usual_step, tick)
    num_frames, span = len(times), times[-1] - times[0]
    rate = _constant_rate(times, given, min(tick, ROUNDING))
    if rate is not None:
        return constant_timeline(num_frames, rate, start)
    average = _average_rate(num_frames - 1, span)
    times = [start + time - times[0] for time in times]
    return Timeline(times=tuple(times), end=times[-1] + (last_duration or 1 / average), fps=average)


def exact_rate(fps: float) -> Fraction:
    """The exact rate that a rounded number stands for: 29.97 is 30000/1001, 12.5 is 25/2."""
    for rate in (24, 30, 48, 60, 120):
        television = Fraction(rate * 1000, 1001)
        if abs(fps - television) < 0.005:
            return television
    return Fraction(fps).limit_denominator(1000)


def unbroken(previous: Fraction, current: Fraction, step: Fraction) -> Fraction:
    """What to add to a time stamp so that it follows the previous one; 0 if it does already."""
    if previous - LONGEST_BACK <= current <= previous + LONGEST_STEP:
        return Fraction(0)
    return previous + step - current


def _increasing(
    stamps: Sequence[Fraction | None], step: Fraction, tick: Fraction
) -> list[Fraction]:
    """The stamps as increasing times: unknown ones filled in, jumps of the clock undone."""
    times: list[Fraction] = []
    shift = Fraction(0)
    for stamp in stamps:
        if not times:
            times.append(stamp or Fraction(0))
            continue
        time = times[-1] + step if stamp is None else stamp + shift
        if stamp is not None:
            jump = unbroken(times[-1], time, step)
            shift, time = shift + jump, time + jump
        times.append(max(time, times[-1] + tick))
    return times


def _constant_rate(
    times: Sequence[Fraction], given: list[Fraction], tolerance: Fraction
) -> Fraction | None:
    """The rate that all times follow up to rounding, or None. A usual rate is preferred.

    A file that was cut without encoding may give 128000/4267 for 30.
    """
    candidates = [rate.limit_denominator(MAX_DENOMINATOR) for rate in given]
    if len(times) == 1:
        return candidates[0] if candidates else DEFAULT_RATE
    average = (len(times) - 1) / (times[-1] - times[0])
    candidates += [Fraction(round(average)), Fraction(round(average * 1001 / 1000) * 1000, 1001)]
    candidates = [rate for rate in candidates if rate > 0]
    for rate in sorted(candidates, key=_is_unusual):  # stable: the file's own come first
        if _follows(times, rate, tolerance):
            return rate
    return None


def _follows(times: Sequence[Fraction], rate: Fraction, tolerance: Fraction) -> bool:
    """Whether times and i / rate differ by the same amount for all i, up to the tolerance."""
    least = most = times[0]
    for i, time in enumerate(times):
        error = time - i / rate
        least, most = min(least, error), max(most, error)
        if most - least > tolerance:
            return False
    return True


def _average_rate(num_frames: int, length: Fraction) -> Fraction:
    rate = (num_frames / length).limit_denominator(MAX_DENOMINATOR)
    return max(rate, Fraction(1, MAX_DENOMINATOR))


def _is_unusual(rate: Fraction) -> bool:
    """Whether a rate is neither a whole number nor a television rate such as 30000/1001."""
    return not (rate.denominator == 1 or (rate.denominator == 1001 and rate.numerator % 1000 == 0))
