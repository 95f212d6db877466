"""Pre-training on CIFAR-10 against training from scratch, by family and encoder: runs, table and curves.

    python benches/studies/cifar10.py run --data CIFAR10 --runs RUNS   # what is missing, in order
    python benches/studies/cifar10.py table
    python benches/studies/cifar10.py curves --out curves.svg          # needs matplotlib

CIFAR10 holds train/CLASS/*.jpg and test/CLASS/*.jpg, 32 pixels each. Needs `cargo build --release`. What has
ended stands in a file of results, a line for each run, and is not done again; stopped at any moment, `run`
goes on where it was. Rates are chosen on a tenth of the training images that is held out, with labels that no
reported run has; the test images are for the reported runs.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "release" / "convnext"
RESULTS = ROOT / "docs" / "results" / "2026-11-25-cifar10.jsonl"
SEEDS = [0, 1, 2]
# The seed of the labels that rates are chosen with.
SEARCH_SEED = 100
RATES = {"scratch": [5e-4, 1e-3, 2e-3], "sparse": [1e-3, 2e-3, 4e-3]}
PRETRAINING = ["--batch-size", "64", "--lr", "3e-3", "--set", "augmentation.crop_scale=[0.5, 1.0]"]
# Labels of a class: epochs, images of a batch.
LABELS = {50: (100, 32), 500: (30, 64)}
ATTO_LABELS = {50: (50, 32), 500: (15, 64)}
SMALL = ["--image-size", "32", "--stem-stride", "1"]
# Rows of the table: model, how it was pre-trained, precision, seeds.
CELLS = [
    ("micro", "scratch", "f32", SEEDS),
    ("micro", "sparse", "f32", SEEDS),
    ("v1-micro", "scratch", "f32", SEEDS),
    ("v1-micro", "sparse", "f32", SEEDS),
    ("micro", "leaky", "f32", SEEDS),
    ("atto", "scratch", "f32", SEEDS[:1]),
    ("atto", "sparse", "f32", SEEDS[:1]),
    ("micro", "scratch", "bf16", SEEDS),
    ("micro", "sparse", "bf16", SEEDS),
]


def named(run, precision):
    return run if precision == "f32" else f"{run}-{precision}"


def pretraining(model, encoder, seed, precision):
    return named(f"pretrain-{model}-{encoder}-{seed}", precision)


def finetuning(model, start, labels, seed, rate, precision="f32"):
    kind = "search" if seed == SEARCH_SEED else "finetune"
    return named(f"{kind}-{model}-{start}-{labels}-{seed}-{rate:g}", precision)


class Results:
    """What the runs that have ended found: of each its command, its seconds and its epochs."""

    def __init__(self, path):
        self.path = Path(path)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.runs = {line["run"]: line for line in map(json.loads, lines)}

    def add(self, run, command, folder):
        epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        wanted = {"epoch": "epoch", "train_loss": "loss", "validation_top1": "top1"}
        epochs = [
            {wanted[key]: round(line[key], 5) for key in wanted if key in line} for line in epochs if "train_loss" in line
        ]
        seconds = json.loads((folder / "summary.json").read_text())["seconds"]
        self.runs[run] = {"run": run, "command": command, "seconds": round(seconds), "epochs": epochs}
        with self.path.open("a") as file:
            file.write(json.dumps(self.runs[run]) + "\n")

    def losses(self, run):
        return [epoch["loss"] for epoch in self.runs[run]["epochs"]] if run in self.runs else []

    def top1(self, run):
        """In percent: (epoch, value) of each measurement."""
        epochs = self.runs[run]["epochs"] if run in self.runs else []
        return [(epoch["epoch"] + 1, 100 * epoch["top1"]) for epoch in epochs if "top1" in epoch]

    def last_top1(self, run):
        measured = self.top1(run)
        return measured[-1][1] if measured else None

    def chosen_rate(self, model, start, labels):
        """The best rate of the search in f32. The leaky encoder has that of the sparse one, Atto that of micro."""
        start = "sparse" if start == "leaky" else start
        model = "micro" if model == "atto" else model
        found = {rate: self.last_top1(finetuning(model, start, labels, SEARCH_SEED, rate)) for rate in RATES[start]}
        return None if None in found.values() else max(found, key=found.get)

    def finetunings(self, model, start, precision, labels, seeds):
        """The runs of a cell, at the chosen rate, that have ended."""
        rate = self.chosen_rate(model, start, labels)
        names = [finetuning(model, start, labels, seed, rate, precision) for seed in seeds] if rate else []
        return {seed: name for seed, name in zip(seeds, names) if name in self.runs}

    def values(self, model, start, precision, labels, seeds):
        found = self.finetunings(model, start, precision, labels, seeds)
        return {seed: self.last_top1(name) for seed, name in found.items()}


class Study:
    def __init__(self, arguments, results):
        self.data, self.runs = Path(arguments.data).resolve(), Path(arguments.runs).resolve()
        self.results = results
        self.program, self.threads = arguments.program, str(arguments.threads)

    def call(self, run, command, *more):
        folder = self.runs / run
        arguments = [*map(str, more), "--out", str(folder)]
        shown = " ".join(["convnext", command, *arguments])
        shown = shown.replace(str(self.data), "CIFAR10").replace(str(self.runs), "RUNS")
        print(shown, flush=True)
        call = [self.program, command, *arguments, "--threads", self.threads, "--resume", "-q"]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        if run not in self.results.runs:
            self.results.add(run, shown, folder)

    def weights(self, model, encoder, seed, precision):
        """Of a pre-training, which is done (again) if they are not there."""
        epochs = 3 if model == "atto" else 15
        run = pretraining(model, encoder, seed, precision)
        weights = self.runs / run / "weights.safetensors"
        if not weights.exists() or run not in self.results.runs:
            more = ["--model", model, *SMALL, "--encoder", encoder, "--seed", seed, "--epochs", epochs, *PRETRAINING]
            self.call(run, "pretrain", "--data", self.data / "train", *more, "--precision", precision)
        return weights

    def finetune(self, model, start, precision, labels, seed, rate):
        run = finetuning(model, start, labels, seed, rate, precision)
        if run in self.results.runs:
            return
        search = seed == SEARCH_SEED
        epochs, batch = (ATTO_LABELS if model == "atto" else LABELS)[labels]
        data = ["--data", self.data / "train", "--val-fraction", "0.1"] if search else ["--data", self.data]
        if start == "scratch":
            init = ["--init", "none", "--model", model, *SMALL]
        else:
            init = ["--init", self.weights(model, start, SEEDS[0] if search else seed, precision)]
        more = ["--labels-per-class", labels, "--seed", seed, "--epochs", epochs, "--batch-size", batch]
        self.call(run, "finetune", *data, *init, *more, "--lr", f"{rate:g}", "--precision", precision)

    def cell(self, model, start, precision, seed):
        for labels in LABELS:
            if model != "atto" and start != "leaky" and precision == "f32":
                for rate in RATES[start]:
                    self.finetune(model, start, precision, labels, SEARCH_SEED, rate)
            rate = self.results.chosen_rate(model, start, labels)
            self.finetune(model, start, precision, labels, seed, rate)

    def run(self):
        self.runs.mkdir(parents=True, exist_ok=True)
        for seed in SEEDS:
            for model, start, precision, seeds in CELLS:
                if seed in seeds:
                    self.cell(model, start, precision, seed)


def spread(values):
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(results):
    head = ["model", "start", "precision"]
    print(row([*head, *(f"rate, {labels} a class | top-1, %" for labels in LABELS), "seeds"]))
    print("|---" * (4 + 2 * len(LABELS)) + "|")
    for model, start, precision, seeds in CELLS:
        found = [results.values(model, start, precision, labels, seeds) for labels in LABELS]
        rates = [results.chosen_rate(model, start, labels) for labels in LABELS]
        cells = [f"{rate or '-'} | {spread(list(values.values()))}" for rate, values in zip(rates, found)]
        print(row([model, start, precision, *cells, str(min(map(len, found)))]))
    titles = ["V2: FCMAE - scratch", "V1: FCMAE - scratch", "difference of differences", "V2: sparse - leaky"]
    titles += ["scratch: bf16 - f32", "FCMAE: bf16 - f32"]
    print("\n" + row(["labels a class", *titles]))
    print("|---" * (1 + len(titles)) + "|")
    for labels in LABELS:
        of = {cell[:3]: results.values(*cell[:3], labels, SEEDS) for cell in CELLS if cell[0] != "atto"}

        def differences(one, other):
            one, other = [(cell + ("f32",))[:3] for cell in (one, other)]
            return {seed: of[one][seed] - of[other][seed] for seed in SEEDS if seed in of[one] and seed in of[other]}

        second = differences(("micro", "sparse"), ("micro", "scratch"))
        first = differences(("v1-micro", "sparse"), ("v1-micro", "scratch"))
        of_both = {seed: second[seed] - first[seed] for seed in second if seed in first}
        leaky = differences(("micro", "sparse"), ("micro", "leaky"))
        rounded = [differences(("micro", start, "bf16"), ("micro", start)) for start in ("scratch", "sparse")]
        found = [second, first, of_both, leaky, *rounded]
        print(row([str(labels), *(spread(list(values.values())) for values in found)]))
    rates = sorted({rate for of_start in RATES.values() for rate in of_start})
    print("\n" + row(["search", "labels a class", *(f"{rate:g}" for rate in rates)]))
    print("|---" * (2 + len(rates)) + "|")
    for model, start, _, _ in CELLS[:4]:
        for labels in LABELS:
            found = [results.last_top1(finetuning(model, start, labels, SEARCH_SEED, rate)) for rate in rates]
            print(row([f"{model}, {start}", str(labels), *("" if v is None else f"{v:.2f}" for v in found)]))


def curves(results, out):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "convnext"
    from matplotlib import pyplot

    many = max(LABELS)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for model, start, precision, seeds in CELLS:
        label = named(f"{model}, {start}", precision)
        losses = [found for seed in seeds if (found := results.losses(pretraining(model, start, seed, precision)))]
        if losses:
            means = [statistics.mean(epoch) for epoch in zip(*losses)]
            left.plot(range(1, len(means) + 1), means, marker=".", label=label)
        runs = results.finetunings(model, start, precision, many, seeds).values()
        points = list(zip(*(results.top1(run) for run in runs)))
        if points and model != "atto":
            means = [statistics.mean(value for _, value in point) for point in points]
            right.plot([point[0][0] for point in points], means, marker=".", label=label)
    left.set(xlabel="epoch of pre-training", ylabel="loss at removed patches")
    right.set(xlabel=f"epoch of fine-tuning, {many} labels a class", ylabel="top-1 on the test images, %")
    for part in (left, right):
        part.legend()
    figure.savefig(out, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "curves"])
    parser.add_argument("--data", default="cifar10", help="the unpacked images")
    parser.add_argument("--runs", default="runs/cifar10", help="where runs are and go")
    parser.add_argument("--results", default=RESULTS, help="what the runs that have ended found")
    parser.add_argument("--out", default="curves.svg")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    results = Results(arguments.results)
    if arguments.what == "run":
        Study(arguments, results).run()
    elif arguments.what == "table":
        table(results)
    else:
        curves(results, arguments.out)


if __name__ == "__main__":
    main()
