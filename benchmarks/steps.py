"""How many sampler steps a picture needs: LPIPS and levels to the result of many DDIM steps.

    python -m benchmarks.steps                       # the shipped autoencoder, the demo's faces
    python -m benchmarks.steps --weights weights/diffusionact_model.pt
    python -m benchmarks.steps --published --faces 1 --encode-steps 10   # weights by a rule

Each face is encoded, inverted once, and decoded again with every sampler and number of steps.
"""

import argparse
from pathlib import Path

import av
import torch
from torch import Tensor

from benchmarks.filled import published_model
from diffae import SAMPLERS
from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import autocast, compute_dtype, pick_device
from reenact.face.factory import FaceConfig, make_face_stack
from reenact.media.images import image_from_frame
from reenact.memory import keep_freed_memory
from reenact.models.checkpoint import load_reenactor
from reenact.models.lpips_net import LpipsNet


def demo_crops(count: int, size: int) -> Tensor:
    """Face crops of the demo video, spread over it: (N, 3, size, size) in [-1, 1]."""
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    stack = make_face_stack(FaceConfig(), torch.device("cpu"))
    faces = [stack.source_face(f, size) for f in frames[:: max(1, len(frames) // count)][:count]]
    return torch.cat([image_from_frame(face.crop_frame) for face in faces if face is not None])


@torch.inference_mode()
def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=asset_path(EMBEDDED_WEIGHTS))
    parser.add_argument("--published", action="store_true", help="the published architecture")
    parser.add_argument("--faces", type=int, default=4)
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 6, 8, 10, 20])
    parser.add_argument("--reference", type=int, default=20, help="DDIM steps of the reference")
    parser.add_argument("--encode-steps", type=int, default=50)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    dtype = compute_dtype("auto", device)
    model = published_model() if args.published else load_reenactor(args.weights).diffae
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = model.config.image_size
    images = demo_crops(args.faces, size).to(device)
    lpips = LpipsNet("alex").to(device)
    with autocast(dtype, device):
        z_sem = model.encode_semantic(images)
        x_T = model.encode_stochastic(images, z_sem, args.encode_steps)
        reference = model.decode(x_T, z_sem, args.reference, "ddim")
    print(f"{len(images)} faces of {size} px, {dtype}, {args.encode_steps} encoding steps")
    print("                           to the reference   to the face")
    print("sampler         steps      LPIPS  levels      LPIPS  levels")

    def show(sampler: str, steps: int, result: Tensor) -> None:
        columns = []
        for other in (reference, images):
            distance = float(lpips.distance(result.float(), other.float()).mean())
            levels = float((result - other).abs().mean()) * 127.5
            columns.append(f"{distance:10.4f}  {levels:6.2f}")
        print(f"{sampler:16s} {steps:4d} {' '.join(columns)}", flush=True)

    for sampler in SAMPLERS:
        for steps in args.steps:
            with autocast(dtype, device):
                result = model.decode(x_T, z_sem, steps, sampler)
            show(sampler, steps, result)


if __name__ == "__main__":
    main()
