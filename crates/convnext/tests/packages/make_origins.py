"""Makes `origins/`: small checkpoints as other programs save them, and the logits of their models.

    python make_origins.py

Every file is written by the program itself where its name says so (timm's CheckpointSaver, Lightning's Trainer,
torchvision, transformers, HistoryBuffer of mmengine), and after its source code where the program is no package that
installs: SparK (`pretrain/utils/misc.py`), mmpretrain (`mmpretrain/models/backbones/convnext.py`) and FB's detection.
The files are packed with gzip; `logits.json` holds what the models answer about `image.png`, prepared as the weights
say: 224 px, bicubic, centre crop 0.875.
Made with torch 2.15.0, timm 1.0.31, torchvision 0.29.2, transformers 5.24.0, lightning 2.6.6, mmengine-lite 0.10.7.
"""

import argparse
import gzip
import json
import pathlib
import sys
import tempfile
import warnings
from collections import OrderedDict

import lightning
import numpy
import timm.utils
import torch
import torchvision
import transformers
from mmengine.logging import HistoryBuffer
from PIL import Image
from timm.data import create_transform
from timm.models.convnext import ConvNeXt
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.convnext import ConvNeXt as TorchvisionConvNeXt

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "convnext-io/tests/fixtures"))
from make_fixtures import official_names  # noqa: E402

HERE = pathlib.Path(__file__).parent / "origins"
DEPTHS, WIDTHS, CLASSES = (1, 1, 2, 1), (2, 3, 3, 4), 3
LOGITS = {}


def randomise(model, seed):
    """Weights at which every layer matters: logits of a fresh model are nearly constant."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 1
        drawn = torch.randn(parameter.shape, generator=generator)
        is_scale = parameter.ndim != 2 and parameter.ndim != 4 and "bias" not in name
        with torch.no_grad():
            parameter.copy_(1 + 0.3 * drawn if is_scale else drawn * fan**-0.5)
    return model.eval()


def image():
    y, x = numpy.mgrid[0:40, 0:50]
    waves = numpy.stack([numpy.sin(x / 5) + numpy.cos(y / 7), numpy.sin((x + y) / 6), numpy.cos(x * y / 300)], -1)
    Image.fromarray((127 + 60 * waves).astype(numpy.uint8)).save(HERE / "image.png")
    transform = create_transform((3, 224, 224), interpolation="bicubic", crop_pct=0.875)
    return transform(Image.open(HERE / "image.png").convert("RGB"))[None]


def keep(name, path, logits):
    (HERE / f"{name}.gz").write_bytes(gzip.compress(pathlib.Path(path).read_bytes(), 9, mtime=0))
    if logits is not None:
        LOGITS[name] = logits.flatten().tolist()


def of_timm(seed, v1=False, classes=CLASSES):
    options = {} if v1 else dict(use_grn=True, ls_init_value=None)
    return randomise(ConvNeXt(depths=DEPTHS, dims=WIDTHS, num_classes=classes, **options), seed)


def without_gradients(function):
    def quietly(*arguments):
        with torch.no_grad():
            return function(*arguments)

    return quietly


def timm_training(folder, tensor):
    """`model_best.pth.tar` as timm's train.py saves it, with an average and the state of an optimiser."""
    model, average = of_timm(0), timm.utils.ModelEmaV3(of_timm(1), decay=0.9)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    args = argparse.Namespace(model="convnextv2_atto", lr=0.1, crop_pct=None, mean=None, data_dir=pathlib.Path("/data"))
    saver = timm.utils.CheckpointSaver(
        model, optimizer, args=args, model_ema=average, amp_scaler=timm.utils.NativeScaler(device="cpu"), checkpoint_dir=folder, recovery_dir=folder
    )
    saver.save_checkpoint(3, metric=77.5)
    keep("timm_best.pth.tar", folder / "model_best.pth.tar", average.module(tensor))


def compiled_in_parallel(folder, tensor):
    """`torch.compile` around DataParallel, saved bare."""
    model = of_timm(2, v1=True)
    torch.save(torch.compile(torch.nn.DataParallel(model)).state_dict(), folder / "x.pt")
    keep("compiled_parallel.pt", folder / "x.pt", model(tensor))


class Net(lightning.LightningModule):
    def __init__(self, norm=torch.nn.LayerNorm, mode=None):
        super().__init__()
        self.save_hyperparameters()
        self.net = of_timm(3)
        self.loss = torch.nn.CrossEntropyLoss(weight=torch.ones(CLASSES))

    def training_step(self, batch, _):
        return self.loss(self.net(batch), torch.zeros(len(batch), dtype=torch.long))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def lightning_training(folder, tensor):
    """A checkpoint of Lightning after a step, with hyper-parameters that are classes and with a callback."""
    model = Net(mode=torch.nn.GELU())
    callback = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder)
    with torch.enable_grad():
        trainer = lightning.Trainer(
            max_steps=1, logger=False, callbacks=[callback], accelerator="cpu", enable_progress_bar=False, enable_model_summary=False
        )
        trainer.fit(model, torch.utils.data.DataLoader(tensor.repeat(2, 1, 1, 1), batch_size=2))
    trainer.save_checkpoint(folder / "x.ckpt")
    keep("lightning.ckpt", folder / "x.ckpt", model.net.eval()(tensor))


def of_torchvision(folder, tensor):
    """torchvision's V1, as the stream that PyTorch wrote before 1.6."""
    blocks = [CNBlockConfig(width, after, depth) for width, after, depth in zip(WIDTHS, WIDTHS[1:] + (None,), DEPTHS)]
    model = randomise(TorchvisionConvNeXt(blocks, num_classes=CLASSES), 4)
    torch.save(model.state_dict(), folder / "x.pth", _use_new_zipfile_serialization=False)
    keep("torchvision_stream.pth", folder / "x.pth", model(tensor))


