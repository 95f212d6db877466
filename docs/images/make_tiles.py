"""Draws tiles.svg: how an image becomes tiles, and tiles become rows.

    python make_tiles.py
"""

from pathlib import Path

KEPT = [1, 4, 7, 9, 10, 15, 16, 20, 22, 24, 27, 29, 32, 35, 37, 40, 43, 45, 48]
INK, QUIET, EDGE, REMOVED, KEPT_COLOUR, CHOSEN = "#222", "#666", "#fff", "#d9d9d9", "#6c9bd2", "#d9822b"
parts: list[str] = []


def rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = EDGE) -> None:
    parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" stroke="{stroke}"/>')


def text(x: float, y: float, words: str, size: int = 13, fill: str = INK, anchor: str = "middle") -> None:
    parts.append(f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{words}</text>')


def arrow(x1: float, y1: float, x2: float, y2: float) -> None:
    parts.append(f'<path d="M{x1} {y1} L{x2} {y2}" stroke="{INK}" stroke-width="1.4" marker-end="url(#head)"/>')


def image(left: float, top: float) -> None:
    side = 26
    for patch in range(49):
        row, column = divmod(patch, 7)
        colour = CHOSEN if patch == 24 else KEPT_COLOUR if patch in KEPT else REMOVED
        rect(left + column * side, top + row * side, side, side, colour)
    text(left + 91, top - 28, "1. An image is a set of tiles", 15)
    text(left + 91, top - 10, "224 px: 7 x 7 patches of 32 px, 19 kept", 12, QUIET)


def stages(left: float, top: float) -> None:
    text(left + 170, top - 28, "2. A kept patch at the four stages", 15)
    text(left + 170, top - 10, "sites; every stage halves the sides", 12, QUIET)
    size, x = 88, left
    for sites, width in [(8, 40), (4, 80), (2, 160), (1, 320)]:
        extent = size if sites == 8 else size * 0.75 if sites == 4 else size * 0.5 if sites == 2 else size * 0.3
        step = extent / sites
        y = top + (size - extent) / 2 + 20
        for row in range(sites):
            for column in range(sites):
                rect(round(x + column * step, 2), round(y + row * step, 2), round(step, 2), round(step, 2), CHOSEN)
        text(x + extent / 2, top + size + 44, f"{sites} x {sites}", 13)
        text(x + extent / 2, top + size + 62, f"C = {width}", 12, QUIET)
        x += extent + 30


def rows(left: float, top: float) -> None:
    text(left + 80, top - 28, "3. The batch is one matrix", 15)
    text(left + 80, top - 10, "a row for each kept site", 12, QUIET)
    heights = [(KEPT_COLOUR, 40), (CHOSEN, 22), (KEPT_COLOUR, 40), ("#8ab98a", 84)]
    y = top
    for colour, height in heights:
        rect(left + 40, y, 80, height, colour)
        y += height
    text(left + 134, top + 56, "image 1", 12, QUIET, "start")
    text(left + 134, top + 148, "image 2", 12, QUIET, "start")
    text(left + 80, y + 18, "channels", 12, QUIET)
    parts.append(
        f'<text x="{left + 26}" y="{top + 96}" font-size="12" fill="{QUIET}" text-anchor="middle" '
        f'transform="rotate(-90 {left + 26} {top + 96})">sites</text>'
    )


def convolution(left: float, top: float) -> None:
    text(left + 300, top, "4. Only the 7x7 convolution looks across tiles: rows go into a map with zeros, the kernel "
         "stops at kept sites only.", 13)
    text(left + 300, top + 20, "LayerNorm, linear layers, GELU and GRN work on rows, so that a removed site costs nothing.",
         13, QUIET)


image(30, 70)
arrow(232, 161, 268, 161)
stages(290, 70)
arrow(640, 161, 676, 161)
rows(690, 70)
convolution(150, 312)
svg = "\n".join([
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 350" font-family="system-ui, sans-serif" role="img"',
    '     aria-label="An image is a set of tiles; kept tiles become rows of a matrix">',
    f'<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker></defs>',
    '<rect width="920" height="350" fill="#fff"/>',
    *parts,
    "</svg>",
    "",
])
(Path(__file__).parent / "tiles.svg").write_text(svg)
