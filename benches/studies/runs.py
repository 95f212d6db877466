"""What studies share: runs that go on where they stopped, a file of what those that have ended found, and its tables."""

import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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

    def ours(self, run, command, *more, again=False):
        """A training of this program, unless it has ended before; `wanted` are the metrics that are kept, and their names.
        `again` makes the weights of one that ended on another machine, and leaves its line as it is."""
        if run in self.results.runs and not again:
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
        if run not in self.results.runs:
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


class Transfer:
    """A study of what pre-trainings are worth: one for each start but the first, which is from scratch, a search of the rate,
    trainings with some labels and several seeds, and a peer's from scratch with all labels. A subclass says:

    SEEDS, LABELLED (numbers of images, all of them first), RATES (those searched of a start), STEPS, BATCH, METRIC (by which
    rates are chosen), SETTINGS (of all trainings), VALIDATE_EVERY (epochs, by the number of images), PEER (its name and
    script) and PEER_SETTINGS, and `rates_of` (the start whose rates another takes)."""

    SEARCH_SEED = 100

    def __init__(self, runs, data, training):
        self.runs, self.data, self.training = runs, data, training

    @classmethod
    def searching(cls, start):
        """Names of the runs by their rates."""
        return {rate: f"search-{start}-{rate:g}" for rate in cls.RATES[start]}

    @classmethod
    def finetuning(cls, start, labelled):
        """Names of the runs by their seeds."""
        return {seed: f"finetune-{start}-{labelled}-{seed}" for seed in cls.SEEDS}

    @classmethod
    def chosen_rate(cls, results, start):
        return results.best(cls.searching(cls.rates_of(start)), cls.METRIC)

    @classmethod
    def searched(cls):
        """Names of the starts whose rates are searched."""
        return cls.STARTS

    def init(self, start):
        if start == "scratch":
            return ["--model", "atto", "--init", "none"]
        return ["--init", self.runs.folder / f"pretrain-{start}" / "weights.safetensors"]

    def runs_from(self, start):
        """Names of the runs that start from these weights."""
        searching = self.searching(start).values() if start in self.RATES else []
        return [*searching, *(run for labelled in self.LABELLED for run in self.finetuning(start, labelled).values())]

    def pretrain(self, start):
        images = ["--data", self.images_of(start)]
        run = f"pretrain-{start}"
        wanted = self.runs_from(start)
        has_weights = (self.runs.folder / run / "weights.safetensors").exists()
        again = not has_weights and any(name not in self.runs.results.runs for name in wanted)
        self.runs.ours(run, "pretrain", *images, "--model", "atto", *PRETRAINING, again=again)

    def search(self, start, rate):
        more = ["--lr", f"{rate:g}", "--steps", self.STEPS // 3, "--val-fraction", "0.2", "--seed", self.SEARCH_SEED]
        self.train(self.searching(start)[rate], self.training, start, more)

    def finetune(self, start, labelled, seed):
        rate = self.chosen_rate(self.runs.results, start)
        more = ["--lr", f"{rate:g}", "--steps", self.STEPS, "--labelled-images", labelled, "--seed", seed]
        more += ["--set", f"training.validate_every={{ epochs = {self.VALIDATE_EVERY[labelled]} }}"]
        self.train(self.finetuning(start, labelled)[seed], self.data, start, more)

    def train(self, run, data, start, more):
        self.runs.ours(run, "finetune", "--data", data, *self.init(start), *self.SETTINGS, *more)

    def peer(self, seed):
        name, script = self.PEER
        rate = self.chosen_rate(self.runs.results, name)
        more = ["--data", self.data, "--steps", self.STEPS, "--batch-size", self.BATCH, "--lr", f"{rate:g}", "--seed", seed]
        self.runs.peer(self.finetuning(name, self.LABELLED[0])[seed], script, *self.PEER_SETTINGS, *more)

    def run(self, with_peer):
        starts = list(self.STARTS)
        with ThreadPoolExecutor(2) as two:
            list(two.map(self.pretrain, starts[1:]))
            list(two.map(lambda cell: self.search(*cell), [(s, r) for s in self.RATES for r in self.RATES[s]]))
            # Those from scratch last: they can be made on a machine that has not the pre-trained weights.
            ordered = [*starts[1:], starts[0]]
            cells = [(start, count, seed) for start in ordered for count in self.LABELLED for seed in self.SEEDS]
            list(two.map(lambda cell: self.finetune(*cell), cells))
            list(two.map(self.peer, self.SEEDS if with_peer else []))

    @classmethod
    def names(cls):
        return {**cls.STARTS, cls.PEER[0]: cls.PEER_NAME}

    @classmethod
    def compared(cls):
        """Pairs of starts whose difference is shown."""
        return [(start, "scratch") for start in list(cls.STARTS)[1:]]

    @classmethod
    def print_table(cls, results, metrics):
        """Means and deviations, differences by seed, and the search. `metrics` are the names of those in the results."""
        kinds = [(labelled, metric) for labelled in cls.LABELLED for metric in metrics]
        of = lambda start, kind: results.of_seeds(cls.finetuning(start, kind[0]), kind[1])
        heads = [f"{metrics[metric]}, {labelled} images" for labelled, metric in kinds]
        print_row(["start", "rate", *heads], is_head=True)
        for start, name in cls.names().items():
            rate = cls.chosen_rate(results, start)
            print_row([name, "-" if rate is None else f"{rate:g}", *(spread(of(start, kind).values()) for kind in kinds)])
        print()
        print_row(["difference, by seed", *heads], is_head=True)
        for start, base in cls.compared():
            pairs = [(of(start, kind), of(base, kind)) for kind in kinds]
            cells = [spread(one[seed] - other[seed] for seed in cls.SEEDS if seed in one and seed in other) for one, other in pairs]
            print_row([f"{cls.names()[start]} - {cls.names()[base]}", *cells])
        print()
        print_row([f"search, {metrics[cls.METRIC]} of the held-out fifth", "rate: %"], is_head=True)
        for start in cls.RATES:
            found = {rate: results.last(run, cls.METRIC) for rate, run in cls.searching(start).items()}
            done = (f"{rate:g}: {value:.2f}" for rate, value in found.items() if value is not None)
            print_row([cls.searched()[start], ", ".join(done) or "-"])

    @classmethod
    def draw(cls, results, metrics, out):
        def line(start, labelled, metric):
            runs = [run for run in cls.finetuning(start, labelled).values() if run in results.runs]
            return cls.names()[start], [results.curve(run, metric) for run in runs]

        def part(labelled, metric):
            label = f"{metrics[metric]} on the validation images, %"
            return f"epoch, {labelled} labelled images", label, [line(start, labelled, metric) for start in cls.names()]

        draw_curves([part(labelled, metric) for labelled in cls.LABELLED for metric in metrics], out)


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

    figure, axes = pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 4.5), layout="constrained")
    for (title, label, lines), part in zip(parts, axes):
        for name, curves in lines:
            means = [(group[0][0], statistics.mean(value for _, value in group)) for group in zip(*curves)]
            if means:
                part.plot(*zip(*means), marker=".", label=name)
        part.set(xlabel=title, ylabel=label)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(out, metadata={"Date": None})


def add_arguments(parser, study, results):
    parser.add_argument("what", choices=["run", "table", "curves"])
    parser.add_argument("--runs", default=f"runs/{study}", help="where runs are and go")
    parser.add_argument("--results", default=results, help="what the runs that have ended found")
    parser.add_argument("--out", default="curves.svg")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--without-peer", action="store_true", help="leave PyTorch's runs for later")


def main(parser, study, metrics, make):
    """Does what is asked for; `make` makes a study of arguments and results."""
    arguments = parser.parse_args()
    results = Results(arguments.results)
    if arguments.what == "run":
        os.nice(19)
        make(arguments, results).run(not arguments.without_peer)
    elif arguments.what == "table":
        study.print_table(results, metrics)
    else:
        study.draw(results, metrics, arguments.out)
