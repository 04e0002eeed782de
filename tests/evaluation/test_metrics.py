from pathlib import Path

from reenact.evaluation.measuring.judges import JudgeConfig
from reenact.evaluation.measuring.metrics import METRICS


def test_every_metric_is_complete_and_every_network_has_a_name():
    everything = JudgeConfig(inception=Path("a.pt"), i3d=Path("b.pt"))
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert (metric.pair is None) != (metric.pooled is None), metric.name
        assert metric.network in {"", *everything.networks}, metric.name
        assert metric.note.endswith("."), metric.name
    assert "lpips" not in JudgeConfig(lpips=None).networks


def test_the_documentation_names_every_metric():
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    for metric in METRICS:
        assert f"`{metric.name}`{metric.direction}" in page, metric.name
