import numpy as np
import pytest
import torch

from reenact.evaluation.measuring.frechet import frechet_distance
from reenact.evaluation.measuring.metrics import METRICS, PAIR_METRICS
from reenact.evaluation.measuring.pooled import TRACES
from reenact.evaluation.measuring.summary import summarise


def reading(value: float, found: bool = True) -> dict:
    pictures = ("l1", "psnr", "ssim", "efflpips")
    faces = [m.name for m in PAIR_METRICS if "face" in m.needs] + list(TRACES)
    return {
        **dict.fromkeys(pictures, value),
        **dict.fromkeys(faces, value if found else None),
        "found": found,
    }


def record(mode: str, i: int, ours: dict, copy: float = 0.4, oracle: float = 0.1) -> dict:
    return {
        "key": f"{mode}/{i}",
        "mode": mode,
        "video": f"{mode}/{i // 3}",
        "has_truth": True,
        "yaw_change_deg": 10.0 * i,
        "target_csim": 0.3,
        "reference": {"found": True, "csim": 0.9, **dict.fromkeys(TRACES, float(i * i))},
        "variants": {"ours": ours, "copy_source": reading(copy), "oracle": reading(oracle)},
    }


def test_means_found_rate_and_correlations():
    records = [record("cross", i, reading(float(i * i), found=i != 3)) for i in range(4)]
    summary = summarise(records)
    ours = summary["cross"]["ours"]
    assert set(ours) == {metric.name for metric in METRICS}
    assert ours["l1"] == pytest.approx(14 / 4)  # pictures count with or without a face
    assert ours["apd"] == pytest.approx(5 / 3)  # the one without a face is left out here ...
    assert ours["found"] == pytest.approx(75)  # ... and shows up here
    assert ours["yaw_correlation"] == pytest.approx(1)
    assert summary["cross"]["copy_source"]["yaw_correlation"] is None  # constant
    assert summary["reference"]["cross"] == {"csim": 0.9, "target_csim": 0.3, "found": 100.0}
    assert "self" not in summary


def test_no_face_at_all_gives_none_not_a_crash():
    summary = summarise([record("self", 1, reading(0.2, found=False))])
    ours = summary["self"]["ours"]
    assert ours["found"] == 0
    assert ours["csim"] is None
    assert ours["yaw_correlation"] is None


def test_a_method_without_an_oracle_has_no_such_row():
    one = record("self", 1, reading(0.2))
    del one["variants"]["oracle"]
    assert list(summarise([one])["self"]) == ["ours", "copy_source"]


def test_set_distances_take_the_pairs_with_a_truth_and_whole_videos():
    records = [record("self", i, reading(0.1)) for i in range(12)]  # four videos of three frames
    for i in (1, 4):
        records[i]["has_truth"] = False
    stored = {name: np.random.default_rng(7).normal(size=(12, 4)) for name in ("ours", "reference")}
    stored["ours"] = stored["ours"] * 2 + 1

    def features(part, picture, network):
        if network != "effnet":
            return None
        return stored[picture][[records.index(one) for one in part]]

    for name in ("copy_source", "oracle"):
        stored[name] = stored["reference"]
    distances = summarise(records, features)["self"]["ours"]
    kept = [0, 2, 3, 5, *range(6, 12)]
    a, b = (torch.from_numpy(stored[name]) for name in ("ours", "reference"))
    assert distances["efffid"] == pytest.approx(frechet_distance(a[kept], b[kept]), abs=1e-5)

    def clip(x, rows):
        return torch.cat([x[rows].mean(0), x[rows].diff(dim=0).abs().mean(0)])

    rows = [[0, 2], [3, 5], [6, 7, 8], [9, 10, 11]]
    expected = frechet_distance(*(torch.stack([clip(x, r) for r in rows]) for x in (a, b)))
    assert distances["effvd"] == pytest.approx(expected, abs=1e-5)
    assert distances["fid"] is None
    assert summarise(records[1:2], features)["self"]["ours"]["efffid"] is None
