"""Times this program against peers in alternating pairs, because the machine drifts; prints ratios.

    peers/bin/python benches/peers/compare.py --mode infer --model atto --batch-size 8 --peer openvino
    peers/bin/python benches/peers/compare.py --table --precision bf16
    peers/bin/python benches/peers/compare.py --mode segment-train --model atto --peer torch
    peers/bin/python benches/peers/compare.py --mode detect-train --model atto --batch-size 2 --peer torchvision

Needs `cargo build --release` before, and the packages that infer.py, train.py, segment.py and detect.py name; torch-compile needs
a C++ compiler as well. Prints rows of a table: images a second of both (medians), the ratio with its quartiles,
the share of the processor's peak, and the peak memory of both in MiB as far as the peer tells it. With --table these are the rows that are reported in docs/results.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

# Mode, model, batch, peer and pairs: first what is promised, then what is worth knowing. Images are of 224 pixels, and of
# 256 for segmentation networks, whose decode head has 128 channels. Of detectors they are of 512 pixels; the heads have 64
# channels, the box head 256 features, and they learn from 64 regions of an image. WIDE are the widths of the paper.
TABLE = [
    ("infer", "atto", 8, "openvino", 7),
    ("infer", "tiny", 8, "openvino", 7),
    ("infer", "atto", 1, "openvino", 7),
    ("infer", "tiny", 1, "openvino", 7),
    ("pretrain", "atto", 16, "torch", 7),
    ("pretrain", "tiny", 8, "torch", 7),
    ("train", "atto", 8, "torch", 7),
    ("segment-train", "atto", 8, "torch", 7),
    ("segment-infer", "atto", 8, "openvino", 7),
    ("segment-infer", "atto", 1, "openvino", 7),
    ("detect-train", "atto", 2, "torchvision", 7),
    ("detect-infer", "atto", 1, "torchvision", 7),
    ("detect-train-wide", "atto", 2, "torchvision", 3),
    ("detect-infer-wide", "atto", 1, "torchvision", 3),
    ("infer", "base", 8, "openvino", 3),
    ("infer", "atto", 8, "onnxruntime", 3),
    ("infer", "tiny", 8, "onnxruntime", 3),
    ("infer", "atto", 8, "torch", 3),
    ("infer", "atto", 8, "torch-compile", 3),
    ("infer", "tiny", 8, "torch", 3),
    ("pretrain", "atto", 16, "torch-compile", 3),
    ("train", "atto", 8, "torch-compile", 3),
    ("pretrain", "base", 4, "torch", 3),
]

WIDE = "-wide"
MODES = ["infer", "train", "pretrain", "segment-infer", "segment-train", "detect-infer", "detect-train"]
MODES += ["detect-infer" + WIDE, "detect-train" + WIDE]

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target" / "release" / "convnext"


def last_json(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def dense_task(mode):
    """The mode's own name, sizes and widths of a dense task, for either side."""
    name = mode.removesuffix(WIDE)
    flags = ["--mode", name]
    if name.startswith("segment"):
        return [*flags, "--image-size", "256", "--head-width", "128"]
    if name.startswith("detect"):
        head, box, regions = ("256", "1024", "512") if mode.endswith(WIDE) else ("64", "256", "64")
        flags += ["--image-size", "512", "--head-width", head, "--box-width", box]
        return flags + (["--regions", regions] if name == "detect-train" else [])
    return flags


def ours(mode, model, batch_size, steps, threads, precision):
    command = [PROGRAM, "bench", *dense_task(mode), "--model", model, "--batch-size", str(batch_size), "--json"]
    command += ["--steps", str(steps), "--threads", str(threads), "--precision", precision]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def other(mode, model, batch_size, peer, threads, precision):
    shared = ["--model", model, "--batch-size", str(batch_size), "--threads", str(threads)]
    if mode.startswith("detect"):
        return last_json([sys.executable, HERE / "detect.py", *shared, *dense_task(mode)])
    shared += ["--precision", precision]
    if mode.startswith("segment"):
        return last_json([sys.executable, HERE / "segment.py", "--peer", peer, *shared, *dense_task(mode)])
    if mode == "infer":
        return last_json([sys.executable, HERE / "infer.py", "--peer", peer, *shared])
    more = ["--compile"] if peer == "torch-compile" else []
    return last_json([sys.executable, HERE / "train.py", "--mode", mode, *shared, *more])


def compare(mode, model, batch_size, peer, pairs, machine):
    # As many steps as take three seconds.
    steps = max(5, round(3 / ours(mode, model, batch_size, 3, *machine)["step_seconds"][2]))
    found = [
        (ours(mode, model, batch_size, steps, *machine), other(mode, model, batch_size, peer, *machine))
        for _ in range(pairs)
    ]
    ratios = sorted(mine["images_per_second"] / its["images_per_second"] for mine, its in found)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if pairs > 1 else ratios * 3
    speed = [statistics.median(run["images_per_second"] for run in side) for side in zip(*found)]
    shares = [mine["share_of_peak"] for mine, _ in found]
    share = "" if None in shares else f"{100 * statistics.median(shares):.0f} %"
    name = f"{mode}, {model}, batch {batch_size}, {peer}"
    peaks = [statistics.median(run.get("peak_memory_bytes") or 0 for run in side) for side in zip(*found)]
    memory = f"{peaks[0] / 2**20:.0f} / {peaks[1] / 2**20:.0f}" if peaks[1] else ""
    ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    print(f"| {name} | {speed[0]:.1f} | {speed[1]:.1f} | {ratio} | {share} | {memory} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="all rows that are reported")
    parser.add_argument("--mode", choices=MODES, default="infer")
    parser.add_argument("--model", default="atto")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--peer", default="torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    one = (arguments.mode, arguments.model, arguments.batch_size, arguments.peer, arguments.pairs)
    for row in TABLE if arguments.table else [one]:
        # Without bf16 on CPUs.
        if arguments.precision == "f32" or row[3] not in ("onnxruntime", "torchvision"):
            compare(*row, (arguments.threads, arguments.precision))


if __name__ == "__main__":
    main()
