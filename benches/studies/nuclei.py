"""Mask R-CNN on nuclei, from scratch and from FCMAE on its training images, and torchvision beside it: runs, table, curves.

    python benches/studies/nuclei.py run --nuclei NUCLEI --runs RUNS   # what is missing
    python benches/studies/nuclei.py table
    python benches/studies/nuclei.py curves --out curves.svg           # needs matplotlib

NUCLEI holds PART/*.png and annotations/instances_PART.json (256 px, PART is train or val). Needs `cargo build --release`;
torchvision's runs need torch, torchvision, timm and pycocotools too. What has ended stands in a file of results, a line for
each run, and is not done again. Rates are chosen on a fifth of the training images that is held out; the validation images
are for the reported runs. Runs have one thread each, two at a time.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import PRETRAINING, ROOT, Results, Runs, add_arguments, draw_curves, print_row, spread

RESULTS = ROOT / "docs" / "results" / "2026-11-29-nuclei.jsonl"
SEEDS = [0, 1, 2]
SEARCH_SEED = 100
STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images"}
NAMES = {**STARTS, "torchvision": "from scratch, torchvision"}
RATES = {"scratch": [5e-4, 1e-3, 2e-3], "own": [5e-4, 1e-3, 2e-3]}
LABELLED = [160, 20]
BATCH = 4
# 3,000 images.
STEPS = 750
METRICS = {"box": "box AP", "mask": "mask AP"}
CHOSEN_BY = "mask"
WIDTHS = ["--head-width", "64", "--box-width", "256", "--regions", "64"]
DETECTION = ["--task", "detect", "--image-size", "256", "--batch-size", str(BATCH), *WIDTHS]


def training_part(source, target):
    """The training images as a data set without validation images."""
    annotations = target / "annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    for link, place in [(target / "train", "train"), (annotations / "instances_train.json", "annotations/instances_train.json")]:
        if not link.exists():
            link.symlink_to(source / place)


def searching(start):
    """Names of the runs by their rates."""
    return {rate: f"search-{start}-{rate:g}" for rate in RATES[start]}


def finetuning(start, labelled):
    """Names of the runs by their seeds."""
    return {seed: f"finetune-{start}-{labelled}-{seed}" for seed in SEEDS}


def chosen_rate(results, start):
    return results.best(searching("scratch" if start == "torchvision" else start), CHOSEN_BY)


class Study:
    def __init__(self, arguments, results):
        folder = Path(arguments.runs).resolve()
        self.results, self.data, self.training = results, Path(arguments.nuclei).resolve(), folder / "nuclei-train"
        training_part(self.data, self.training)
        names = {self.training: "NUCLEI-TRAIN", self.data: "NUCLEI"}
        wanted = {"validation_AP": "box", "validation_mask_AP": "mask"}
        self.runs = Runs(folder, results, arguments.program, names, wanted)

    def init(self, start):
        if start == "scratch":
            return ["--model", "atto", "--init", "none"]
        return ["--init", self.runs.folder / f"pretrain-{start}" / "weights.safetensors"]

    def search(self, start, rate):
        more = ["--lr", f"{rate:g}", "--steps", STEPS // 3, "--val-fraction", "0.2", "--seed", SEARCH_SEED]
        run, data = searching(start)[rate], ["--data", self.training]
        self.runs.ours(run, "finetune", *data, *self.init(start), *DETECTION, *more)

    def finetune(self, start, labelled, seed):
        rate = chosen_rate(self.results, start)
        more = ["--lr", f"{rate:g}", "--steps", STEPS, "--labelled-images", labelled, "--seed", seed]
        every = ["--set", f"training.validate_every={{ epochs = {3 if labelled == 160 else 25} }}"]
        run, data = finetuning(start, labelled)[seed], ["--data", self.data]
        self.runs.ours(run, "finetune", *data, *self.init(start), *DETECTION, *more, *every)

    def peer(self, seed):
        rate = chosen_rate(self.results, "torchvision")
        more = ["--data", self.data, "--steps", STEPS, "--batch-size", BATCH, "--lr", f"{rate:g}", "--seed", seed]
        self.runs.peer(finetuning("torchvision", 160)[seed], "train_detection.py", *WIDTHS, *more)

    def run(self, with_peer):
        with ThreadPoolExecutor(2) as two:
            self.runs.ours("pretrain-own", "pretrain", "--data", self.data / "train", "--model", "atto", *PRETRAINING)
            list(two.map(lambda cell: self.search(*cell), [(s, r) for s in RATES for r in RATES[s]]))
            cells = [(start, labelled, seed) for labelled in LABELLED for seed in SEEDS for start in STARTS]
            list(two.map(lambda cell: self.finetune(*cell), cells))
            list(two.map(self.peer, SEEDS if with_peer else []))


def table(results):
    kinds = [(labelled, metric) for labelled in LABELLED for metric in METRICS]
    of = {(start, *kind): results.of_seeds(finetuning(start, kind[0]), kind[1]) for start in NAMES for kind in kinds}
    heads = [f"{METRICS[metric]}, {labelled} images" for labelled, metric in kinds]
    print_row(["start", "rate", *heads], is_head=True)
    for start, name in NAMES.items():
        print_row([name, f"{chosen_rate(results, start):g}", *(spread(of[start, *kind].values()) for kind in kinds)])
    print()
    print_row(["difference, by seed", *heads], is_head=True)
    pairs = [(of["own", *kind], of["scratch", *kind]) for kind in kinds]
    cells = [spread(one[seed] - other[seed] for seed in SEEDS if seed in one and seed in other) for one, other in pairs]
    print_row([f"{STARTS['own']} - scratch", *cells])
    print()
    print_row([f"search, {METRICS[CHOSEN_BY]} of the held-out fifth", "rate: AP", "", ""], is_head=True)
    for start in RATES:
        found = {rate: results.last(run, CHOSEN_BY) for rate, run in searching(start).items()}
        print_row([STARTS[start], *(f"{rate:g}: {value:.2f}" for rate, value in found.items())])


def curves(results, out):
    def of(start, labelled, metric):
        runs = [run for run in finetuning(start, labelled).values() if run in results.runs]
        return NAMES[start], [results.curve(run, metric) for run in runs]

    def part(labelled, metric):
        label = f"{METRICS[metric]} on the validation images, %"
        return f"epoch, {labelled} labelled images", label, [of(start, labelled, metric) for start in NAMES]

    draw_curves([part(labelled, metric) for labelled in LABELLED for metric in METRICS], out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, "nuclei", RESULTS)
    parser.add_argument("--nuclei", default="nuclei", help="the unpacked data")
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
