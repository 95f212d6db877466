"""How fast a folder of photographs is classified and embedded, beside the engine alone and beside PyTorch.

    python benches/peers/classify.py PROGRAM FOLDER [--model atto] [--pairs 4] [--copies 4]

Images a second of whole processes, start and reading of the weights included, in alternating turns on all cores:
`convnext classify`, `convnext embed`, the network alone (`convnext bench --mode infer`), and PyTorch: timm's model with
its own transform and a DataLoader of a process for each core. Weights are random. FOLDER holds JPEG files and is gone
over `copies` times in one process, so that the start does not count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 16

# Whoever comes right after PyTorch is slower for a while.
PAUSE = 5

PEER = """
import sys, time, torch, timm
from PIL import Image
from timm.data import create_transform, resolve_data_config
folder, model, copies, batch, cores = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
from pathlib import Path
paths = sorted(Path(folder).glob("*.jpg")) * copies
torch.set_num_threads(cores)
network = timm.create_model(f"convnextv2_{model}", num_classes=1000).eval()
transform = create_transform(**resolve_data_config({"input_size": (3, 224, 224), "crop_pct": 0.875}, model=network))
class Images(torch.utils.data.Dataset):
    def __len__(self): return len(paths)
    def __getitem__(self, index): return transform(Image.open(paths[index]).convert("RGB"))
begin = time.perf_counter()
with torch.inference_mode():
    for images in torch.utils.data.DataLoader(Images(), batch_size=batch, num_workers=cores):
        network(images).softmax(1).topk(5)
print(len(paths) / (time.perf_counter() - begin))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="atto")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--copies", type=int, default=4)
    arguments = parser.parse_args()
    program, folder = str(arguments.program.resolve()), arguments.folder.resolve()
    count = len(list(folder.glob("*.jpg"))) * arguments.copies
    cores = os.cpu_count()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        weights = work / "weights.safetensors"
        make = "import sys, timm, torch; from safetensors.torch import save_file; torch.manual_seed(0); save_file(timm.create_model(f'convnextv2_{sys.argv[1]}').state_dict(), sys.argv[2])"
        subprocess.run([sys.executable, "-c", make, arguments.model, weights], check=True)
        folders = [str(folder)] * arguments.copies

        def whole(*call):
            begin = time.perf_counter()
            subprocess.run([program, *call], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return count / (time.perf_counter() - begin)

        def engine():
            steps = str(max(count // BATCH, 1))
            call = [program, "bench", "--mode", "infer", "--model", arguments.model, "--batch-size", str(BATCH), "--steps", steps, "--json"]
            return json.loads(subprocess.run(call, check=True, capture_output=True).stdout)["images_per_second"]

        def peer():
            call = [sys.executable, "-c", PEER, folder, arguments.model, str(arguments.copies), str(BATCH), str(cores)]
            return float(subprocess.run(list(map(str, call)), check=True, capture_output=True).stdout)

        same = ["--weights", str(weights), "--batch-size", str(BATCH), "-q"]
        turns = {
            "classify": lambda: whole("classify", *folders, *same, "--csv", str(work / "answers.csv")),
            "embed": lambda: whole("embed", *folders, *same, "--out", str(work / "vectors.safetensors")),
            "network alone": engine,
            "PyTorch": peer,
        }
        found = {name: [] for name in turns}
        for pair in range(arguments.pairs):
            order = list(turns) if pair % 2 == 0 else list(reversed(turns))
            for name in order:
                found[name].append(turns[name]())
                time.sleep(PAUSE)
    for name, speeds in found.items():
        print(f"{name:14} {statistics.median(speeds):7.1f} images/s  [{min(speeds):.1f}, {max(speeds):.1f}]")


if __name__ == "__main__":
    main()
