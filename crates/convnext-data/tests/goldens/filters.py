"""Makes filters.png: parts of photo.png resized by each filter of Pillow, for `resizing_with_every_filter_agrees_with_pillow`.

    python filters.py        # in this folder, which holds photo.png; made with Pillow 13.0.0
"""

from PIL import Image

FILTERS = ["NEAREST", "LANCZOS", "BILINEAR", "BICUBIC", "BOX", "HAMMING"]  # in the order of Pillow's numbers
CASES = [  # size, region
    ((32, 32), (0, 0, 97, 61)),
    ((113, 70), (0, 0, 97, 61)),
    ((33, 27), (10.3, 4.7, 70.5, 46.6)),
    ((90, 30), (30, 11, 71, 52)),
]

photo = Image.open("photo.png")
sheet = Image.new("RGB", (sum(size[0] for size, _ in CASES), 70 * len(FILTERS)))
for row, name in enumerate(FILTERS):
    left = 0
    for size, box in CASES:
        sheet.paste(photo.resize(size, getattr(Image.Resampling, name), box=box), (left, 70 * row))
        left += size[0]
sheet.save("filters.png", optimize=True)
