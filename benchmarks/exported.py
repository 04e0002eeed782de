"""ONNX Runtime against torch on the CPU: the networks that `diffusionact export --onnx` writes.

    diffusionact export --onnx exported && python -m benchmarks.exported exported [--batch 4]

The two run in turns. The processor's own time counts, which other work on the machine changes less
than the clock.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from time import process_time

import torch

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.errors import counted
from reenact.inference.export import networks_of
from reenact.memory import keep_freed_memory
from reenact.models.checkpoint import load_reenactor


def fastest(works: list[Callable[[], object]], repeats: int) -> list[float]:
    """Processor seconds of each work, the least of some turns; a first turn is not counted."""
    best = [float("inf")] * len(works)
    for turn in range(repeats + 1):
        for i, work in enumerate(works):
            start = process_time()
            work()
            if turn:
                best[i] = min(best[i], process_time() - start)
    return best


@torch.inference_mode()
def main() -> None:
    import onnxruntime

    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, default=asset_path(EMBEDDED_WEIGHTS))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    print(
        f"batch {args.batch}, {counted(args.threads, 'thread')}, float32, milliseconds per picture"
    )
    print("network                  torch     onnxruntime  speed-up")
    for network in networks_of(load_reenactor(args.weights)):
        session = onnxruntime.InferenceSession(
            str(args.folder / f"{network.name}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        inputs = [value.example(args.batch) for value in network.inputs]
        arrays = {v.name: x.numpy() for v, x in zip(network.inputs, inputs, strict=True)}
        module = network.module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def by_torch(module=module, inputs=inputs) -> object:  # type: ignore[no-untyped-def]
            return module(*inputs)

        def by_onnx(session=session, arrays=arrays) -> object:  # type: ignore[no-untyped-def]
            return session.run(None, arrays)

        ours, theirs = fastest([by_torch, by_onnx], args.repeats)
        unit = 1e3 / args.batch
        print(f"{network.name:22s} {ours * unit:8.2f} {theirs * unit:12.2f} {ours / theirs:9.2f}x")


if __name__ == "__main__":
    main()
