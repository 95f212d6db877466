"""Makes the samples that the program carries, from data that two Python packages ship.

    pip install scikit-learn==1.9.1 scikit-image==0.26.0 pillow==13.0.0
    python make_samples.py

Writes `digits.tar.gz` and `photographs/*.jpg` beside this file; a second run makes the same bytes.
"""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
TEST_IMAGES = 360
LONGER_SIDE = 512


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", optimize=True)
    return data.getvalue()


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def make_digits() -> None:
    digits = load_digits()
    train, test = train_test_split(
        np.arange(len(digits.target)), test_size=TEST_IMAGES, stratify=digits.target, random_state=0
    )
    part = {int(i): "train" for i in train} | {int(i): "test" for i in test}
    levels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, "digits/ATTRIBUTION.md", (HERE / "ATTRIBUTION.md").read_bytes())
        for index in sorted(part, key=lambda i: (part[i], digits.target[i], i)):
            add(archive, f"digits/{part[index]}/{digits.target[index]}/{index:04}.png", png(levels[index]))
    with open(HERE / "digits.tar.gz", "wb") as file:
        file.write(gzip.compress(raw.getvalue(), compresslevel=9, mtime=0))


def make_photographs() -> None:
    folder = HERE / "photographs"
    folder.mkdir(exist_ok=True)
    for name in ("astronaut", "chelsea", "coffee"):
        photograph = Image.fromarray(getattr(skimage.data, name)())
        photograph.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.BICUBIC)
        photograph.save(folder / f"{name}.jpg", quality=88, optimize=True)


make_digits()
make_photographs()
