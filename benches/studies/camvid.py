"""UperNet on CamVid at half resolution, from scratch and from FCMAE, and PyTorch beside it, and one run at full resolution:
runs, table and curves.

    python benches/studies/camvid.py run --camvid CAMVID --photographs SAMPLE --runs RUNS   # what is missing
    python benches/studies/camvid.py table
    python benches/studies/camvid.py curves --out curves.svg                                # needs matplotlib

CAMVID holds images/PART/*.jpg and annotations/PART/*.png (480 x 360 px, PART is train or val), SAMPLE holds any
photographs. Needs `cargo build --release` and Pillow; PyTorch's runs need torch and transformers too. What has ended
stands in a file of results, a line for each run, and is not done again. Rates are chosen on a fifth of the training
images that is held out; the validation images are for the reported runs. Runs have one thread each, two at a time.
"""

import argparse
from pathlib import Path

from runs import ROOT, Runs, Transfer, add_arguments, main, spread

RESULTS = ROOT / "docs" / "results" / "2026-11-29-camvid.jsonl"
METRICS = {"miou": "mIoU"}


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


class CamVid(Transfer):
    # Pre-trained for 174 epochs of the 367 frames, or 320 of the 200 photographs.
    STARTS = {"scratch": "from scratch", "own": "FCMAE, its training images", "photographs": "FCMAE, photographs"}
    SEEDS = [0, 1, 2]
    LABELLED = [367, 20]
    RATES = {"scratch": [5e-4, 1e-3, 2e-3], "own": [1e-3, 2e-3, 4e-3, 8e-3]}
    STEPS, BATCH = 1200, 8
    METRIC = "miou"
    ALL_SETTINGS = ["--task", "segment", "--ignore-index", "11", "--batch-size", BATCH]
    SETTINGS = [*ALL_SETTINGS, "--image-size", "128"]
    # As much of an image in a crop, at twice the resolution.
    FULL_SETTINGS = [*ALL_SETTINGS, "--image-size", "256"]
    VALIDATE_EVERY = {367: 3, 20: 60}
    PEER, PEER_NAME, PEER_SETTINGS = ("pytorch", "train_segmentation.py"), "from scratch, PyTorch", []

    def __init__(self, arguments, results):
        folder, self.photographs = Path(arguments.runs).resolve(), Path(arguments.photographs).resolve()
        self.whole = Path(arguments.camvid).resolve()
        data, training = folder / "camvid-half", folder / "camvid-half-train"
        folder.mkdir(parents=True, exist_ok=True)
        halved(self.whole, data)
        for kind in ("images", "annotations"):
            link = training / kind
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(data / kind / "train")
        names = {training: "CAMVID-HALF-TRAIN", data: "CAMVID-HALF", self.whole: "CAMVID", self.photographs: "SAMPLE"}
        super().__init__(Runs(folder, results, arguments.program, names, {"validation_miou": "miou"}), data, training)

    def run(self, with_peer):
        super().run(with_peer)
        rate = self.chosen_rate(self.runs.results, "own")
        more = ["--lr", f"{rate:g}", "--steps", self.STEPS, "--seed", 0, "--set", "training.validate_every={ epochs = 3 }"]
        self.runs.ours("full-resolution", "finetune", "--data", self.whole, *self.init("own"), *self.FULL_SETTINGS, *more)

    @staticmethod
    def rates_of(start):
        return "scratch" if start in ("scratch", "pytorch") else "own"

    def images_of(self, start):
        return {"own": self.data / "images" / "train", "photographs": self.photographs}[start]


    @classmethod
    def print_table(cls, results, metrics):
        super().print_table(results, metrics)
        print(f"\nAt full resolution, mIoU, 367 images: {spread(results.of_seeds({0: 'full-resolution'}, 'miou').values())}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, "camvid", RESULTS)
    parser.add_argument("--camvid", default="camvid", help="the unpacked data")
    parser.add_argument("--photographs", default="imagenet-sample", help="images of the other pre-training")
    main(parser, CamVid, METRICS, CamVid)
