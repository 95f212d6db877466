"""Holds `convnext classify` to Pillow, timm's transform and ONNX Runtime, from JPEG photographs and from PNG.

    python photographs.py PROGRAM PHOTOGRAPHS WEIGHTS...

The first 50 JPEG files of the folder PHOTOGRAPHS, saved again with chroma at half of the size (4:2:0), and what
Pillow decodes of these as PNG. For each file of weights, which should be trained, the network is exported, and the
logits of `classify --json` are compared with those of ONNX Runtime: the largest difference of each image, as a part
of the range of its logits.
Made with timm 1.0, onnxruntime 1.32, Pillow 13. Downloads nothing.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy
import onnxruntime
from PIL import Image
from timm.data import create_transform

COUNT = 50
# What is asked: at most this for each image, and the median of JPEG at most so far above that of PNG.
MOST, MEDIAN = 1e-3, 1e-4


def save_photographs(source, folder):
    for path in sorted(source.glob("*.jpg"))[:COUNT]:
        jpeg = folder / f"{path.stem}.jpg"
        Image.open(path).convert("RGB").save(jpeg, quality=85, subsampling="4:2:0")
        Image.open(jpeg).save(folder / f"{path.stem}.png")


def ours(program, weights, folder):
    call = [program, "classify", folder, "--weights", weights, "--top-k", "100000", "--json", "-q"]
    answers = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)
    by_index = lambda predictions: [p["logit"] for p in sorted(predictions, key=lambda p: p["index"])]
    return {Path(answer["image"]).name: numpy.array(by_index(answer["predictions"])) for answer in answers}


def theirs(program, weights, folder):
    network = folder.parent / "network.onnx"
    subprocess.run([program, "export", "--weights", weights, "--out", network], check=True, capture_output=True)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    stored = session.get_modelmeta().custom_metadata_map
    read = lambda key: json.loads(stored[key])
    size = read("image_size")
    transform = create_transform(
        (3, size, size), interpolation="bicubic", crop_pct=read("crop"), mean=read("mean"), std=read("std")
    )

    def logits(path):
        pixels = transform(Image.open(path).convert("RGB"))[None].numpy()
        return session.run(None, {session.get_inputs()[0].name: pixels})[0][0]

    return {path.name: logits(path) for path in sorted(folder.iterdir())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    arguments = parser.parse_args()
    program, kept = arguments.program.resolve(), True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "photographs"
        folder.mkdir()
        save_photographs(arguments.photographs, folder)
        for weights in arguments.weights:
            expected, found = theirs(program, weights, folder), ours(program, weights, folder)
            apart = {name: numpy.abs(found[name] - logits).max() / numpy.ptp(logits) for name, logits in expected.items()}
            of = {kind: [value for name, value in apart.items() if name.endswith(kind)] for kind in ("jpg", "png")}
            for kind, values in of.items():
                assert len(values) == COUNT, (kind, len(values))
                print(f"{weights} {kind}: median {numpy.median(values):.2e}, most {max(values):.2e} of the range", flush=True)
            kept &= max(of["jpg"]) <= MOST and numpy.median(of["jpg"]) <= numpy.median(of["png"]) + MEDIAN
    if not kept:
        raise SystemExit(f"not as asked: at most {MOST} for each JPEG, their median at most that of PNG and {MEDIAN}")


if __name__ == "__main__":
    main()
