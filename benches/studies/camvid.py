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
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import PRETRAINING, ROOT, Results, Runs, add_arguments, draw_curves, print_row, spread

RESULTS = ROOT / "docs" / "results" / "2026-11-29-camvid.jsonl"
SEEDS = [0, 1, 2]
SEARCH_SEED = 100
STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images", "photographs": "FCMAE, photographs"}
NAMES = {**STARTS, "pytorch": "from scratch, PyTorch"}
RATES = {"scratch": [5e-4, 1e-3, 2e-3], "own": [1e-3, 2e-3, 4e-3, 8e-3]}
LABELLED = [367, 20]
STEPS = 1200
BATCH = 8
METRIC = "miou"
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


def searching(start):
    """Names of the runs by their rates."""
    return {rate: f"search-{start}-{rate:g}" for rate in RATES[start]}


def finetuning(start, labelled):
    """Names of the runs by their seeds."""
    return {seed: f"finetune-{start}-{labelled}-{seed}" for seed in SEEDS}


def chosen_rate(results, start):
    return results.best(searching("scratch" if start in ("scratch", "pytorch") else "own"), METRIC)


class Study:
    def __init__(self, arguments, results):
        folder, photographs = Path(arguments.runs).resolve(), Path(arguments.photographs).resolve()
        self.results, self.photographs = results, photographs
        self.data, self.training = folder / "camvid-half", folder / "camvid-half-train"
        folder.mkdir(parents=True, exist_ok=True)
        halved(Path(arguments.camvid).resolve(), self.data)
        for kind in ("images", "annotations"):
            link = self.training / kind
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(self.data / kind / "train")
        names = {self.training: "CAMVID-HALF-TRAIN", self.data: "CAMVID-HALF", photographs: "SAMPLE"}
        self.runs = Runs(folder, results, arguments.program, names, {"validation_miou": METRIC})

    def pretraining(self, start):
        images = {"own": self.data / "images" / "train", "photographs": self.photographs}[start]
        # 174 epochs of the 367 frames, 320 of the 200 photographs.
        self.runs.ours(f"pretrain-{start}", "pretrain", "--data", images, "--model", "atto", *PRETRAINING)

    def init(self, start):
        if start == "scratch":
            return ["--model", "atto", "--init", "none"]
        return ["--init", self.runs.folder / f"pretrain-{start}" / "weights.safetensors"]

    def search(self, start, rate):
        more = ["--lr", f"{rate:g}", "--steps", STEPS // 3, "--val-fraction", "0.2", "--seed", SEARCH_SEED]
        run, data = searching(start)[rate], ["--data", self.training]
        self.runs.ours(run, "finetune", *data, *self.init(start), *SEGMENTATION, *more)

    def finetune(self, start, labelled, seed):
        rate = chosen_rate(self.results, start)
        more = ["--lr", f"{rate:g}", "--steps", STEPS, "--labelled-images", labelled, "--seed", seed]
        every = ["--set", f"training.validate_every={{ epochs = {3 if labelled == 367 else 60} }}"]
        run, data = finetuning(start, labelled)[seed], ["--data", self.data]
        self.runs.ours(run, "finetune", *data, *self.init(start), *SEGMENTATION, *more, *every)

    def peer(self, seed):
        rate = chosen_rate(self.results, "pytorch")
        more = ["--data", self.data, "--steps", STEPS, "--batch-size", BATCH, "--lr", f"{rate:g}", "--seed", seed]
        self.runs.peer(finetuning("pytorch", 367)[seed], "train_segmentation.py", *more)

    def run(self, with_peer):
        with ThreadPoolExecutor(2) as two:
            list(two.map(self.pretraining, ["own", "photographs"]))
            list(two.map(lambda cell: self.search(*cell), [(s, r) for s in RATES for r in RATES[s]]))
            cells = [(start, labelled, seed) for labelled in LABELLED for seed in SEEDS for start in STARTS]
            list(two.map(lambda cell: self.finetune(*cell), cells))
            list(two.map(self.peer, SEEDS if with_peer else []))


def table(results):
    of = {(start, labelled): results.of_seeds(finetuning(start, labelled), METRIC) for start in NAMES for labelled in LABELLED}
    print_row(["start", "rate", *(f"mIoU, {labelled} images" for labelled in LABELLED)], is_head=True)
    for start, name in NAMES.items():
        cells = [spread(of[start, labelled].values()) for labelled in LABELLED]
        print_row([name, f"{chosen_rate(results, start):g}", *cells])
    print()
    print_row(["difference, by seed", *(f"{labelled} images" for labelled in LABELLED)], is_head=True)
    for start in ("own", "photographs"):
        cells = []
        for labelled in LABELLED:
            one, other = of[start, labelled], of["scratch", labelled]
            cells.append(spread(one[seed] - other[seed] for seed in SEEDS if seed in one and seed in other))
        print_row([f"{STARTS[start]} - scratch", *cells])
    print()
    print_row(["search, mIoU of the held-out fifth", "rate: mIoU", "", ""], is_head=True)
    for start in RATES:
        found = {rate: results.last(run, METRIC) for rate, run in searching(start).items()}
        print_row([STARTS[start], *(f"{rate:g}: {value:.2f}" for rate, value in found.items())])


def curves(results, out):
    def of(start, labelled):
        runs = [run for run in finetuning(start, labelled).values() if run in results.runs]
        return NAMES[start], [results.curve(run, METRIC) for run in runs]

    label = "mIoU on the validation images, %"
    parts = [(f"epoch, {labelled} labelled images", label, [of(start, labelled) for start in NAMES]) for labelled in LABELLED]
    draw_curves(parts, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, "camvid", RESULTS)
    parser.add_argument("--camvid", default="camvid", help="the unpacked data")
    parser.add_argument("--photographs", default="imagenet-sample", help="images of the other pre-training")
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
