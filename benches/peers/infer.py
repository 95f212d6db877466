"""Images a second of other runtimes on the same model, image size and threads, in f32 or bf16.

    python -m venv peers && peers/bin/pip install torch timm onnx onnxscript onnxruntime openvino
    peers/bin/python benches/peers/infer.py --peer openvino --model atto --batch-size 8

Prints the median over calls, on random images, after a warm-up; one line of JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path
from timing import add_time_argument, timed


def export(model, images, path):
    import torch

    torch.onnx.export(model, (images,), str(path), dynamo=False, input_names=["images"], output_names=["logits"])


def build(peer, name, batch_size, image_size, threads, precision):
    """A function that classifies one batch."""
    import timm
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = timm.create_model(f"convnextv2_{name}").eval()
    images = torch.randn(batch_size, 3, image_size, image_size)
    if peer in ("torch", "torch-channels-last", "torch-compile"):
        if peer == "torch-channels-last":
            model, images = (part.to(memory_format=torch.channels_last) for part in (model, images))
        if peer == "torch-compile":
            model = torch.compile(model)

        def call():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                model(images)

        return call
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(model, images, path)
        if peer == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            feed = {"images": images.numpy()}
            return lambda: session.run(None, feed)
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = core.compile_model(core.read_model(str(path)), "CPU", settings).create_infer_request()
        array = images.numpy()
        return lambda: request.infer({0: array}, share_inputs=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peers = ["torch", "torch-channels-last", "torch-compile", "onnxruntime", "openvino"]
    parser.add_argument("--peer", choices=peers, required=True)
    parser.add_argument("--model", default="atto", help="a size of ConvNeXt V2")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16 not for onnxruntime")
    add_time_argument(parser)
    arguments = parser.parse_args()
    if arguments.peer == "onnxruntime" and arguments.precision == "bf16":
        parser.error("onnxruntime has no bf16 on CPUs")
    call = build(
        arguments.peer,
        arguments.model,
        arguments.batch_size,
        arguments.image_size,
        arguments.threads,
        arguments.precision,
    )
    # The memory would be that of the conversion as well.
    print(json.dumps({"peer": arguments.peer, "images_per_second": timed(call, arguments)["images_per_second"]}))


if __name__ == "__main__":
    main()
