"""Images a second of transformers' UperNet on ConvNeXt V2: whole training steps in PyTorch, or inference in PyTorch or
OpenVINO, with logits at the size of the images, in f32 or bf16.

    python -m venv peers && peers/bin/pip install torch transformers openvino
    peers/bin/python benches/peers/segment.py --mode segment-train --model atto --batch-size 8 --image-size 256
    peers/bin/python benches/peers/segment.py --mode segment-infer --peer openvino --image-size 512 --batch-size 1

A step is forward, backward and AdamW on random images, with the cross-entropy of both heads. Prints the median over
steps after a warm-up; one line of JSON.
"""

import argparse
import json

import torch
from transformers import ConvNextV2Config, UperNetConfig, UperNetForSemanticSegmentation
from timing import add_time_argument, timed

SIZES = {
    "atto": ((2, 2, 6, 2), 40),
    "femto": ((2, 2, 6, 2), 48),
    "pico": ((2, 2, 6, 2), 64),
    "nano": ((2, 2, 8, 2), 80),
    "tiny": ((3, 3, 9, 3), 96),
    "base": ((3, 3, 27, 3), 128),
    "large": ((3, 3, 27, 3), 192),
    "huge": ((3, 3, 27, 3), 352),
}


class Logits(torch.nn.Module):
    """The network with a tensor as its output."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images).logits


def network(arguments):
    depths, width = SIZES[arguments.model]
    backbone = ConvNextV2Config(
        hidden_sizes=[width << stage for stage in range(4)],
        depths=list(depths),
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=arguments.head_width, num_labels=arguments.classes
    )
    return UperNetForSemanticSegmentation(config)


def training(arguments, images):
    """A function that makes one step."""
    model = network(arguments).train()
    labels = torch.arange(images[:, 0].numel()).remainder(arguments.classes).reshape(images[:, 0].shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    if arguments.peer == "torch-channels-last":
        model, images = (part.to(memory_format=torch.channels_last) for part in (model, images))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            loss = model(images, labels=labels).loss
        loss.backward()
        optimizer.step()

    return step


def inference(arguments, images):
    """A function that segments one batch."""
    model = Logits(network(arguments)).eval()
    if arguments.peer in ("torch", "torch-channels-last"):
        if arguments.peer == "torch-channels-last":
            model, images = (part.to(memory_format=torch.channels_last) for part in (model, images))

        def call():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
                model(images)

        return call
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": arguments.threads,
        "INFERENCE_PRECISION_HINT": arguments.precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    converted = openvino.convert_model(model, example_input=images, input=[tuple(images.shape)])
    request = openvino.Core().compile_model(converted, "CPU", settings).create_infer_request()
    array = images.numpy()
    return lambda: request.infer({0: array}, share_inputs=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["segment-train", "segment-infer"], required=True)
    peers = ["torch", "torch-channels-last", "openvino"]
    parser.add_argument("--peer", choices=peers, default="torch", help="for segment-train those of PyTorch only")
    parser.add_argument("--model", choices=list(SIZES), default="atto", help="a size of ConvNeXt V2")
    parser.add_argument("--head-width", type=int, default=128)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    add_time_argument(parser)
    arguments = parser.parse_args()
    if arguments.mode == "segment-train" and not arguments.peer.startswith("torch"):
        parser.error(f"{arguments.peer} does not train")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images = torch.randn(arguments.batch_size, 3, arguments.image_size, arguments.image_size)
    step = (training if arguments.mode == "segment-train" else inference)(arguments, images)
    print(json.dumps({"peer": arguments.peer, **timed(step, arguments, warm_up=2)}))


if __name__ == "__main__":
    main()
