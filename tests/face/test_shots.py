import numpy as np

from reenact.face.shots import Change, CutDetector, drivers, hold_last, jumped, runs


def scene(seed: int) -> np.ndarray:
    """A picture of large blocks, 96 x 128."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 200, (6, 8, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))


def changes(frames: list[np.ndarray]) -> list[Change]:
    detector = CutDetector()
    return [detector.update(frame) for frame in frames]


def test_another_scene_is_a_certain_cut():
    frames = [scene(0), scene(0), scene(1), scene(1)]
    assert changes(frames) == [Change.NONE, Change.NONE, Change.CERTAIN, Change.NONE]


def test_brightness_noise_and_slow_pans_are_no_cuts():
    rng = np.random.default_rng(0)
    still = scene(0)
    noisy = (still + rng.integers(-8, 9, still.shape)).clip(0, 255).astype(np.uint8)
    lit = (still // 2 + 60).astype(np.uint8)
    assert changes([still, noisy, lit, np.roll(lit, 3, axis=1)]) == [Change.NONE] * 4


def test_flat_pictures_are_equal_and_differ_from_all_others():
    grey = np.full((40, 60, 3), 90, np.uint8)
    assert changes([grey, grey, grey + 50, scene(0)[:40, :60]])[:3] == [Change.NONE] * 3
    assert changes([grey, scene(0)[:40, :60]])[1] == Change.CERTAIN


def test_an_object_that_appears_in_half_of_the_picture_is_at_most_possible():
    half = scene(0)
    half[:, :64] = 128
    assert changes([scene(0), half])[1] != Change.CERTAIN


def test_a_head_moves_less_than_half_its_square():
    before = np.array([100.0, 100.0, 80.0])
    assert not jumped(before, np.array([130.0, 100.0, 90.0]))
    assert jumped(before, np.array([145.0, 100.0, 80.0]))
    assert jumped(before, np.array([100.0, 100.0, 40.0]))


def test_runs_are_the_stretches_of_equal_labels():
    assert [(r.start, r.stop) for r in runs(np.array([0, 0, 1, 0]))] == [(0, 2), (2, 3), (3, 4)]
    assert [(r.start, r.stop) for r in runs(np.array([[0, 1], [0, 1], [0, 2]]))] == [(0, 2), (2, 3)]
    assert list(runs(np.zeros(0))) == []


def test_gaps_take_the_last_found_frame():
    found = np.array([0, 0, 1, 1, 0, 0, 1, 0], bool)
    assert hold_last(found).tolist() == [2, 2, 2, 3, 3, 3, 6, 6]


def test_the_first_person_drives_as_long_as_they_come_back():
    person = np.array([-1, 0, 0, 1, 1, 0, 2, 2])
    same_shot = np.zeros(8, int)
    assert drivers(person, same_shot).tolist() == [0, 1, 1, 0, 0, 1, 0, 0]
    one_cut = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    assert drivers(person, one_cut).tolist() == [0, 1, 1, 0, 0, 1, 1, 1]


def test_of_several_newcomers_the_one_seen_most_takes_over():
    person = np.array([0, 1, 2, 2, -1, 3])
    shot = np.array([0, 1, 2, 2, 2, 3])
    assert drivers(person, shot).tolist() == [1, 0, 1, 1, 0, 0]
    assert not drivers(np.array([-1, -1]), np.array([0, 1])).any()
