import numpy as np
import pytest

from reenact.evaluation.measuring.intervals import (
    LEAST_PEOPLE,
    bootstrap,
    difference_intervals,
    mean_intervals,
)


def record(person: str, ours: float | None, other: float | None, mode: str = "self") -> dict:
    return {
        "mode": mode,
        "person": person,
        "variants": {"ours": {"l1": ours}, "fomm": {"l1": other}},
    }


def test_the_interval_of_independent_people_is_the_usual_one():
    rng = np.random.default_rng(1)
    values = rng.normal(3.0, 2.0, 400)
    mean, low, high = bootstrap(values.tolist(), [f"id{i}" for i in range(400)])
    assert mean == pytest.approx(values.mean(), abs=1e-6)
    half = 1.96 * values.std() / 400**0.5
    assert high - mean == pytest.approx(half, rel=0.1)
    assert mean - low == pytest.approx(half, rel=0.1)


def test_more_frames_of_the_same_people_do_not_narrow_the_interval():
    values = np.random.default_rng(2).normal(size=30).tolist()
    people = [f"id{i}" for i in range(30)]
    assert bootstrap(values * 50, people * 50) == pytest.approx(bootstrap(values, people), abs=1e-6)


def test_a_shift_and_equal_values():
    values, people = [0.1 * i for i in range(12)], [str(i) for i in range(12)]
    mean, low, high = bootstrap(values, people)
    assert bootstrap([v + 5 for v in values], people) == pytest.approx(
        [mean + 5, low + 5, high + 5]
    )
    assert bootstrap([0.25] * 12, people) == [0.25, 0.25, 0.25]


def test_few_people_have_no_interval_and_unknown_values_are_left_out():
    people = [str(i) for i in range(LEAST_PEOPLE)]
    assert bootstrap([1.0] * LEAST_PEOPLE, people) is not None
    assert bootstrap([1.0] * (LEAST_PEOPLE - 1) + [None], people) is None
    assert bootstrap([1.0, 3.0, None] * 5, [str(i) for i in range(15)])[0] == 2.0


def test_differences_are_taken_pair_by_pair():
    # The two methods differ far less than the pairs do.
    records = [record(f"id{i}", float(i), i + 0.01 + 0.001 * (i % 2)) for i in range(40)]
    records.append(record("id9", None, 1000.0))
    mean, low, high = difference_intervals(records, "ours")["self"]["fomm"]["l1"]
    assert mean == pytest.approx(0.0105)
    assert 0.01 < low < mean < high < 0.011
    assert difference_intervals(records, "ours")["self"].keys() == {"fomm"}
    assert mean_intervals(records)["self"]["ours"]["l1"][0] == pytest.approx(19.5)
    assert mean_intervals(records) == mean_intervals(records)
