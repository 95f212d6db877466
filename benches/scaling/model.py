"""How a pre-training scales over nodes: measured compute, counted bytes, and networks of 1, 10 and 100 Gbit/s.

    convnext bench --mode pretrain --model NAME --batch-size 8 --json >> MEASURED.jsonl    # one line for each model
    python benches/scaling/model.py MEASURED.jsonl [--node 32] [--micro-batch 64] [--rounds 1]

A step of R ranks takes the time of `rounds` micro-batches, and that of the exchange of their gradients: in each round a
rank sends (R - 1) / R of the bytes of a gradient, and as much once to gather the sum. Each bucket of 4 MiB goes in R - 1
messages, each of which costs `--message` seconds besides its bytes. Nothing overlaps, as in the program. Efficiency is the
part of a step that is compute. `--node` says how much faster a node is than the measured machine. Parameters are those of
encoder and decoder.
"""

import argparse
import json
import subprocess

BUCKET = 1 << 22
NODES = [1, 2, 4, 16, 64, 256]
NETWORKS = [1e9, 1e10, 1e11]


def step(images_per_second, values, nodes, bits, arguments):
    """Seconds of compute and of communication of a step."""
    compute = arguments.rounds * arguments.micro_batch / (images_per_second * arguments.node)
    if nodes == 1:
        return compute, 0.0
    passes = arguments.rounds + 1
    sent = 4 * values * (nodes - 1) / nodes
    messages = -(-4 * values // BUCKET) * (nodes - 1)
    return compute, passes * (8 * sent / bits + messages * arguments.message)


def parameters(program):
    """Learned values of FCMAE with its usual decoder, by the name of the model."""
    listed = json.loads(subprocess.run([program, "models", "--json"], check=True, capture_output=True, text=True).stdout)
    decoder = 512
    found = {}
    for model in listed:
        width = model["widths"][-1]
        # Projection, mask token, one block of the decoder and the prediction of 32 x 32 x 3 values.
        block = 49 * decoder + decoder + 2 * decoder + 8 * decoder * decoder + 5 * decoder + 8 * decoder
        # Without the final norm and the head of 1,000 classes.
        backbone = model["parameters"] - 2 * width - 1000 * (width + 1)
        found[model["name"]] = backbone + width * decoder + decoder * 2 + block + 3072 * (decoder + 1)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured")
    parser.add_argument("--program", default="target/release/convnext")
    parser.add_argument("--node", type=float, default=1, help="speed of a node over the measured machine")
    parser.add_argument("--micro-batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1, help="micro-batches of a rank in a step")
    parser.add_argument("--message", type=float, default=1e-5, help="seconds of a message besides its bytes")
    arguments = parser.parse_args()
    values = parameters(arguments.program)
    networks = [f"{bits / 1e9:.0f} Gbit/s" for bits in NETWORKS]
    print("| model | img/s of a node | nodes | " + " | ".join(networks) + " |")
    print("|---|---|---|" + "---|" * len(NETWORKS))
    for line in open(arguments.measured):
        found = json.loads(line)
        model, speed = found["model"], found["images_per_second"]
        for nodes in NODES[1:]:
            cells = []
            for bits in NETWORKS:
                compute, communication = step(speed, values[model], nodes, bits, arguments)
                cells.append(f"{100 * compute / (compute + communication):.0f} %")
            head = [model, f"{speed * arguments.node:.1f}"] if nodes == NODES[1] else ["", ""]
            print("| " + " | ".join([*head, str(nodes), *cells]) + " |")
