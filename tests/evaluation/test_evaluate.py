"""The whole evaluation on random clips, a tiny untrained model and made-up judges."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffae import DiffAE, DiffAEConfig
from reenact import processes
from reenact.config import from_dict, load_config, to_dict
from reenact.data.clips import open_clips
from reenact.errors import UserError
from reenact.evaluation import measured as measured_module
from reenact.evaluation import run as run_module
from reenact.evaluation.clips import ClipsConfig, prepare_clips
from reenact.evaluation.measuring.judges import JudgeConfig, Judges
from reenact.evaluation.measuring.metrics import METRICS
from reenact.evaluation.methods.batches import load_batches
from reenact.evaluation.methods.methods import DEFAULT_VARIANTS, ReenactorMethod, StateCache
from reenact.evaluation.pairing.pairs import PairListConfig, list_pairs, videos_of
from reenact.evaluation.readers import FaceReading
from reenact.evaluation.run import evaluate, run_evaluation
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.subjects import Subject, check_face, folder_subjects, reenactor_subject
from reenact.face.params import FaceParams, retarget
from reenact.inference.reenactor import Reenactor, ReenactorConfig
from reenact.models.checkpoint import ReenactorWeights
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.processes import ALONE, World

SIZE = 16
CPU = torch.device("cpu")


class FlatFace:
    """A face stack whose drawing depends on the pose alone."""

    def landmark_map(self, params: FaceParams, size: int) -> Tensor:
        return params.rotation[:, :, None, None].expand(-1, -1, size, size)

    def retarget(self, source: FaceParams, target: FaceParams) -> FaceParams:
        return retarget(source, target)


class PixelReader:
    """Reads "faces" off the colours, so that equal pictures read alike; bright ones are lost."""

    def __init__(self) -> None:
        self.num_images = 0

    def read(self, images: Tensor) -> FaceReading:
        self.num_images += len(images)
        means = images.mean((2, 3))
        return FaceReading(
            found=means[:, 0] < 0.9,
            rotation=means,
            expression=images.flatten(1)[:, :52].abs(),
            gaze=means[:, :2],
            landmarks=images.flatten(1)[:, :136].view(-1, 68, 2) * 8,
            identity=torch.nn.functional.normalize(images.flatten(1), dim=1),
        )

    def params(self, images: Tensor, fallback: FaceParams) -> FaceParams:
        return replace(fallback, rotation=images.mean((2, 3)))


class PixelDistance:
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean((1, 2, 3))

    def pooled(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


@pytest.fixture
def weights() -> ReenactorWeights:
    config = DiffAEConfig(
        image_size=SIZE,
        base_channels=8,
        channel_mults=(1, 2),
        encoder_channel_mults=(1, 2),
        attention_resolutions=(),
        num_res_blocks=1,
        z_channels=16,
        time_channels=16,
    )
    diffae = DiffAE(config).eval()
    encoder = ReenactmentEncoder(DiffAE(config).encoder).eval()
    for parameter in [*diffae.parameters(), *encoder.parameters()]:
        if not parameter.any():  # a fresh U-Net ends in zeros and would ignore its code
            torch.nn.init.normal_(parameter, std=0.1)
    return ReenactorWeights(diffae=diffae, encoder=encoder, unet=None, metadata={})


@pytest.fixture
def run(tmp_path, clips_folder) -> EvalRun:
    return EvalRun(
        data=ClipsConfig(folder=clips_folder),
        output=tmp_path / "out",
        num_examples=2,
        pairs=PairListConfig(self_every=2),
        oracle_steps=2,
        reenactor=ReenactorConfig(num_steps=2, encode_steps=2, precision="fp32", batch_size=5),
    )


@pytest.fixture
def judges() -> Judges:
    return Judges(reader=PixelReader(), effnet=PixelDistance(), widths={"effnet": 3})


def evaluate_once(
    run: EvalRun,
    weights: ReenactorWeights,
    judges: Judges,
    world: World = ALONE,
    others: Sequence[Subject] = (),
) -> dict | None:
    clips = prepare_clips(run.data, SIZE)
    reenactor = Reenactor(weights, FlatFace(), run.reenactor)  # type: ignore[arg-type]
    subject = reenactor_subject(run, reenactor)
    if run.params == "tracked":
        subject = replace(subject, reader=judges.reader)  # type: ignore[arg-type]
    pairs = list_pairs(clips, run.pairs, run.data.num_clips)
    cpu = torch.device("cpu")
    report = evaluate(run, clips, pairs, [subject, *others], judges, cpu, world)
    return None if report is None else report.summary


def assert_alike(first: dict, second: dict, tolerance: float = 2e-3) -> None:
    """Equal up to what another split into batches does to float32."""
    for mode in ("self", "cross"):
        for variant, row in first[mode].items():
            for name, value in row.items():
                expected = second[mode][variant][name]
                if expected is not None:
                    expected = pytest.approx(expected, rel=tolerance, abs=tolerance)
                assert value == expected, (mode, variant, name)


def test_end_to_end(run, weights, judges):
    summary = evaluate_once(run, weights, judges)
    (folder,) = run.output.glob("ours-*")
    assert json.loads((folder / "report.json").read_text()) == summary
    assert set(summary) == {"self", "cross", "reference", "intervals", "differences", "meta"}
    for mode in ("self", "cross"):
        assert set(summary[mode]) == set(DEFAULT_VARIANTS)
        for row in summary[mode].values():
            assert set(row) == {column.name for column in METRICS}
            assert 0 < row["l1"] < 1
            assert row["found"] == 100
        assert summary[mode]["ours"]["efffid"] > 0
        assert summary[mode]["ours"]["lpips"] is None
        # The floor IS the source, so it keeps the identity perfectly.
        assert summary[mode]["copy_source"]["csim"] == pytest.approx(1)
    assert summary["meta"]["num_pairs"] == {"self": 6, "cross": 6}
    assert summary["meta"]["num_videos"] == {"self": 3, "cross": 6}
    assert summary["meta"]["config"] == to_dict(run)
    for name in ("report.md", "report.html", "report.tex", "report.csv", "videos.csv", "sheet.png"):
        assert (folder / name).stat().st_size > 0


def test_a_broken_run_goes_on_where_it_stopped(run, weights, judges, monkeypatch):
    whole = evaluate_once(replace(run, output=run.output / "whole"), weights, judges)
    whole_images = judges.reader.num_images
    judges.reader.num_images = 0

    measure, calls = measured_module.measure, []

    def breaks(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(measured_module, "measure", breaks)
    with pytest.raises(KeyboardInterrupt):
        evaluate_once(run, weights, judges)
    assert not list(run.output.glob("ours-*"))
    monkeypatch.setattr(measured_module, "measure", measure)
    resumed = evaluate_once(run, weights, judges)
    assert judges.reader.num_images == whole_images
    assert_alike(resumed, whole)

    judges.reader.num_images = 0
    assert evaluate_once(run, weights, judges) == resumed
    assert judges.reader.num_images == 0


def test_other_settings_start_anew(run, weights, judges):
    evaluate_once(run, weights, judges)
    before = judges.reader.num_images
    other = replace(run, reenactor=replace(run.reenactor, x_T="random"))
    evaluate_once(other, weights, judges)
    assert judges.reader.num_images == 2 * before
    assert len(list(run.output.glob("ours-*/report.json"))) == 2
    assert len(list(run.output.rglob("records.*.jsonl"))) == 2


def test_other_weights_under_the_same_name_start_anew(run, weights, judges):
    evaluate_once(run, weights, judges)
    before = judges.reader.num_images
    with torch.no_grad():
        next(iter(weights.diffae.unet.parameters())).add_(0.1)
    evaluate_once(run, weights, judges)
    assert judges.reader.num_images == 2 * before


def test_a_report_is_never_replaced_silently(run, weights, judges, monkeypatch, tmp_path, capsys):
    clips = prepare_clips(run.data, SIZE)
    pairs = list_pairs(clips, run.pairs, None)
    subject = reenactor_subject(run, Reenactor(weights, FlatFace(), run.reenactor))  # type: ignore[arg-type]
    folder = tmp_path / "report"

    def report(run: EvalRun, **options: object) -> Path:
        done = evaluate(run, clips, pairs, [subject], judges, CPU, folder=folder, **options)
        return done.folder

    assert report(run) == report(run) == folder
    with pytest.raises(UserError, match="holds the report of another run"):
        report(replace(run, num_examples=1))
    first = (folder / "report.json").read_text()
    # The same run with other numbers, as from another machine.
    (folder / "report.json").write_text(first.replace('"l1": 0.', '"l1": 1.'))
    assert report(run) == tmp_path / "report--2"
    assert "holds other numbers of this run" in capsys.readouterr().err
    assert (tmp_path / "report--2" / "report.json").read_text() == first
    assert report(run, overwrite=True) == folder
    assert report(replace(run, num_examples=1), overwrite=True) == folder


def test_the_pairs_with_the_largest_errors_are_shown(run, weights, judges):
    run = replace(run, num_examples=1, num_worst=2)
    evaluate_once(run, weights, judges)
    (folder,) = run.output.glob("ours-*")
    page = (folder / "report.html").read_text()
    assert page.count("<h3>Largest errors</h3>") == 2
    records = [json.loads(line) for line in next(run.output.rglob("records.0*")).open()]
    ranked = sorted(
        (r for r in records if r["mode"] == "self"),
        key=lambda r: r["variants"]["ours"]["efflpips"],
        reverse=True,
    )
    for record in ranked[:2]:
        assert f"l1 {record['variants']['ours']['l1']:.4f}" in page


def test_more_shown_pairs_leave_the_measured_results_alone(run, weights, judges):
    run = replace(run, save_predictions=True, num_worst=0, num_examples=1)
    evaluate_once(run, weights, judges)
    before = {p: p.stat().st_mtime_ns for p in run.output.rglob("predictions/*/*/*.png")}
    assert len(before) == 12
    evaluate_once(replace(run, num_worst=3), weights, judges)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_results_do_not_depend_on_the_batch_size(run, weights, judges):
    first = evaluate_once(run, weights, judges)
    one = replace(run, output=run.output / "one", reenactor=replace(run.reenactor, batch_size=1))
    second = evaluate_once(one, weights, judges)
    assert_alike(first, second)


def test_weights_without_layers_have_no_floor_of_moved_layers(run, weights, judges, capsys):
    summary = evaluate_once(replace(run, variants=["ours", "warp_only"]), weights, judges)
    assert list(summary["self"]) == ["ours"]
    assert capsys.readouterr().err.count("row warp_only: left out") == 1


def test_tracked_params_drive_the_reenactor(run, weights, judges):
    torch.nn.init.normal_(weights.encoder.zero_conv.weight)
    truth = evaluate_once(run, weights, judges)
    tracked = evaluate_once(replace(run, params="tracked"), weights, judges)
    assert tracked["self"]["ours"]["l1"] != truth["self"]["ours"]["l1"]
    assert tracked["self"]["copy_source"] == truth["self"]["copy_source"]


def test_with_the_source_as_the_truth_an_untouched_encoder_reaches_the_oracle(run, weights):
    """E_r with a zero map equals E_sem, so both decode the same code from the same x_T."""
    weights.encoder.encoder.load_state_dict(weights.diffae.encoder.state_dict())
    for parameter in weights.encoder.zero_conv.parameters():
        torch.nn.init.zeros_(parameter)
    clips = open_clips(run.data.folder, "test")
    videos = videos_of(list_pairs(clips, run.pairs)[:3])
    batch = next(load_batches(videos, clips.by_name, 3))
    reenactor = Reenactor(weights, FlatFace(), run.reenactor)  # type: ignore[arg-type]
    method = ReenactorMethod(reenactor, DEFAULT_VARIANTS, run.oracle_steps)
    images = method.render(replace(batch, reference=batch.source))
    # They invert batches of different sizes, and an untrained inversion enlarges rounding.
    torch.testing.assert_close(images["ours"], images["oracle"], atol=1e-3, rtol=0)
    assert (images["ours"] - images["copy_source"]).abs().max() > 0.01


def test_sources_shared_by_batches_are_inverted_once(run, weights, monkeypatch):
    clips = open_clips(run.data.folder, "test")
    pairs = list_pairs(clips, run.pairs)
    reenactor = Reenactor(weights, FlatFace(), run.reenactor)  # type: ignore[arg-type]
    inverted, set_source = [], reenactor.set_source

    def counting(image, params):
        inverted.append(len(image))
        return set_source(image, params)

    monkeypatch.setattr(reenactor, "set_source", counting)
    cache = StateCache(reenactor)
    for batch in load_batches(videos_of(pairs), clips.by_name, 3):
        state = cache.rows(batch)
        torch.testing.assert_close(state.image, batch.source)
    assert sum(inverted) == len({pair.source_clip for pair in pairs})


def test_cross_pairs_without_a_truth_are_compared_with_the_target(run, weights, judges):
    config = PairListConfig(num_self=0, cross="drawn", num_cross_videos=2, num_large_pose=2)
    summary = evaluate_once(
        replace(run, pairs=replace(config, large_pose_deg=1.0)), weights, judges
    )
    assert {"cross", "large_pose"} <= set(summary)
    assert "self" not in summary
    row = summary["cross"]["ours"]
    for name in ("l1", "psnr", "ssim", "efflpips", "nme", "efffid", "effvd"):
        assert row[name] is None, name
        assert summary["large_pose"]["ours"][name] is not None, name
    for name in ("csim", "apd", "aed", "gaze_error", "yaw_correlation"):
        assert row[name] is not None, name
    assert summary["reference"]["cross"]["csim"] is None
    assert summary["reference"]["cross"]["target_csim"] is not None
    # The target against itself would be perfect; the result is not.
    assert row["apd"] > 0
    assert summary["cross"]["copy_source"]["csim"] == pytest.approx(1)


def test_processes_share_the_videos_and_the_first_one_reports(run, weights, judges, monkeypatch):
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.01)
    alone = evaluate_once(replace(run, output=run.output / "alone"), weights, judges)
    worlds = [World(rank=rank, size=3) for rank in range(3)]
    for world in worlds[1:]:
        assert evaluate_once(run, weights, judges, world) is None
        assert not list(run.output.glob("ours-*"))
    together = evaluate_once(run, weights, judges, worlds[0])
    assert_alike(together, alone)
    assert len(list(run.output.glob("measured/*/records.*.jsonl"))) == 3
    # Another number of processes goes on with what is there.
    judges.reader.num_images = 0
    assert evaluate_once(run, weights, judges) == together
    assert judges.reader.num_images == 0


def test_other_methods_stand_in_the_same_tables(run, weights, judges, monkeypatch, capsys):
    run = replace(run, save_predictions=True)
    first = evaluate_once(run, weights, judges)
    (saved,) = run.output.rglob("predictions")
    monkeypatch.setattr(run_module, "load_judges", lambda config, device: judges)
    again = run.with_predictions(f"same={saved}").without_ours()
    with pytest.raises(UserError, match="the config has no publish_to"):
        run_module.run_evaluation(again, "cpu", publish=True)
    numbers = run.output / "docs" / "numbers.json"
    report = run_module.run_evaluation(replace(again, publish_to=numbers), "cpu")
    assert not numbers.exists()
    report = run_module.run_evaluation(replace(again, publish_to=numbers), "cpu", publish=True)
    second = report.summary
    assert json.loads(numbers.read_text()) == second
    assert report.folder.parent == run.output
    assert report.folder.name.startswith("same-")
    assert second["meta"]["label"] == "same"
    assert second["meta"]["weights_sha256"] is None
    for mode in ("self", "cross"):
        assert list(second[mode]) == ["same", "copy_source"]
        # Another grouping into batches changes the last digits of float32.
        for name, value in second[mode]["same"].items():
            expected = first[mode]["ours"][name]
            assert value == (expected and pytest.approx(expected, rel=1e-4, abs=1e-4)), name

    (video,) = (saved / "self").glob("test_000001_0__*")
    for picture in video.iterdir():
        picture.unlink()
    video.rmdir()
    clips = prepare_clips(run.data, SIZE)
    pairs = list_pairs(clips, run.pairs, None)
    others, left = folder_subjects(run.with_predictions(f"same={saved}"), clips, pairs, CPU)
    assert "1 of 9 predictions are missing: self/test_000001_0" in capsys.readouterr().err
    assert len(left) == len(pairs) - 2
    monkeypatch.setattr(f"{__name__}.list_pairs", lambda *arguments: left)
    both = evaluate_once(replace(run, output=run.output / "both"), weights, judges, others=others)
    assert list(both["self"]) == ["ours", "same", "copy_source", "oracle"]
    assert both["meta"]["num_pairs"] == {"self": 4, "cross": 6}
    assert both["self"]["same"]["l1"] == pytest.approx(both["self"]["ours"]["l1"], abs=1e-4)


def test_fvd_reads_whole_videos_back(run, weights, judges):
    run = replace(run, pairs=PairListConfig(), judges=JudgeConfig(fvd_frames=10))
    seen = []

    def i3d(videos: Tensor) -> Tensor:
        seen.append(videos.shape)
        return videos.mean((2, 4))[:, :, :2].flatten(1)

    judges = replace(judges, i3d=i3d)
    # Clips have 6 frames, so there is no window of ten.
    assert (
        evaluate_once(replace(run, save_predictions=True), weights, judges)["self"]["ours"]["fvd"]
        is None
    )
    object.__setattr__(run.judges, "fvd_frames", 2)
    summary = evaluate_once(replace(run, save_predictions=True), weights, judges)
    # 5 targets a clip are two windows, of the result and of the truth.
    assert seen == [(1, 3, 2, SIZE, SIZE)] * (3 * 2 * 2)
    assert summary["self"]["ours"]["fvd"] > 0
    assert summary["self"]["copy_source"]["fvd"] is None


def test_parameters_of_the_other_face_stack_are_refused(run, monkeypatch):
    clips = replace(open_clips(run.data.folder, "test"), face="released")
    with pytest.raises(UserError, match="are the released face stack's, the weights need the open"):
        check_face(run, clips)
    check_face(replace(run, params="tracked"), clips)


def test_clips_of_another_size_are_a_user_error(run):
    with pytest.raises(UserError, match="clips of 16 pixels, but the weights make 64"):
        prepare_clips(run.data, 64)


def test_output_in_the_way_of_a_file_is_a_user_error(run, weights, judges, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another output"):
        evaluate_once(replace(run, output=tmp_path / "file"), weights, judges)


def test_missing_weights_are_a_user_error(run, tmp_path):
    with pytest.raises(UserError, match=r"weights: .*none.safetensors: no such file; train it"):
        run_module.run_evaluation(replace(run, weights=tmp_path / "none.safetensors"), "cpu")


def test_shipped_config_loads_and_takes_overrides(request):
    path = request.config.rootpath / "configs" / "embedded" / "eval.yaml"
    run = load_config(path, EvalRun, ["reenactor.x_T=random", "pairs.num_self=3"])
    assert run.reenactor.x_T == "random"
    assert run.data.synthetic is not None
    assert run.pairs.num_self == 3
    with pytest.raises(UserError, match="self_every"):
        load_config(path, EvalRun, ["pairs.self_every=0"])
    with pytest.raises(UserError, match="did you mean"):
        load_config(path, EvalRun, ["pairs.num_sel=0"])


def test_the_voxceleb_config_loads(request):
    path = request.config.rootpath / "configs" / "voxceleb256" / "eval.yaml"
    run = load_config(path, EvalRun, ["judges.lpips=alex", "variants=[ours]"])
    assert run.data.synthetic is None
    assert run.pairs.list == "voxceleb1"
    named = run.with_predictions("lia=results/x").with_predictions("results/fomm")
    assert named.predictions == {"lia": Path("results/x"), "fomm": Path("results/fomm")}
    assert named.without_ours().our_rows == ()
    with pytest.raises(UserError, match="two methods of the name lia"):
        named.with_predictions("lia=other")
    with pytest.raises(UserError, match="'oracle' cannot be the name"):
        run.with_predictions("oracle=results/x")
    with pytest.raises(UserError, match="give --predictions NAME=DIR too"):
        run.without_ours()
    with pytest.raises(UserError, match="must hold 'ours'"):
        load_config(path, EvalRun, ["variants=[oracle]"])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"predictions": {"FOMM": Path("nowhere")}}, "nowhere: no such folder of predictions"),
        ({"predictions": {"FOMM": Path()}}, "the folder of predictions is empty"),
        ({"pairs": {"cross": "listed", "list": "no.csv"}}, "no.csv: no such file"),
    ],
)
def test_missing_inputs_are_refused_before_clips_are_made(changes, line, tmp_path, monkeypatch):
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    data = {"folder": str(tmp_path / "clips"), "num_clips": 1, "synthetic": {}}
    changes = {k: {n: str(p) for n, p in v.items()} for k, v in changes.items()}
    run = from_dict(EvalRun, {"data": data, "output": str(tmp_path / "out"), **changes})
    with pytest.raises(UserError, match=line):
        run_evaluation(run, "cpu")
    assert not (tmp_path / "clips").exists()
