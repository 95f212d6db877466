"""How far `--recipe auto` is from the best of twelve settings, on parts of CIFAR-10.

    python benches/studies/auto.py search --data CIFAR10 --pretrained RUNS --runs RUNS   # twelve settings a case
    python benches/studies/auto.py compare --data CIFAR10 --pretrained RUNS --runs RUNS  # the best of them, and auto
    python benches/studies/auto.py full --data CIFAR10 --pretrained RUNS --runs RUNS     # probes, neighbours, augmentation
    python benches/studies/auto.py table

CIFAR10 holds train/CLASS/*.jpg and test/CLASS/*.jpg, 32 pixels each. `--pretrained` holds the pre-trainings of
`cifar10.py` (pretrain-micro-sparse-SEED). Settings are chosen on 2,000 training images that nobody learns from, with
labels that no compared run has; what is compared is measured on the test images, in the end, and on a tenth of them
after each epoch. What has ended stands in a file of results, a line for each run, and is not done again. Runs compute
in bf16, two at a time.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, get_ident

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "release" / "convnext"
RESULTS = ROOT / "docs" / "results" / "2026-11-25-auto.jsonl"
SEARCH_SEED = 100
HELD_OUT = 2000
SMALL = ["--image-size", "32", "--stem-stride", "1"]
STRONG = ["augmentation.rand_augment=rand-m9-mstd0.5-inc1", "augmentation.random_erasing=0.25", "mixing.mixup=0.8", "mixing.cutmix=1.0"]
# From 500 images down to 25.
LONG_TAIL = [round(500 * 0.05 ** (rank / 9)) for rank in range(10)]


class Case:
    def __init__(self, name, start, sizes, batch, epochs, rates, seeds=range(3)):
        self.name, self.start, self.sizes, self.seeds = name, start, sizes, list(seeds)
        self.batch, self.epochs, self.rates = batch, epochs, rates

    def balanced(self):
        return len(set(self.sizes)) == 1

    def settings(self):
        """Twelve: rate, augmentation, and length or, where classes are unbalanced, their weights."""
        for rate in self.rates:
            for augmentation in ["plain", "strong"]:
                for other in ["short", "long"] if self.balanced() else ["equal", "balanced"]:
                    yield rate, augmentation, other


# Rules were changed after they had been compared on seeds from 0 on; where they were, fresh seeds follow.
LOW, HIGH = [5e-4, 1e-3, 2e-3], [2e-3, 4e-3, 8e-3]
CASES = [
    Case("100", "fcmae", [10] * 10, 16, (60, 200), HIGH, seeds=range(10, 15)),
    Case("100", "scratch", [10] * 10, 16, (60, 200), LOW, seeds=range(10, 15)),
    Case("1000", "fcmae", [100] * 10, 32, (30, 100), HIGH),
    Case("1000", "scratch", [100] * 10, 32, (30, 100), LOW, seeds=range(10, 13)),
    # Cats and dogs, 10 to 1: at the rates of the others nothing is learned.
    Case("two-unbalanced", "fcmae", [0, 0, 0, 600, 0, 60, 0, 0, 0, 0], 32, (50, 50), LOW, seeds=range(20, 23)),
    Case("ten-unbalanced", "fcmae", LONG_TAIL, 32, (50, 50), HIGH, seeds=range(20, 23)),
    Case("5000", "fcmae", [500] * 10, 64, (15, 50), HIGH),
    Case("5000", "scratch", [500] * 10, 64, (15, 50), LOW),
]


class Study:
    def __init__(self, arguments):
        self.arguments = arguments
        self.path, self.lock = Path(arguments.results), Lock()
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.found = {line["run"]: line for line in map(json.loads, lines)}

    def labels(self, case, seed, search, every=1):
        """A file of the images that a run learns from and is measured on; of the test images one in so many."""
        data, chance = Path(self.arguments.data), random.Random(seed)
        rows, rest = [], []
        for size, folder in zip(case.sizes, sorted((data / "train").iterdir())):
            if size == 0:
                continue
            images = sorted(folder.iterdir())
            chance.shuffle(images)
            rows += [(image, folder.name, "train") for image in images[:size]]
            rest += [(image, folder.name, "val") for image in images[600 : 600 + HELD_OUT // 10]]
        if not search:
            classes = {label for _, label, _ in rows}
            images = sorted((data / "test").glob("*/*"))[::every]
            rest = [(image, image.parent.name, "val") for image in images if image.parent.name in classes]
        file = Path(self.arguments.runs) / f"labels-{case.name}-{seed}-{'search' if search else f'test-{every}'}.csv"
        # The other run may be reading it.
        unfinished = file.with_suffix(f".{get_ident()}")
        with unfinished.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["path", "label", "split"])
            writer.writerows((image.relative_to(data).as_posix(), label, part) for image, label, part in rows + rest)
        unfinished.replace(file)
        return file

    def run(self, case, seed, search, setting):
        name = "-".join(map(str, [case.name, case.start, "search" if search else "test", seed, *(["auto"] if setting is None else setting)]))
        if name in self.found:
            return
        runs = Path(self.arguments.runs)
        weights = Path(self.arguments.pretrained) / f"pretrain-micro-sparse-{0 if search else seed % 3}" / "weights.safetensors"
        init = ["--init", "none", "--model", "micro", *SMALL] if case.start == "scratch" else ["--init", weights]
        more = ["--recipe", "auto"]
        if setting is not None:
            rate, augmentation, other = setting
            epochs = case.epochs[other != "short"]
            more = ["--recipe", "plain", "--lr", f"{rate:g}", "--epochs", epochs, "--batch-size", case.batch]
            more += [word for key in STRONG if augmentation == "strong" for word in ("--set", key)]
            more += ["--class-weights", "balanced"] if other == "balanced" else []
        out = runs / name
        summary = self.train(out, case, seed, search, *init, *more)
        top1 = summary["last"]["validation_top1"] if search else self.measure(out / "weights.safetensors", case, seed)
        shown = " ".join(map(str, ["convnext", *more]))
        self.add({"run": name, "command": shown, "seconds": round(summary["seconds"]), "top1": round(100 * top1, 3)})

    def call(self, command, labels, *more):
        common = ["--data", self.arguments.data, "--labels", labels, "--precision", "bf16", "--threads", "1", "-q"]
        call = list(map(str, [self.arguments.program, command, *common, *more]))
        return subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout

    def train(self, out, case, seed, search, *more):
        labels = self.labels(case, seed, search, every=10)
        self.call("finetune", labels, *more, "--seed", seed, "--out", out, "--resume", "--checkpoint-every", "600")
        return json.loads((out / "summary.json").read_text())

    def measure(self, weights, case, seed, *more):
        """Top-1 on all test images."""
        return json.loads(self.call("evaluate", self.labels(case, seed, False), "--weights", weights, "--json", *more))["top1"]

    def judge(self, case, seed, how):
        """What pre-trained features are worth: a linear probe, or the nearest neighbours without training."""
        name = f"{case.name}-{case.start}-{how}-{seed}"
        if name in self.found:
            return
        weights = Path(self.arguments.pretrained) / f"pretrain-micro-sparse-{seed}" / "weights.safetensors"
        if how == "knn":
            top1 = self.measure(weights, case, seed, "--knn")
        else:
            out, start = Path(self.arguments.runs) / name, ["--init", weights, "--freeze", "encoder"]
            self.train(out, case, seed, False, *start, "--recipe", "plain", "--lr", "0.01", "--epochs", case.epochs[1], "--batch-size", case.batch)
            top1 = self.measure(out / "weights.safetensors", case, seed)
        self.add({"run": name, "top1": round(100 * top1, 3)})

    def add(self, line):
        with self.lock:
            self.found[line["run"]] = line
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(line["run"], line["top1"], flush=True)

    def full(self):
        """From the same weights with 5,000 labels: plain and strong augmentation, short and long; probe; neighbours."""
        case = next(case for case in CASES if (case.name, case.start) == ("5000", "fcmae"))
        with ThreadPoolExecutor(2) as pool:
            jobs = []
            for seed in case.seeds:
                jobs += [pool.submit(self.judge, case, seed, how) for how in ["knn", "probe"]]
                for augmentation in ["plain", "strong"]:
                    jobs += [pool.submit(self.run, case, seed, False, (4e-3, augmentation, length)) for length in ["short", "long"]]
            for job in jobs:
                job.result()

    def top1(self, case, seed, search, setting):
        kind = "search" if search else "test"
        line = self.found.get("-".join(map(str, [case.name, case.start, kind, seed, *(["auto"] if setting is None else setting)])))
        return line and line["top1"]

    def best(self, case):
        found = {setting: self.top1(case, SEARCH_SEED, True, setting) for setting in case.settings()}
        return None if None in found.values() else max(found, key=found.get)

    def jobs(self, compare):
        for case in CASES:
            if not compare:
                yield from ((case, SEARCH_SEED, True, setting) for setting in [*case.settings(), None])
            elif self.best(case):
                yield from ((case, seed, False, setting) for seed in case.seeds for setting in [self.best(case), None])

    def go(self, compare):
        Path(self.arguments.runs).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self.run, *job) for job in self.jobs(compare)]:
                done.result()

    def table(self):
        print("| images | start | best of twelve | top-1, best | top-1, auto | auto - best | error of the difference | seeds |")
        print("|---|---|---|---|---|---|---|---|")
        for case in CASES:
            best = self.best(case)
            pairs = [(self.top1(case, seed, False, best), self.top1(case, seed, False, None)) for seed in case.seeds]
            pairs = [pair for pair in pairs if None not in pair]
            if best is None or len(pairs) < 2:
                continue
            differences = [auto - other for other, auto in pairs]
            error = statistics.stdev(differences) / len(differences) ** 0.5
            words = ", ".join([f"{best[0]:g}", *best[1:]])
            means = [statistics.mean(values) for values in zip(*pairs)]
            print(f"| {case.name} | {case.start} | {words} | {means[0]:.2f} | {means[1]:.2f} | {statistics.mean(differences):+.2f} | {error:.2f} | {len(pairs)} |")
        print("\n| images | start | setting | top-1 on what was held out |\n|---|---|---|---|")
        for case in CASES:
            for setting in [*case.settings(), None]:
                value = self.top1(case, SEARCH_SEED, True, setting)
                words = "auto" if setting is None else ", ".join([f"{setting[0]:g}", *setting[1:]])
                if value is not None:
                    print(f"| {case.name} | {case.start} | {words} | {value:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["search", "compare", "full", "table"])
    parser.add_argument("--data")
    parser.add_argument("--pretrained")
    parser.add_argument("--runs")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--results", default=RESULTS)
    arguments = parser.parse_args()
    study = Study(arguments)
    if arguments.what == "table":
        study.table()
    elif arguments.what == "full":
        study.full()
    else:
        study.go(arguments.what == "compare")


if __name__ == "__main__":
    main()
