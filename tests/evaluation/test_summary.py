import pytest

from reenact.evaluation.summary import (
    COLUMNS,
    FACE_COLUMNS,
    IMAGE_COLUMNS,
    TRACES,
    VARIANTS,
    RecordFile,
    summarise,
)


def reading(value: float, found: bool = True) -> dict:
    faces = [column.name for column in FACE_COLUMNS] + list(TRACES)
    return {
        **{column.name: value for column in IMAGE_COLUMNS},
        **dict.fromkeys(faces, value if found else None),
        "found": found,
    }


def record(mode: str, i: int, ours: dict, copy: float = 0.4, oracle: float = 0.1) -> dict:
    return {
        "key": f"{mode}/{i}",
        "mode": mode,
        "yaw_change_deg": 10.0 * i,
        "target_csim": 0.3,
        "reference": {"found": True, "csim": 0.9, **dict.fromkeys(TRACES, float(i * i))},
        "variants": {"ours": ours, "copy_source": reading(copy), "oracle": reading(oracle)},
    }


def test_means_found_rate_and_correlations():
    records = [record("cross", i, reading(float(i * i), found=i != 3)) for i in range(4)]
    summary = summarise(records)
    ours = summary["cross"]["ours"]
    assert set(ours) == {column.name for column in COLUMNS}
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


def test_gap_closure_per_mode():
    records = [record("self", 1, reading(0.25)), record("cross", 1, reading(0.1))]
    summary = summarise(records)
    assert summary["gap_closure"]["self"]["l1"] == pytest.approx(0.5)
    assert summary["gap_closure"]["cross"]["efflpips"] == pytest.approx(1)
    assert set(summary["self"]) == set(VARIANTS)


def test_records_survive_a_line_cut_short(tmp_path):
    file = RecordFile(tmp_path / "records.jsonl")
    assert file.read() == {}
    records = [record("self", i, reading(0.1)) for i in range(3)]
    file.append(records[:2])
    with file.path.open("a") as stream:
        stream.write('{"key": "self/2", "mo')
    assert file.read() == {r["key"]: r for r in records[:2]}
    file.append(records[2:])
    assert file.read() == {r["key"]: r for r in records}
