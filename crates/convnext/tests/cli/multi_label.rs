//! `--task multi-label`: several classes of an image, from training to answers.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::colours::colours;
use super::images::CLASSES;

const FINETUNE: &str = "finetune --task multi-label --data photos --labels labels.csv --model micro --image-size 32 \
                        --stem-stride 1 --batch-size 8";

fn of_colour<'a>(list: &'a Value, colour: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|entry| entry["label"] == colour).unwrap()
}

#[test]
fn a_image_has_each_of_its_classes() {
    let bench = colours();
    let said = bench.succeed(&format!("{FINETUNE} --epochs 12 --lr 0.004 --out run"));
    assert!(said.contains("mean average precision") && said.contains("--labels labels.csv"), "{said}");

    let weights = "--weights run/weights.safetensors";
    let result = bench.json(&format!("evaluate --data photos --labels labels.csv {weights} --json"));
    assert_eq!((&result["kind"], &result["images"]), (&"multi-label".into(), &16.into()), "{result}");
    assert!(result["metrics"][0]["value"].as_f64().unwrap() > 0.95, "{result}");
    assert_eq!(of_colour(&result["classes"], "green")["images"], 8, "{result}");
    let recorded: Value = serde_json::from_str(&bench.read_text("run/evaluation.json")).unwrap();
    assert_eq!((&recorded["metrics"], &recorded["kind"]), (&result["metrics"], &result["kind"]));
    bench
        .run(&format!("evaluate --data photos --labels labels.csv {weights}"))
        .success()
        .stdout(contains("average precision").and(contains("the validation rows of labels.csv")));

    // 62 is green and blue without red, 56 none of them.
    let answers = bench.json(&format!("classify photos/62.png photos/56.png {weights} --json"));
    let probability = |image: usize, colour| {
        of_colour(&answers[image]["predictions"], colour)["probability"].as_f64().unwrap()
    };
    for (image, colour, is_in) in
        [(0, "red", false), (0, "green", true), (0, "blue", true), (1, "green", false), (1, "blue", false)]
    {
        assert_eq!(probability(image, colour) >= 0.5, is_in, "{colour} of {image}: {answers}");
    }
    let report = bench.read_text("run/report.html");
    for words in ["mean average precision", "<th scope=\"row\">green</th>", "recall"] {
        assert!(report.contains(words), "the report has no {words}");
    }
}

