"""What studies share: runs that go on where they stopped, a file of what those that have ended found, and its tables."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "release" / "convnext"
# Size and length of the pre-trainings of studies on some hundred images: 64,000 images.
PRETRAINING = ["--steps", "2000", "--batch-size", "32", "--image-size", "128"]


class Results:
    """Of each run that has ended its command, its seconds and its epochs: a line for each in a file."""

    def __init__(self, path):
        self.path, self.lock = Path(path), Lock()
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.runs = {line["run"]: line for line in map(json.loads, lines)}

    def add(self, line):
        with self.lock:
            self.runs[line["run"]] = line
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def curve(self, run, metric):
        """Pairs of epochs done and the metric, in percent."""
        found = self.runs[run]["epochs"] if run in self.runs else []
        return [(epoch["epoch"] + 1, 100 * epoch[metric]) for epoch in found if metric in epoch]

    def last(self, run, metric):
        """The metric of the last weights, in percent."""
        found = self.curve(run, metric)
        return found[-1][1] if found else None

    def of_seeds(self, runs, metric):
        """The metric of the last weights of each seed's run that has ended, in percent."""
        found = {seed: self.last(run, metric) for seed, run in runs.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def best(self, runs, metric):
        """The key of the run with the highest metric; `None` while any is missing."""
        found = {key: self.last(run, metric) for key, run in runs.items()}
        return None if None in found.values() else max(found, key=found.get)


class Runs:
    """Runs in a folder, each with one thread. `names` are what paths are called in the file of results."""

    def __init__(self, folder, results, program, names, wanted):
        self.folder, self.results, self.program, self.wanted = folder, results, program, wanted
        self.names = {**names, folder: "RUNS", ROOT: "."}

    def shown(self, call):
        shown = " ".join(map(str, call))
        for path, name in self.names.items():
            shown = shown.replace(str(path), name)
        return shown

    def ours(self, run, command, *more):
        """A training of this program, unless it has ended before; `wanted` are the metrics that are kept, and their names."""
        if run in self.results.runs:
            return
        folder = self.folder / run
        arguments = [*map(str, more), "--out", str(folder)]
        shown = self.shown(["convnext", command, *arguments])
        print(shown, flush=True)
        call = [self.program, command, *arguments, "--threads", "1", "--resume", "-q"]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        wanted = {"epoch": "epoch", "train_loss": "loss", **self.wanted}
        lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        epochs = [{wanted[key]: round(line[key], 5) for key in wanted if key in line} for line in lines]
        epochs = [epoch for epoch in epochs if "loss" in epoch]
        seconds = round(json.loads((folder / "summary.json").read_text())["seconds"])
        self.results.add({"run": run, "command": shown, "seconds": seconds, "epochs": epochs})

    def peer(self, run, script, *more):
        """A training of a script in benches/peers, which prints a line of JSON for each epoch."""
        if run in self.results.runs:
            return
        call = [sys.executable, ROOT / "benches" / "peers" / script, *more, "--threads", 1]
        shown = self.shown(["python", *call[1:]])
        print(shown, flush=True)
        lines = subprocess.run(list(map(str, call)), check=True, capture_output=True, text=True).stdout.splitlines()
        epochs = list(map(json.loads, lines))
        seconds = round(sum(epoch.pop("seconds") for epoch in epochs))
        self.results.add({"run": run, "command": shown, "seconds": seconds, "epochs": epochs})


def spread(values):
    values = list(values)
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def print_row(cells, is_head=False):
    print("| " + " | ".join(cells) + " |")
    if is_head:
        print("|---" * len(cells) + "|")


def draw_curves(parts, out):
    """A plot for each of `parts`: a title, the name of the metric, and lines, each a name and the curves of all seeds, of which
    the mean is drawn."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "convnext"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 4), layout="constrained")
    for (title, label, lines), part in zip(parts, axes):
        for name, curves in lines:
            means = [(group[0][0], statistics.mean(value for _, value in group)) for group in zip(*curves)]
            if means:
                part.plot(*zip(*means), marker=".", label=name)
        part.set(xlabel=title, ylabel=label)
        part.legend()
    figure.savefig(out, metadata={"Date": None})


def add_arguments(parser, study, results):
    parser.add_argument("what", choices=["run", "table", "curves"])
    parser.add_argument("--runs", default=f"runs/{study}", help="where runs are and go")
    parser.add_argument("--results", default=results, help="what the runs that have ended found")
    parser.add_argument("--out", default="curves.svg")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--without-peer", action="store_true", help="leave PyTorch's runs for later")
