"""Makes the files beside it: one photograph (a sample of the crate convnext, CC0) in the kinds of JPEG files.

Run in this folder with Pillow 13.0; it writes the same files again.
"""

from PIL import Image

photo = Image.open("../../../convnext/samples/photographs/chelsea.jpg").resize((301, 203), Image.BICUBIC)
photo.save("halved-chroma.jpg", quality=85, subsampling="4:2:0")
photo.save("restarts.jpg", quality=85, subsampling="4:2:2", restart_marker_blocks=7)
photo.save("full-chroma.jpg", quality=85, subsampling="4:4:4")
photo.convert("L").save("gray.jpg", quality=85)
photo.save("progressive.jpg", quality=85, progressive=True)
photo.convert("CMYK").save("cmyk.jpg", quality=85)
