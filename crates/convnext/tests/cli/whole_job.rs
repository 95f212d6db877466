//! From images to answers: pre-train, fine-tune, evaluate, classify.

use super::bench::Bench;

#[test]
fn images_are_learnt_and_recognised() {
    let bench = Bench::new();
    bench.draw_classes("photos/train", 24);
    bench.draw_classes("photos/val", 8);
    bench.succeed(
        "pretrain --data photos/train --model micro --image-size 32 --stem-stride 1 --steps 6 --batch-size 12 \
         --out pretrained",
    );
    // Image size and stem stride come from the weights.
    let said = bench.succeed(
        "finetune --data photos --init pretrained/weights.safetensors --epochs 4 --batch-size 12 \
         --out classifier",
    );
    let result = bench.json("evaluate --data photos --weights classifier/weights.safetensors --json");
    assert_eq!(result["images"], 24, "the validation part has 3 x 8 images: {result}");
    let top1 = result["top1"].as_f64().unwrap();
    assert!(top1 > 0.6, "a third would be chance, {top1} was reached: {result}");
    assert!(said.contains(&format!("validation top-1 {:.2} %", 100.0 * top1)), "{said}");

    let last = bench.read_text("classifier/metrics.jsonl");
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(last["validation_top1"], result["top1"], "{last}");

    let answers =
        bench.json("classify photos/val/vertical/00.png --weights classifier/weights.safetensors --json");
    assert_eq!(answers[0]["image"], "photos/val/vertical/00.png");
    assert_eq!(answers[0]["predictions"].as_array().unwrap().len(), 3, "{answers}");
}