def spark(folder):
    """SparK's checkpoint: a sparse encoder without head, the decoder, mask tokens, buffers and a configuration."""
    state = {f"sparse_encoder.sp_cnn.{name}": value for name, value in official_names(of_timm(5, v1=True, classes=0).state_dict()).items() if not name.startswith("norm.")}
    state["mask_tokens.0"] = torch.zeros(1, WIDTHS[3], 1, 1)
    state["densify_norms.0.weight"], state["densify_norms.0.num_batches_tracked"] = torch.ones(WIDTHS[3]), torch.tensor(4)
    state["densify_projs.0.weight"] = torch.zeros(8, WIDTHS[3], 1, 1)
    state["dense_decoder.dec.0.up_sample.weight"] = torch.zeros(8, 4, 2, 2)
    state["config"] = {"mask_ratio": 0.6, "densify_norm_str": "bn", "sbn": False, "hierarchy": 4, "dense_decoder.width": 8}
    torch.save(
        {"args": "Namespace(...)", "input_size": 224, "arch": "convnext_small", "epoch": 7, "performance_desc": "", "module": state, "optimizer": {"state": {}, "param_groups": []}, "is_pretrain": True},
        folder / "x.pth",
    )
    keep("spark.pth", folder / "x.pth", None)


def openmmlab_names(state, convolutions):
    """mmpretrain's names of a classifier, also with pointwise layers as convolutions."""
    renamed = OrderedDict()
    for name, value in official_names(state).items():
        name = name.replace("dwconv", "depthwise_conv").replace("pwconv", "pointwise_conv")
        if ".grn." in name:
            value = value.flatten()
        if "pointwise" in name and "weight" in name and convolutions:
            value = value[:, :, None, None]
        name = f"head.fc.{name[5:]}" if name.startswith("head.") else f"backbone.{name}"
        renamed[name.replace("backbone.norm.", "backbone.norm3.")] = value
    return renamed


def openmmlab_training(folder, tensor):
    """A checkpoint of mmengine with the history of its losses; its EMAHook has exchanged the two models."""
    average, model = of_timm(6), of_timm(7)
    history = HistoryBuffer([0.5, 0.25, 0.125], [1, 1, 1], 1_000_000)
    meta = {"epoch": 2, "iter": 3, "cfg": "model = dict()", "dataset_meta": {"classes": ("ant", "bee", "cat")}, "time": "20260101", "mmengine_version": "0.10.7"}
    message_hub = {"log_scalars": {"train/loss": history}, "runtime_info": {"epoch": 2, "best": numpy.float64(0.5)}, "resumed_keys": {}}
    ema = {f"module.{name}": value for name, value in openmmlab_names(model.state_dict(), True).items() if "depthwise" in name or "downsample" in name}
    ema["steps"] = torch.tensor(9)
    torch.save(
        {"meta": meta, "message_hub": message_hub, "state_dict": openmmlab_names(average.state_dict(), True), "ema_state_dict": ema},
        folder / "x.pth",
    )
    keep("openmmlab.pth", folder / "x.pth", average(tensor))


def detector(folder):
    """FB's V1 in a detector as mmdet publishes it: official names of blocks, norms of the maps, neck, heads, a stream."""
    state = {f"backbone.{name}": value for name, value in official_names(of_timm(8, v1=True, classes=0).state_dict()).items() if not name.startswith("norm.")}
    for stage, width in enumerate(WIDTHS):
        state[f"backbone.norm{stage}.weight"] = state[f"backbone.norm{stage}.bias"] = torch.ones(width)
        state[f"neck.lateral_convs.{stage}.conv.weight"] = torch.zeros(4, width, 1, 1)
    state["rpn_head.rpn_conv.weight"] = torch.zeros(4, 4, 3, 3)
    state["roi_head.bbox_head.shared_convs.0.bn.num_batches_tracked"] = torch.tensor(7)
    torch.save({"meta": {"CLASSES": ("person",)}, "state_dict": state}, folder / "x.pth", _use_new_zipfile_serialization=False)
    keep("detector_stream.pth", folder / "x.pth", None)


def of_transformers(folder, tensor):
    """transformers' V2 in three shards with their index, and the folder's configuration files."""
    config = transformers.ConvNextV2Config(depths=list(DEPTHS), hidden_sizes=list(WIDTHS), num_labels=CLASSES)
    model = randomise(transformers.ConvNextV2ForImageClassification(config), 9)
    model.save_pretrained(folder / "sharded", max_shard_size="3KB")
    for path in sorted((folder / "sharded").iterdir()):
        if path.name.startswith("model"):
            keep(f"sharded/{path.name}", path, None)
    LOGITS["sharded"] = model(tensor).logits.flatten().tolist()


@without_gradients
def main():
    warnings.simplefilter("ignore")
    (HERE / "sharded").mkdir(parents=True, exist_ok=True)
    tensor = image()
    for make in [timm_training, compiled_in_parallel, lightning_training, of_torchvision, openmmlab_training, of_transformers]:
        with tempfile.TemporaryDirectory() as folder:
            make(pathlib.Path(folder), tensor)
    for make in [spark, detector]:
        with tempfile.TemporaryDirectory() as folder:
            make(pathlib.Path(folder))
    (HERE / "logits.json").write_text(json.dumps(LOGITS, indent=1) + "\n")


if __name__ == "__main__":
    main()
