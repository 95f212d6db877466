//! Images of several classes each that are drawn, not stored.

use super::bench::Bench;

/// Images whose red, green and blue are bright or dark; those that are bright are their classes.
pub(super) fn colours() -> Bench {
    let bench = Bench::new();
    bench.make_folder("photos");
    let mut rows = String::from("path,label,split\n");
    for number in 0..64_u32 {
        let bright: Vec<usize> = (0..3).filter(|colour| number >> colour & 1 == 1).collect();
        let pixel = |x: u32, y: u32| {
            let shade = (7 * x + 11 * y + 13 * number) % 60;
            let level = |colour| (shade + if bright.contains(&colour) { 170 } else { 20 }) as u8;
            image::Rgb([0, 1, 2].map(level))
        };
        image::RgbImage::from_fn(32, 32, pixel).save(bench.path(&format!("photos/{number:02}.png"))).unwrap();
        let names: Vec<&str> = bright.iter().rev().map(|&colour| ["red", "green", "blue"][colour]).collect();
        let split = if number < 48 { "train" } else { "val" };
        rows += &format!("{number:02}.png,{},{split}\n", names.join(if number % 3 == 0 { "|" } else { ";" }));
    }
    bench.write("labels.csv", rows);
    bench
}
