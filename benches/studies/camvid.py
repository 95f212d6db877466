"""UperNet on CamVid at half resolution, from scratch and from FCMAE, and PyTorch beside it: runs, table and curves.

    python benches/studies/camvid.py run --camvid CAMVID --photographs SAMPLE --runs RUNS   # what is missing
    python benches/studies/camvid.py table
    python benches/studies/camvid.py curves --out curves.svg                                # needs matplotlib

CAMVID holds images/PART/*.jpg and annotations/PART/*.png (480 x 360 px, PART is train or val), SAMPLE holds any
photographs. Needs `cargo build --release` and Pillow; PyTorch's runs need torch and transformers too. What has ended
stands in a file of results, a line for each run, and is not done again. Rates are chosen on a fifth of the training
images that is held out; the validation images are for the reported runs. Runs have one thread each, two at a time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "release" / "convnext"
RESULTS = ROOT / "docs" / "results" / "2026-11-29-camvid.jsonl"
SEEDS = [0, 1, 2]
SEARCH_SEED = 100
STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images", "photographs": "FCMAE, photographs"}
RATES = {"scratch": [5e-4, 1e-3, 2e-3], "own": [1e-3, 2e-3, 4e-3]}
LABELLED = [367, 20]
STEPS = 1200
BATCH = 8
# 64,000 images: 174 epochs of the 367 frames, 320 of the 200 photographs.
PRETRAINING = ["--steps", "2000", "--batch-size", "32", "--image-size", "128"]
SEGMENTATION = ["--task", "segment", "--ignore-index", "11", "--image-size", "128", "--batch-size", str(BATCH)]


def halved(source, target):
    """The data at 240 x 180 px: images resized with antialiasing, masks by the nearest pixel."""
    from PIL import Image

    for path in sorted(source.rglob("*.*")):
        kind, part = path.parts[-3:-1]
        out = target / kind / part / f"{path.stem}.png"
        if kind in ("images", "annotations") and not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            image = Image.open(path)
            how = Image.NEAREST if kind == "annotations" else Image.BICUBIC
            image.resize((image.width // 2, image.height // 2), how).save(out)


class Results:
    """What the runs that have ended found: of each its command, its seconds and its epochs."""

    def __init__(self, path):
        self.path, self.lock = Path(path), Lock()
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.runs = {line["run"]: line for line in map(json.loads, lines)}

    def add(self, line):
        with self.lock:
            self.runs[line["run"]] = line
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def last(self, run):
        """mIoU of the last weights, in percent."""
        found = self.runs[run]["epochs"] if run in self.runs else []
        measured = [epoch["miou"] for epoch in found if "miou" in epoch]
        return 100 * measured[-1] if measured else None

    def chosen_rate(self, start):
        start = "scratch" if start == "scratch" else "own"
        found = {rate: self.last(searching(start, rate)) for rate in RATES[start]}
        return None if None in found.values() else max(found, key=found.get)

    def of_cell(self, start, labelled):
        found = {seed: self.last(finetuning(start, labelled, seed)) for seed in SEEDS}
        return {seed: value for seed, value in found.items() if value is not None}


def searching(start, rate):
    return f"search-{start}-{rate:g}"


def finetuning(start, labelled, seed):
    return f"finetune-{start}-{labelled}-{seed}"


class Study:
    def __init__(self, arguments, results):
        self.runs, self.results = Path(arguments.runs).resolve(), results
        self.program, self.photographs = arguments.program, Path(arguments.photographs).resolve()
        self.data = self.runs / "camvid-half"
        self.runs.mkdir(parents=True, exist_ok=True)
        halved(Path(arguments.camvid).resolve(), self.data)
        self.training = self.runs / "camvid-half-train"
        for kind in ("images", "annotations"):
            link = self.training / kind
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(self.data / kind / "train")

    def shown(self, call):
        shown = " ".join(map(str, call))
        names = {self.training: "CAMVID-HALF-TRAIN", self.data: "CAMVID-HALF", self.photographs: "SAMPLE"}
        for path, name in {**names, self.runs: "RUNS", ROOT: "."}.items():
            shown = shown.replace(str(path), name)
        return shown

    def call(self, run, command, *more):
        if run in self.results.runs:
            return
        folder = self.runs / run
        arguments = [*map(str, more), "--out", str(folder)]
        shown = self.shown(["convnext", command, *arguments])
        print(shown, flush=True)
        call = [self.program, command, *arguments, "--threads", "1", "--resume", "-q"]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        wanted = {"epoch": "epoch", "train_loss": "loss", "validation_miou": "miou"}
        lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        epochs = [{wanted[key]: round(line[key], 5) for key in wanted if key in line} for line in lines]
        epochs = [epoch for epoch in epochs if "loss" in epoch]
        seconds = round(json.loads((folder / "summary.json").read_text())["seconds"])
        self.results.add({"run": run, "command": shown, "seconds": seconds, "epochs": epochs})

    def pretraining(self, start):
        images = {"own": self.data / "images" / "train", "photographs": self.photographs}[start]
        self.call(f"pretrain-{start}", "pretrain", "--data", images, "--model", "atto", *PRETRAINING)

    def init(self, start):
        if start == "scratch":
            return ["--model", "atto", "--init", "none"]
        return ["--init", self.runs / f"pretrain-{start}" / "weights.safetensors"]

    def search(self, start, rate):
        more = ["--lr", f"{rate:g}", "--steps", STEPS // 3, "--val-fraction", "0.2", "--seed", SEARCH_SEED]
        self.call(searching(start, rate), "finetune", "--data", self.training, *self.init(start), *SEGMENTATION, *more)

    def finetune(self, start, labelled, seed):
        rate = self.results.chosen_rate(start)
        more = ["--lr", f"{rate:g}", "--steps", STEPS, "--labelled-images", labelled, "--seed", seed]
        every = ["--set", f"training.validate_every={{ epochs = {3 if labelled == 367 else 60} }}"]
        run = finetuning(start, labelled, seed)
        self.call(run, "finetune", "--data", self.data, *self.init(start), *SEGMENTATION, *more, *every)

    def peer(self, seed):
        run, rate = finetuning("pytorch", 367, seed), self.results.chosen_rate("scratch")
        if run in self.results.runs:
            return
        call = [sys.executable, ROOT / "benches" / "peers" / "train_segmentation.py", "--data", self.data]
        call += ["--steps", STEPS, "--batch-size", BATCH, "--lr", f"{rate:g}", "--seed", seed, "--threads", 1]
        print(self.shown(["python", *call[1:]]), flush=True)
        lines = subprocess.run(list(map(str, call)), check=True, capture_output=True, text=True).stdout.splitlines()
        epochs = list(map(json.loads, lines))
        seconds = round(sum(epoch.pop("seconds") for epoch in epochs))
        self.results.add({"run": run, "command": self.shown(["python", *call[1:]]), "seconds": seconds, "epochs": epochs})

    def run(self, with_peer):
        with ThreadPoolExecutor(2) as two:
            list(two.map(self.pretraining, ["own", "photographs"]))
            list(two.map(lambda cell: self.search(*cell), [(s, r) for s in RATES for r in RATES[s]]))
            cells = [(start, labelled, seed) for labelled in LABELLED for seed in SEEDS for start in STARTS]
            list(two.map(lambda cell: self.finetune(*cell), cells))
            list(two.map(self.peer, SEEDS if with_peer else []))


def spread(values):
    values = list(values)
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(results):
    print(row(["start", "rate", *(f"mIoU, {labelled} images" for labelled in LABELLED)]))
    print("|---" * (2 + len(LABELLED)) + "|")
    of = {(start, labelled): results.of_cell(start, labelled) for start in [*STARTS, "pytorch"] for labelled in LABELLED}
    for start, name in {**STARTS, "pytorch": "from scratch, PyTorch"}.items():
        rate = results.chosen_rate("scratch" if start == "pytorch" else start)
        print(row([name, f"{rate:g}", *(spread(of[start, labelled].values()) for labelled in LABELLED)]))
    print("\n" + row(["difference, by seed", *(f"{labelled} images" for labelled in LABELLED)]))
    print("|---" * (1 + len(LABELLED)) + "|")
    for start in ("own", "photographs"):
        cells = []
        for labelled in LABELLED:
            one, other = of[start, labelled], of["scratch", labelled]
            cells.append(spread(one[seed] - other[seed] for seed in SEEDS if seed in one and seed in other))
        print(row([f"{STARTS[start]} - scratch", *cells]))
    print("\n" + row(["search, mIoU of the held-out fifth", *(f"{rate:g}" for rate in sorted(sum(RATES.values(), [])))]))
    for start, rates in RATES.items():
        print(row([STARTS[start], *(f"{rate:g}: {results.last(searching(start, rate)):.2f}" for rate in rates)]))


def curves(results, out):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "convnext"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(LABELLED), figsize=(10, 4), layout="constrained")
    for labelled, part in zip(LABELLED, axes):
        for start, name in {**STARTS, "pytorch": "from scratch, PyTorch"}.items():
            runs = [results.runs[run] for seed in SEEDS if (run := finetuning(start, labelled, seed)) in results.runs]
            points = [[(epoch["epoch"] + 1, 100 * epoch["miou"]) for epoch in run["epochs"] if "miou" in epoch] for run in runs]
            means = [(group[0][0], statistics.mean(value for _, value in group)) for group in zip(*points)]
            if means:
                part.plot(*zip(*means), marker=".", label=name)
        part.set(xlabel=f"epoch, {labelled} labelled images", ylabel="mIoU on the validation images, %")
        part.legend()
    figure.savefig(out, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "curves"])
    parser.add_argument("--camvid", default="camvid", help="the unpacked data")
    parser.add_argument("--photographs", default="imagenet-sample", help="images of the other pre-training")
    parser.add_argument("--runs", default="runs/camvid", help="where runs are and go")
    parser.add_argument("--results", default=RESULTS, help="what the runs that have ended found")
    parser.add_argument("--out", default="curves.svg")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--without-peer", action="store_true", help="leave PyTorch's runs for later")
    arguments = parser.parse_args()
    results = Results(arguments.results)
    if arguments.what == "run":
        os.nice(19)
        Study(arguments, results).run(not arguments.without_peer)
    elif arguments.what == "table":
        table(results)
    else:
        curves(results, arguments.out)


if __name__ == "__main__":
    main()
