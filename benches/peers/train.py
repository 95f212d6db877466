"""Images a second of whole PyTorch training steps: supervised, or FCMAE with a masked dense encoder, in f32 or
under autocast to bf16.

    python -m venv peers && peers/bin/pip install torch timm
    peers/bin/python benches/peers/train.py --mode pretrain --model atto --batch-size 16

A step is forward, backward and AdamW on random images. The encoder computes every site and sets removed
ones to zero after the stem and after each block, as the release does without its sparse library; the
prediction layer runs on all patches. Prints the median over steps after a warm-up; one line of JSON.
"""

import argparse
import json

import timm
import torch
from timm.models.convnext import ConvNeXtBlock
from torch import nn
from torch.nn import functional as F
from timing import add_time_argument, timed

PATCH, RATIO, DECODER_WIDTH = 32, 0.6, 512


class MaskedAutoencoder(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.encoder = timm.create_model(f"convnextv2_{name}", num_classes=0)
        width = self.encoder.num_features
        self.proj = nn.Conv2d(width, DECODER_WIDTH, 1)
        self.mask_token = nn.Parameter(torch.zeros(1, DECODER_WIDTH, 1, 1))
        self.decoder = ConvNeXtBlock(DECODER_WIDTH, use_grn=True, ls_init_value=None, conv_mlp=False)
        self.pred = nn.Conv2d(DECODER_WIDTH, 3 * PATCH**2, 1)

    def forward(self, images, kept):
        x = self.encoder.stem(images)
        for number, stage in enumerate(self.encoder.stages):
            mask = kept.repeat_interleave(8 >> number, 2).repeat_interleave(8 >> number, 3)
            x = stage.downsample(x * mask if number == 0 else x)
            for block in stage.blocks:
                x = block(x) * mask
        x = self.proj(x) * kept + self.mask_token * (1 - kept)
        predictions = self.pred(self.decoder(x)).flatten(2).transpose(1, 2)
        count, _, height, width = images.shape
        rows, columns = height // PATCH, width // PATCH
        targets = images.reshape(count, 3, rows, PATCH, columns, PATCH).permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        targets = (targets - targets.mean(-1, keepdim=True)) / (targets.var(-1, keepdim=True) + 1e-6).sqrt()
        removed = 1 - kept.flatten(1)
        return ((predictions - targets).square().mean(-1) * removed).sum() / removed.sum()


def build(arguments):
    """A function that makes one step."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images = torch.randn(arguments.batch_size, 3, arguments.image_size, arguments.image_size)
    if arguments.mode == "pretrain":
        model = MaskedAutoencoder(arguments.model)
        side = arguments.image_size // PATCH
        kept_count = int(side**2 * (1 - RATIO))

        def loss_of(run):
            order = torch.rand(arguments.batch_size, side**2).argsort(1)
            kept = (order < kept_count).float().reshape(-1, 1, side, side)
            return run(images, kept)

    else:
        model = timm.create_model(f"convnextv2_{arguments.model}")
        labels = torch.arange(arguments.batch_size)

        def loss_of(run):
            return F.cross_entropy(run(images), labels, label_smoothing=0.1)

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    run = torch.compile(model) if arguments.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            loss = loss_of(run)
        loss.backward()
        optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["train", "pretrain"], required=True)
    parser.add_argument("--model", default="atto", help="a size of ConvNeXt V2")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    add_time_argument(parser)
    arguments = parser.parse_args()
    step = build(arguments)
    print(json.dumps(timed(step, arguments)))


if __name__ == "__main__":
    main()
