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
# mmdetection's rule, by which objects that are much smaller than every anchor have none. Starts that end with EVERY go
# without it, as torchvision does: there every object has an anchor.
MMDETECTION = ["--set", "regions.minimum_anchor_overlap=0.3"]
EVERY = "-every"


def training_part(source, target):
    """The training images as a data set without validation images."""
    annotations = target / "annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    for link, place in [(target / "train", "train"), (annotations / "instances_train.json", "annotations/instances_train.json")]:
        if not link.exists():
            link.symlink_to(source / place)


class Nuclei(Transfer):
    STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images"}
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
        return "scratch" if start == "torchvision" else start

    @classmethod
    def searched(cls):
        every = {start + EVERY: f"{name}, an anchor for every object" for start, name in cls.STARTS.items()}
        return {**cls.STARTS, **every, "decayed": "FCMAE, with layer decay"}

    def init(self, start):
        """Layer decay and anchors as the default recipe had them before this study."""
        if start.endswith(EVERY):
            return super().init(start.removesuffix(EVERY))
        if start == "decayed":
            decay = ["--set", 'from_weights.layer_decay={ rate = 0.899, count = "single" }']
            return [*super().init("own"), *decay, *MMDETECTION]
        return [*super().init(start), *MMDETECTION]

    def images_of(self, start):
        return self.data / "train"

    def run(self, with_peer):
        """Also with an anchor for every object and with layer decay, each from its own best rate."""
        super().run(with_peer)
        cells = [(start, seed) for start in self.searched() if start not in self.STARTS for seed in self.SEEDS]
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda cell: self.finetune(cell[0], self.LABELLED[0], cell[1]), cells))

    @classmethod
    def compared(cls):
        every = [(start + EVERY, base + EVERY) for start, base in super().compared()]
        return [*super().compared(), *every, ("scratch" + EVERY, "scratch")]

    @classmethod
    def names(cls):
        return {**super().names(), **cls.searched()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, "nuclei", RESULTS)
    parser.add_argument("--nuclei", default="nuclei", help="the unpacked data")
    main(parser, Nuclei, METRICS, Nuclei)
