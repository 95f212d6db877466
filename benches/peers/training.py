"""What trainings of peers share: the optimiser and its rate by our recipes, and the loop over epochs."""

import json
import math
import time

import torch

WEIGHT_DECAY = 0.05
# The share of the steps in which the rate rises.
WARM_UP = 1 / 20
VALIDATE_EVERY = 3


def optimizer_of(model):
    """AdamW that decays weights of two and more dimensions, but not GRN's."""
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim > 1 and ".grn." not in name].append(parameter)
    decayed, others = groups[True], {"params": groups[False], "weight_decay": 0.0}
    return torch.optim.AdamW([{"params": decayed}, others], betas=(0.9, 0.999), weight_decay=WEIGHT_DECAY)


def learning_rate(step, arguments):
    """Poly of power 1 to 0 from the first step on, times a linear warm-up."""
    return arguments.lr * (1 - step / arguments.steps) * min(step / (WARM_UP * arguments.steps), 1.0)


def take_step(optimizer, rate, loss_of, clip_norm=None):
    """The loss before the step; `clip_norm` limits the norm of all gradients."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of()
    loss.backward()
    if clip_norm is not None:
        torch.nn.utils.clip_grad_norm_((p for group in optimizer.param_groups for p in group["params"]), clip_norm)
    optimizer.step()
    return loss.item()


def train_epochs(samples, rng, arguments, step, validate):
    """Prints a line of JSON for each epoch, which leaves out what fills no batch: its number from 0, mean loss and seconds,
    and after every third epoch and the last step what `validate` returns. `step` takes samples and the rate."""
    size, of_epoch = arguments.batch_size, len(samples) // arguments.batch_size
    epochs = math.ceil(arguments.steps / of_epoch)
    for epoch in range(epochs):
        begin, losses, first = time.perf_counter(), [], epoch * of_epoch
        order = rng.permutation(len(samples))
        for number in range(min(of_epoch, arguments.steps - first)):
            chosen = [samples[index] for index in order[number * size :][:size]]
            losses.append(step(chosen, learning_rate(first + number, arguments)))
        line = {"epoch": epoch, "loss": round(sum(losses) / len(losses), 5)}
        if (epoch + 1) % VALIDATE_EVERY == 0 or epoch + 1 == epochs:
            line |= validate()
        print(json.dumps({**line, "seconds": round(time.perf_counter() - begin, 2)}), flush=True)


def run(parser, train, steps, batch_size):
    """Adds what all trainings have, and trains."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--lr", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    train(arguments)
