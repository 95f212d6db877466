//! Images with boxes and masks of objects that are drawn, not stored.

use image::{Rgb, RgbImage};
use serde_json::json;

use super::bench::Bench;

/// Images of red and green squares on blue, some of them over each other; of odd sizes. The last image of each part has none.
pub(super) fn cells() -> Bench {
    let bench = Bench::new();
    for (part, count) in [("train", 6), ("val", 3)] {
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (width, height) = (70 + number, 66);
            let mut image = RgbImage::from_fn(width, height, |x, y| {
                Rgb([30, 30, 150 + ((x * 7 + y * 13 + number * 5) % 40) as u8])
            });
            let name = format!("{number:02}.png");
            images.push(json!({"id": number, "file_name": name, "width": width, "height": height}));
            let squares = if number + 1 == count { 0 } else { 3 };
            for square in 0..squares {
                let side = 12 + 3 * square;
                let [x, y] = [
                    (11 * number + 23 * square) % (width - side),
                    (7 * number + 17 * square) % (height - side),
                ];
                let colour = if square == 1 { Rgb([30, 200, 30]) } else { Rgb([220, 40, 40]) };
                for (right, down) in (0..side).flat_map(|right| (0..side).map(move |down| (right, down))) {
                    image.put_pixel(x + right, y + down, colour);
                }
                let (right, bottom) = (x + side, y + side);
                annotations.push(json!({
                    "id": annotations.len(), "image_id": number, "category_id": 1 + square % 2,
                    "bbox": [x, y, side, side], "area": side * side, "iscrowd": 0,
                    "segmentation": [[x, y, right, y, right, bottom, x, bottom]],
                }));
            }
            bench.write(&format!("cells/{part}/{name}"), png(image));
        }
        let categories = json!([{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]);
        let file = json!({"images": images, "annotations": annotations, "categories": categories});
        bench.write(&format!("cells/annotations/instances_{part}.json"), file.to_string());
    }
    bench
}

fn png(image: RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
