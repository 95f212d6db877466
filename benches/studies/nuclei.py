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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import ROOT, Runs, Transfer, add_arguments, main

RESULTS = ROOT / "docs" / "results" / "2026-11-29-nuclei.jsonl"
METRICS = {"box": "box AP", "mask": "mask AP"}
WIDTHS = ["--head-width", "64", "--box-width", "256", "--regions", "64"]
# Anchors and layer decay as the default recipe had them before this study: by mmdetection's rule objects that are much smaller
# than every anchor have none, where torchvision gives every object its nearest anchors.
MMDETECTION = ["--set", "regions.minimum_anchor_overlap=0.3"]
DECAY = ["--set", 'from_weights.layer_decay={ rate = 0.899, count = "single" }']


def training_part(source, target):
    """The training images as a data set without validation images."""
    annotations = target / "annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    for link, place in [(target / "train", "train"), (annotations / "instances_train.json", "annotations/instances_train.json")]:
        if not link.exists():
            link.symlink_to(source / place)


class Nuclei(Transfer):
    STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images"}
    # With all labelled images alone.
    VARIANTS = {
        "scratch-same": "from scratch, an anchor for every object, torchvision's rate",
        "scratch-every": "from scratch, an anchor for every object",
        "own-every": "FCMAE, its training images, an anchor for every object",
        "decayed": "FCMAE, with layer decay",
    }
    SEEDS = [0, 1, 2]
    LABELLED = [160, 20]
    RATES = {
        "scratch": [2.5e-4, 5e-4, 1e-3, 2e-3],
        "own": [5e-4, 1e-3, 2e-3, 4e-3],
        "scratch-every": [2.5e-4, 5e-4, 1e-3, 2e-3],
        "own-every": [2.5e-4, 5e-4, 1e-3, 2e-3],
        "decayed": [5e-4, 1e-3, 2e-3, 4e-3],
    }
    # 3,000 images.
    STEPS, BATCH = 750, 4
    METRIC = "mask"
    SETTINGS = ["--task", "detect", "--image-size", "256", "--batch-size", BATCH, *WIDTHS]
    VALIDATE_EVERY = {160: 3, 20: 25}
    PEER, PEER_NAME, PEER_SETTINGS = ("torchvision", "train_detection.py"), "from scratch, torchvision", WIDTHS

    def __init__(self, arguments, results):
        folder, data = Path(arguments.runs).resolve(), Path(arguments.nuclei).resolve()
        training = folder / "nuclei-train"
        training_part(data, training)
        names = {training: "NUCLEI-TRAIN", data: "NUCLEI"}
        wanted = {"validation_AP": "box", "validation_mask_AP": "mask"}
        super().__init__(Runs(folder, results, arguments.program, names, wanted), data, training)

    @staticmethod
    def rates_of(start):
        return "scratch" if start in ("torchvision", "scratch-same") else start

    @classmethod
    def searched(cls):
        return {start: name for start, name in {**cls.STARTS, **cls.VARIANTS}.items() if start in cls.RATES}

    def init(self, start):
        base = super().init("scratch" if start.startswith("scratch") else "own")
        if start in ("scratch-same", "scratch-every", "own-every"):
            return base
        return [*base, *(DECAY if start == "decayed" else []), *MMDETECTION]

    def runs_from(self, start):
        """Also those of the variants, all of which start from the same weights."""
        more = super().runs_from(start)
        for variant in (variant for variant in self.VARIANTS if not variant.startswith("scratch")):
            runs = {**self.searching(variant), **self.finetuning(variant, self.LABELLED[0])}
            more.extend(runs.values())
        return more

    def images_of(self, start):
        return self.data / "train"

    def run(self, with_peer):
        super().run(with_peer)
        cells = [(start, seed) for start in self.VARIANTS for seed in self.SEEDS]
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda cell: self.finetune(cell[0], self.LABELLED[0], cell[1]), cells))

    @classmethod
    def compared(cls):
        return [*super().compared(), ("own-every", "scratch-every"), ("scratch-same", "scratch")]

    @classmethod
    def names(cls):
        return {**super().names(), **cls.VARIANTS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, "nuclei", RESULTS)
    parser.add_argument("--nuclei", default="nuclei", help="the unpacked data")
    main(parser, Nuclei, METRICS, Nuclei)
