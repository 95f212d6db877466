"""Times this program's image loading against Pillow and torchvision in alternating pairs, in one thread each.

    peers/bin/python benches/peers/loader.py PHOTOGRAPHS [--pairs 7]

PHOTOGRAPHS is a folder of JPEG files, of which the first 40 are resized to a long side of 500 and 1,500 pixels
and saved with quality 90 in a temporary folder. Needs `cargo bench -p convnext-data --features bench --bench loader --no-run`
before, and Pillow and torchvision. Everybody makes the normalised values of a random crop of 224 pixels from
the bytes of a file. Prints rows of a table: images a second (medians), ratios with their quartiles.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parents[1] / "target" / "release" / "deps"


def enlarge(source, folder, side):
    from PIL import Image

    for path in sorted(source.glob("*.jpg"))[:40]:
        image = Image.open(path).convert("RGB")
        scale = side / max(image.size)
        image = image.resize([round(length * scale) for length in image.size], Image.BICUBIC)
        image.save(folder / path.name, quality=90)


def pillow():
    """The usual pipeline of PyTorch."""
    from PIL import Image
    from torchvision import transforms

    crop = transforms.RandomResizedCrop(
        224, scale=(0.2, 1), interpolation=transforms.InterpolationMode.BICUBIC, antialias=True
    )
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(mean, std)]
    return lambda data: Image.open(io.BytesIO(data)).convert("RGB"), transforms.Compose(steps)


def torchvision():
    """The same without Pillow."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms import InterpolationMode, v2

    crop = v2.RandomResizedCrop(224, scale=(0.2, 1), interpolation=InterpolationMode.BICUBIC, antialias=True)
    normalize = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    steps = [crop, v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True), normalize]

    def decode(data):
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)

    return decode, v2.Compose(steps)


def measure(peer, folder):
    """Seconds an image of the whole way and of decoding alone."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    decode, transform = {"pillow": pillow, "torchvision": torchvision}[peer]()
    files = [path.read_bytes() for path in sorted(Path(folder).glob("*.jpg"))]

    def seconds(work):
        start = time.perf_counter()
        for _ in range(ROUNDS):
            for data in files:
                work(data)
        return (time.perf_counter() - start) / (ROUNDS * len(files))

    # Once to warm up.
    seconds(lambda data: transform(decode(data)))
    print(json.dumps({"full": seconds(lambda data: transform(decode(data))), "decode": seconds(decode)}))


def last_json(command):
    # The program tells its allocator to keep freed memory; the bench is told by the environment.
    environment = {**os.environ, "MIMALLOC_PURGE_DELAY": "-1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(folder, side, pairs):
    programs = [path for path in PROGRAMS.glob("loader-*") if path.suffix != ".d"]
    ours = max(programs, key=lambda path: path.stat().st_mtime)
    found = {"ours": [], "pillow": [], "torchvision": []}
    for _ in range(pairs):
        for peer in ("pillow", "torchvision"):
            found["ours"].append(last_json([ours, "--folder", folder]))
            found[peer].append(last_json([sys.executable, __file__, folder, "--measure", peer]))

    def middle(who, what):
        return statistics.median(run[what] for run in found[who])

    def ratio(what, peer):
        # Our run just before that of the peer.
        mine = found["ours"][("pillow", "torchvision").index(peer) :: 2]
        ratios = [its["full"] / my[what] for my, its in zip(mine, found[peer])]
        low, half, high = statistics.quantiles(ratios, n=4, method="inclusive") if pairs > 1 else ratios * 3
        return f"{half:.2f} ({low:.2f} to {high:.2f})"

    speeds = [f"{1 / middle(peer, 'full'):.0f}" for peer in ("pillow", "torchvision")]
    for what in ("full", "fast"):
        row = [f"{side} px, {what}", f"{1 / middle('ours', what):.0f}", *speeds, ratio(what, "pillow"), ratio(what, "torchvision")]
        print("| " + " | ".join(row) + " |", flush=True)
    milliseconds = [f"{who} {1e3 * middle(who, 'decode'):.2f} + {1e3 * (middle(who, 'full') - middle(who, 'decode')):.2f}" for who in found]
    print(f"  {side} px, ms of decoding + the rest: {', '.join(milliseconds)}; ours fast {1e3 * middle('ours', 'fast'):.2f}, "
          f"which differs by {middle('ours', 'levels'):.2f} levels", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--measure", choices=["pillow", "torchvision"], help="measure one peer on a folder as it is")
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.photographs)
        return
    for side in (500, 1500):
        with tempfile.TemporaryDirectory() as folder:
            enlarge(arguments.photographs, Path(folder), side)
            compare(folder, side, arguments.pairs)


if __name__ == "__main__":
    main()
