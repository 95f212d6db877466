//! Data that the examples of pages are run on, drawn.

use std::fs;
use std::path::Path;

/// Red houses on a blue sky above a grey road: images, and masks that say 0 for the sky, 1 for houses, 2 for the road, and
/// 255 along the edge of the road.
pub(crate) fn draw_streets(folder: &Path) {
    for (part, numbers) in [("train", 0..8), ("val", 8..11)] {
        for number in numbers {
            let (road, left, right) = (44 + number % 5, 5 + 3 * number, 38 + 2 * number);
            let class = |x: u32, y: u32| match y {
                _ if y == road => 255,
                _ if y > road => 2,
                _ => u8::from(y > 20 && (left..right).contains(&x)),
            };
            let image = image::RgbImage::from_fn(80, 64, |x, y| {
                let noise = ((x * 7 + y * 13 + number * 5) % 40) as u8;
                image::Rgb(match class(x, y) {
                    0 => [60, 90, 190 + noise],
                    1 => [180 + noise, 50, 40],
                    _ => [100 + noise; 3],
                })
            });
            let mask = image::GrayImage::from_fn(80, 64, |x, y| image::Luma([class(x, y)]));
            let name = |kind: &str| folder.join(kind).join(part).join(format!("{number:02}.png"));
            for kind in ["images", "masks"] {
                fs::create_dir_all(name(kind).parent().unwrap()).unwrap();
            }
            image.save(name("images")).unwrap();
            mask.save(name("masks")).unwrap();
        }
    }
    fs::write(
        folder.join("classes.csv"),
        "id,name,r,g,b\n0,sky,60,90,200\n1,house,190,50,40\n2,road,110,110,110\n",
    )
    .unwrap();
}

/// Red squares and green bars on blue, three in each image, with outlines as YOLO has them.
pub(crate) fn draw_cells(folder: &Path) {
    let (width, height) = (96, 80);
    for (part, numbers) in [("train", 0..8), ("val", 8..11)] {
        for number in numbers {
            let mut image = image::RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([30, 30, 150 + ((x * 7 + y * 13 + number * 5) % 40) as u8])
            });
            let mut rows = String::new();
            for object in 0..3 {
                let [wide, high] = if object == 1 { [30, 10] } else { [16 + object; 2] };
                let x = (17 * number + 31 * object) % (width - wide);
                let y = (11 * number + 23 * object) % (height - high);
                let colour = if object == 1 { [30, 200, 30] } else { [220, 40, 40] };
                for (right, down) in (0..wide).flat_map(|right| (0..high).map(move |down| (right, down))) {
                    image.put_pixel(x + right, y + down, image::Rgb(colour));
                }
                let corners = [[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]];
                let fraction = |[x, y]: [u32; 2]| {
                    format!(" {:.4} {:.4}", f64::from(x) / f64::from(width), f64::from(y) / f64::from(height))
                };
                rows += &format!("{}{}\n", object % 2, corners.map(fraction).concat());
            }
            let name =
                |kind: &str, ending: &str| folder.join(kind).join(part).join(format!("{number:02}.{ending}"));
            for kind in ["images", "labels"] {
                fs::create_dir_all(folder.join(kind).join(part)).unwrap();
            }
            image.save(name("images", "png")).unwrap();
            fs::write(name("labels", "txt"), rows).unwrap();
        }
    }
    let text = "path: .\ntrain: images/train\nval: images/val\nnames: [square, bar]\n";
    fs::write(folder.join("data.yaml"), text).unwrap();
}
