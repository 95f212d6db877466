"""Times this program against a peer in alternating pairs, because the machine drifts; prints the ratio.

    peers/bin/python benches/peers/compare.py --pairs 7 --mode infer --model atto --batch-size 8 --peer openvino
    peers/bin/python benches/peers/compare.py --pairs 7 --mode pretrain --model atto --batch-size 16 --peer torch

Needs `cargo build --release` before, and the packages that infer.py and train.py name. Prints a row of a
table: images a second of both (medians), the ratio with its quartiles, the share of the processor's peak.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target" / "release" / "convnext"


def last_json(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def ours(arguments, steps):
    command = [PROGRAM, "bench", "--mode", arguments.mode, "--model", arguments.model, "--json"]
    command += ["--batch-size", str(arguments.batch_size), "--steps", str(steps), "--threads", str(arguments.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peer(arguments):
    shared = ["--model", arguments.model, "--batch-size", str(arguments.batch_size), "--threads", str(arguments.threads)]
    if arguments.mode == "infer":
        return last_json([sys.executable, HERE / "infer.py", "--peer", arguments.peer, *shared])
    more = ["--compile"] if arguments.peer == "torch-compile" else []
    return last_json([sys.executable, HERE / "train.py", "--mode", arguments.mode, *shared, *more])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["infer", "train", "pretrain"], required=True)
    parser.add_argument("--model", default="atto")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--peer", default="torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    # As many steps as take three seconds.
    steps = max(5, round(3 / ours(arguments, 3)["step_seconds"][2]))
    pairs = [(ours(arguments, steps), peer(arguments)) for _ in range(arguments.pairs)]
    ratios = sorted(mine["images_per_second"] / other["images_per_second"] for mine, other in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    speed = [statistics.median(run["images_per_second"] for run in side) for side in zip(*pairs)]
    share = statistics.median(mine["share_of_peak"] for mine, _ in pairs)
    name = f"{arguments.mode}, {arguments.model}, batch {arguments.batch_size}, {arguments.peer}"
    print(f"| {name} | {speed[0]:.1f} | {speed[1]:.1f} | {middle:.2f} ({low:.2f} to {high:.2f}) | {100 * share:.0f} % |")


if __name__ == "__main__":
    main()