#[test]
fn the_other_commands_know_what_the_weights_are() {
    let bench = colours();
    bench.succeed(&format!("{FINETUNE} --steps 2 --out run"));
    let weights = "run/weights.safetensors";
    let contents = bench.json(&format!("inspect {weights} --json"));
    assert_eq!(contents["metadata"]["task"]["kind"], "multi-label");
    assert_eq!(contents["metadata"]["task"]["classes"], serde_json::json!(["blue", "green", "red"]));
    assert!(
        bench.succeed(&format!("inspect {weights}")).contains("multi-label classifier micro of 3 classes")
    );
    bench.succeed(&format!("export --weights {weights} --out model.onnx"));
    let file = bench.read("model.onnx");
    let names = b"[\"blue\",\"green\",\"red\"]";
    let says = |words: &[u8]| file.windows(words.len()).any(|part| part == words);
    assert!(says(names) && says(b"\"sigmoid\""), "neither class names nor what logits mean");
    let own = bench.json(&format!("classify photos/62.png --weights {weights} --json"));
    for (to, warned) in [("timm", true), ("hf", false)] {
        let converted = bench.run(&format!("convert {weights} {to} --to {to}")).success();
        converted.stderr(contains("sigmoid").count(usize::from(warned)));
        // Our metadata travels with the tensors, and says the task.
        assert_eq!(bench.json(&format!("classify photos/62.png --weights {to} --json")), own, "{to}");
    }
    assert!(bench.read_text("hf/config.json").contains(r#""problem_type": "multi_label_classification""#));
    bench.succeed(&format!("embed photos --weights {weights} --out vectors.npy"));
    // In a table a `;` stands between the classes of an image.
    for (names, word) in [("a;b\nc\nd\n", "'a;b'"), ("a\nunsure\nd\n", "'unsure'")] {
        bench.write("names.txt", names);
        let line = format!("classify photos/62.png --weights {weights} --class-names names.txt");
        bench.refuse(1, &[(&format!("{line} --csv answers.csv"), &[word, "--class-names"])]);
        bench.succeed(&format!("{line} --json"));
    }
    // The head goes on with the same classes and the same meaning, and with no other.
    let head = |line: &str, out: &str| {
        bench.succeed(&format!("{line} --steps 1 --lr 1e-30 --init {weights} --out {out}"));
        bench.json(&format!("classify photos/62.png --weights {out}/weights.safetensors --json"))
    };
    let line =
        FINETUNE.replace(" --lr 0.004", "").replace(" --model micro", "").replace(" --stem-stride 1", "");
    assert_eq!(head(&line, "again"), own);
    bench.draw_classes("labelled", 3);
    assert_ne!(head("finetune --data labelled --image-size 32 --batch-size 3", "one"), own);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bench = colours();
    bench.draw_classes("labelled", 3);
    let rest = "--model micro --image-size 32 --stem-stride 1 --out x";
    let multi = format!("finetune --task multi-label --data photos {rest}");
    bench.write("unknown.csv", "path,label,split\n00.png,red,train\n01.png,pink,val\n");
    bench.write("words.csv", "path,label\n00.png,red green\n01.png,red\n02.png,green\n");
    bench.write("commas.csv", "path,label\n00.png,\"boat, sea\"\n01.png,sea\n02.png,boat\n");
    bench.write("lists.csv", "path,label\n00.png,red;green\n01.png,blue\n");
    bench.write("none.csv", "path,label,split\n00.png,,train\n01.png,,val\n");
    bench.succeed(&format!("{FINETUNE} --steps 1 --out run"));
    bench.refuse(
        1,
        &[
            (&multi, &["--labels FILE", "boat;sea"]),
            (&format!("{multi} --labels labels.csv --labels-per-class 2"), &["--labels-per-class"]),
            (&format!("{multi} --labels labels.csv --class-weights balanced"), &["class_weights", "equal"]),
            (&format!("{multi} --labels unknown.csv"), &["'pink'", "unknown.csv"]),
            (&format!("{multi} --labels words.csv"), &["'red green'", "boat;sea"]),
            (&format!("{multi} --labels commas.csv"), &["'boat, sea'", "boat;sea"]),
            (&format!("{multi} --labels none.csv"), &["none.csv", "no image for training has a class"]),
            (&format!("finetune --data photos --labels lists.csv {rest}"), &["--task multi-label"]),
            ("evaluate --data photos --weights run/weights.safetensors", &["--labels FILE"]),
            ("evaluate --data photos --labels unknown.csv --weights run/weights.safetensors", &["'pink'"]),
            (
                "reconstruct photos --weights run/weights.safetensors --out y",
                &["'multi-label'", "autoencoder"],
            ),
            (&format!("{} --resume --out run", FINETUNE.replace(" --task multi-label", "")), &["labels.csv"]),
        ],
    );
    assert_eq!(CLASSES.len(), 3);
}

#[test]
fn empty_labels_of_a_test_count_and_rare_classes_are_learned() {
    let bench = colours();
    let rest = "--model micro --image-size 32 --stem-stride 1 --batch-size 8 --steps 1";
    bench.write("test.csv", bench.read_text("labels.csv").replace(",val\n", ",test\n"));
    bench.succeed(&format!("finetune --task multi-label --data photos --labels test.csv {rest} --out run"));
    let line =
        "evaluate --data photos --labels test.csv --split test --weights run/weights.safetensors --json";
    // Two of the sixteen have no class.
    assert_eq!(bench.json(line)["images"], 16);
    // However the images fall, the one of a rare class is learned from.
    let rows: String =
        (0..12).map(|n| format!("{n:02}.png,{}\n", if n == 5 { "rare;red" } else { "red" })).collect();
    bench.write("rare.csv", format!("path,label\n{rows}"));
    for seed in 0..4 {
        let line =
            format!("finetune --task multi-label --data photos --labels rare.csv {rest} --val-fraction 0.6");
        bench.succeed(&format!("{line} --seed {seed} --out rare-{seed}"));
        let result = bench.json(&format!(
            "evaluate --data photos --labels rare.csv --val-fraction 0.6 --seed {seed} --weights \
             rare-{seed}/weights.safetensors --json"
        ));
        assert_eq!(of_colour(&result["classes"], "rare")["images"], 0, "{result}");
    }
}
