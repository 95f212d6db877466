use super::*;
use crate::segmentation::seen::Seen;

fn seen(values: &[MaskValue]) -> SeenValues {
    let count = |(first, &value): (usize, &MaskValue)| (value, Seen { pixels: 10, masks: 1, first });
    let values: std::collections::BTreeMap<_, _> = values.iter().enumerate().map(count).collect();
    SeenValues { pixels: 10 * values.len() as u64, values, ..SeenValues::default() }
}

fn ids(ids: &[u16]) -> SeenValues {
    seen(&ids.iter().map(|&id| MaskValue::Id(id)).collect::<Vec<_>>())
}

fn table(text: &str) -> Option<(ClassTable, String)> {
    Some((read_class_file("classes.csv", text.as_bytes()).unwrap(), "classes.csv".into()))
}

/// The labels of numbers, `None` for ignored ones.
fn labels(decided: &Decided, ids: &[u16]) -> Vec<Option<u16>> {
    let label = |&id: &u16| decided.rule.label(MaskValue::Id(id)).unwrap();
    ids.iter().map(label).map(|label| (label != LabelMap::IGNORED).then_some(label)).collect()
}

#[test]
fn numbers_are_classes_in_order() {
    let plain = Wishes::default().decide(&ids(&[0, 1, 2, 255])).unwrap();
    assert_eq!(plain.classes.0, ["class_0", "class_1", "class_2"]);
    assert_eq!(labels(&plain, &[0, 2, 255]), [Some(0), Some(2), None]);
    assert!(
        plain.decisions.iter().any(|said| said.contains("ignored: 255 (25.00 %")),
        "{:?}",
        plain.decisions
    );
    // The label of CamVid that is no class.
    let camvid: Vec<u16> = (0..12).collect();
    let wishes = Wishes { ignored: vec![11], ..Wishes::default() };
    let decided = wishes.decide(&ids(&camvid)).unwrap();
    assert_eq!((decided.classes.len(), labels(&decided, &[10, 11])), (11, vec![Some(10), None]));
    // Of what is ignored in the middle, the rest moves up.
    let wishes = Wishes { ignored: vec![1], ..Wishes::default() };
    let decided = wishes.decide(&ids(&[0, 1, 2])).unwrap();
    assert_eq!(
        (decided.classes.0.clone(), labels(&decided, &[0, 1, 2])),
        (vec!["class_0".into(), "class_2".into()], vec![Some(0), None, Some(1)])
    );
    let wishes = Wishes { reduce_zero_label: true, ..Wishes::default() };
    let decided = wishes.decide(&ids(&[0, 1, 2, 3])).unwrap();
    assert_eq!(labels(&decided, &[0, 1, 3]), [None, Some(0), Some(2)]);
}

#[test]
fn numbers_above_255_make_it_a_class() {
    let all: Vec<u16> = (0..300).collect();
    let decided = Wishes::default().decide(&ids(&all)).unwrap();
    assert_eq!(
        (decided.classes.len(), labels(&decided, &[254, 255, 299])),
        (300, vec![Some(254), Some(255), Some(299)])
    );
    let said = |words: &str| decided.decisions.iter().any(|said| said.contains(words));
    assert!(said("255 is a class") && !said("no pixel has the number"), "{:?}", decided.decisions);
    let ignored = Wishes { ignored: vec![255], ..Wishes::default() }.decide(&ids(&all)).unwrap();
    assert_eq!(
        (ignored.classes.len(), labels(&ignored, &[254, 255, 256])),
        (299, vec![Some(254), None, Some(255)])
    );
    let to_254: Vec<u16> = (0..256).collect();
    let decided = Wishes::default().decide(&ids(&to_254)).unwrap();
    assert_eq!((decided.classes.len(), labels(&decided, &[255])), (255, vec![None]));
}

#[test]
fn black_and_white_masks_have_two_classes() {
    let decided = Wishes::default().decide(&ids(&[0, 255])).unwrap();
    assert_eq!(decided.classes.0, ["background", "foreground"]);
    assert_eq!(labels(&decided, &[0, 255]), [Some(0), Some(1)]);
    let wishes = Wishes { ignored: vec![255], ..Wishes::default() };
    assert!(wishes.decide(&ids(&[0, 255])).unwrap_err().found.contains("at least two"));
}

#[test]
fn tables_without_numbers_fit_black_and_white_masks() {
    for (text, expected) in [
        ("name\nbackground\nroad\n", [Some(0), Some(1)]),
        ("name,r,g,b\nroad,255,255,255\nbackground,0,0,0\n", [Some(1), Some(0)]),
        ("name,r,g,b\nbackground,0,0,0\nroad,255,0,0\n", [Some(0), Some(1)]),
    ] {
        let decided = Wishes { table: table(text), ..Wishes::default() }.decide(&ids(&[0, 255])).unwrap();
        assert_eq!(labels(&decided, &[0, 255]), expected, "{:?}", decided.decisions);
    }
    let levels = "name,r,g,b\nsky,0,0,0\ncar,128,128,128\nvoid,64,64,64\n";
    let decided = Wishes { table: table(levels), ..Wishes::default() }.decide(&ids(&[0, 64, 128])).unwrap();
    assert_eq!(labels(&decided, &[0, 64, 128, 255]), [Some(0), None, Some(1), None]);
    // Masks whose numbers are positions have grey levels for people to look at.
    let wishes = Wishes { table: table("name,r,g,b\nsky,0,0,0\ncar,255,255,255\n"), ..Wishes::default() };
    assert_eq!(labels(&wishes.decide(&ids(&[0, 1, 255])).unwrap(), &[0, 1, 255]), [Some(0), Some(1), None]);
}

#[test]
fn colours_need_a_table_unless_they_are_greys() {
    let [red, black, odd] = [[128, 0, 0], [0; 3], [64, 0, 0]].map(MaskValue::Colour);
    let refused = Wishes::default().decide(&seen(&[black, red])).unwrap_err();
    assert!(
        refused.found.contains("2 colours")
            && refused.found.contains("#800000")
            && refused.advice.contains("--classes")
    );
    let full = Wishes { full_ade: true, ..Wishes::default() };
    assert!(full.decide(&seen(&[red])).unwrap_err().found.contains("full ADE20K"));
    let wishes = Wishes { table: table("name,r,g,b\nsky,0,0,0\ncar,128,0,0\n"), ..Wishes::default() };
    assert!(wishes.by_colour());
    let decided = wishes.decide(&seen(&[black, red])).unwrap();
    assert_eq!((decided.rule.label(red), decided.palette[1]), (Some(1), [128, 0, 0]));
    let refused = wishes.decide(&seen(&[black, odd, red])).unwrap_err();
    assert!(refused.found.contains("#400000, 33.33 %") && refused.advice.contains("smoothed"), "{refused:?}");
    let greys = [[0; 3], [1; 3], [2; 3]].map(MaskValue::Colour);
    let decided = Wishes::default().decide(&seen(&greys)).unwrap();
    assert_eq!((decided.classes.len(), decided.rule.label(greys[2])), (3, Some(2)));
}

#[test]
fn colours_are_those_of_one_class() {
    let red = seen(&[[128, 0, 0], [0; 3]].map(MaskValue::Colour));
    let of = |text| Wishes { table: table(text), ..Wishes::default() };
    for (text, other) in [
        ("id,name,colour\n1,car,#800000\n2,bus,#800000\n", "'car' as well as 'bus'"),
        ("id,name,colour\n1,car,#800000\n2,bus,#000000\n3,void,#800000\n", "'car' as well as 'void'"),
        ("name,colour\ncar,#800000\nbus,#000000\nvoid,#800000\n", "'car' as well as 'void'"),
    ] {
        let refused = of(text).decide(&red).unwrap_err();
        assert!(refused.found.contains(other) && refused.found.contains("#800000"), "{refused:?}");
    }
    let fine = || of("name,colour\ncar,#800000\nbus,#000000\n");
    for (wishes, option) in [
        (Wishes { ignored: vec![1], ..fine() }, "--ignore-index"),
        (Wishes { reduce_zero_label: true, ..fine() }, "--reduce-zero-label"),
    ] {
        let refused = wishes.decide(&red).unwrap_err();
        assert!(refused.found.contains(option), "{refused:?}");
    }
}

#[test]
fn tables_say_which_number_is_which_class() {
    let wishes = Wishes { table: table("id,name\n7,road\n8,car\n9,car\n0,void\n"), ..Wishes::default() };
    let decided = wishes.decide(&ids(&[0, 7, 9, 255])).unwrap();
    assert_eq!(labels(&decided, &[0, 7, 8, 9, 255]), [None, Some(0), Some(1), Some(1), None]);
    let refused = wishes.decide(&ids(&[7, 8, 10])).unwrap_err();
    assert!(refused.found.contains("none of the 2 classes: 10") && refused.example == Some(2), "{refused:?}");
    let refused = Wishes { reduce_zero_label: true, ..wishes }.decide(&ids(&[7])).unwrap_err();
    assert!(refused.advice.contains("leave out --reduce-zero-label"));
    // Rows without numbers keep their positions.
    let voids = Wishes { table: table("name\nvoid\nroad\nignore\ncar\n"), ..Wishes::default() };
    let reduced = Wishes { reduce_zero_label: true, table: voids.table.clone(), ..Wishes::default() };
    for wishes in [voids, reduced] {
        let decided = wishes.decide(&ids(&[0, 1, 2, 3])).unwrap();
        assert_eq!(labels(&decided, &[0, 1, 2, 3]), [None, Some(0), None, Some(1)]);
    }
    let named = || table("name\nroad\ncar\n");
    let in_order = Wishes { table: named(), ..Wishes::default() }.decide(&ids(&[0, 1])).unwrap();
    assert_eq!(labels(&in_order, &[0, 1]), [Some(0), Some(1)]);
    let reduced = Wishes { table: named(), reduce_zero_label: true, ..Wishes::default() };
    assert_eq!(labels(&reduced.decide(&ids(&[0, 1, 2])).unwrap(), &[0, 1, 2]), [None, Some(0), Some(1)]);
}

#[test]
fn numbers_without_order_are_refused() {
    for (values, expected) in
        [(&[0, 85, 170, 255][..], "most of the numbers"), (&[0, 1, 20_000], "count instances")]
    {
        let refused = Wishes::default().decide(&ids(values)).unwrap_err();
        assert!(refused.found.contains(expected), "{refused:?}");
    }
    assert!(Wishes::default().decide(&ids(&[0])).unwrap_err().found.contains("leave 1 class(es)"));
    let trimaps = Wishes::default().decide(&ids(&[1, 2, 3])).unwrap();
    assert!(
        trimaps.decisions.iter().any(|said| said.contains("--reduce-zero-label")),
        "{:?}",
        trimaps.decisions
    );
}

/// The same with most pixels black or white.
fn mostly_black_and_white(mut seen: SeenValues) -> SeenValues {
    for value in [0, 255].map(MaskValue::Id) {
        seen.values.get_mut(&value).unwrap().pixels = 10_000;
    }
    seen.pixels = seen.values.values().map(|seen| seen.pixels).sum();
    seen
}

#[test]
fn smoothed_black_and_white_masks_are_told() {
    let every_level: Vec<u16> = (0..256).collect();
    for levels in [&[0, 90, 180, 255][..], &every_level] {
        let refused = Wishes::default().decide(&mostly_black_and_white(ids(levels))).unwrap_err();
        assert!(
            refused.found.contains("black and white") && refused.advice.contains("0 and 255 alone"),
            "{refused:?}"
        );
    }
    // Sparse labels: mostly background, and the rest not annotated.
    let sparse = mostly_black_and_white(ids(&[0, 1, 2, 255]));
    assert_eq!(Wishes::default().decide(&sparse).unwrap().classes.len(), 3);
}

#[test]
fn known_data_have_their_classes() {
    let of = |known| Wishes { known: Some(known), ..Wishes::default() };
    let ade = of(KnownData::Ade20k).decide(&ids(&[0, 1, 150])).unwrap();
    assert_eq!((ade.classes.len(), labels(&ade, &[0, 1, 150])), (150, vec![None, Some(0), Some(149)]));
    let reduced = of(KnownData::Ade20k).decide(&ids(&[0, 149, 255])).unwrap();
    assert_eq!(labels(&reduced, &[0, 149, 255]), [Some(0), Some(149), None]);
    let twice = Wishes { reduce_zero_label: true, ..of(KnownData::Ade20k) };
    assert!(twice.decide(&ids(&[0, 149, 255])).unwrap_err().found.contains("already"));
    let once = Wishes { reduce_zero_label: true, ..of(KnownData::Ade20k) };
    assert_eq!(labels(&once.decide(&ids(&[0, 1])).unwrap(), &[0, 1]), [None, Some(0)]);
    let city = of(KnownData::CityscapesIds).decide(&ids(&[0, 4, 7, 29, 33])).unwrap();
    assert_eq!(labels(&city, &[0, 4, 7, 29, 33]), [None, None, Some(0), None, Some(18)]);
    let train_ids = of(KnownData::CityscapesTrainIds).decide(&ids(&[0, 18, 255])).unwrap();
    assert_eq!(labels(&train_ids, &[0, 18, 255]), [Some(0), Some(18), None]);
    // Ids under the name of those that are trained.
    assert!(of(KnownData::CityscapesTrainIds).decide(&ids(&[7, 26, 33])).is_err());
    let voc = of(KnownData::Voc).decide(&ids(&[0, 15, 255])).unwrap();
    assert_eq!((voc.classes.0[15].as_str(), labels(&voc, &[15, 255])), ("person", vec![Some(15), None]));
}

/// The wishes of a model with these classes, which had these numbers in the masks of its training.
fn learned(names: &[&str], numbers: &[&[u16]]) -> Wishes {
    let names = ClassNames(names.iter().map(|&name| name.to_owned()).collect());
    let numbers = numbers.iter().map(|&numbers| numbers.to_vec()).collect();
    Wishes { model: Some(LearnedClasses { names, numbers }), ..Wishes::default() }
}

#[test]
fn a_model_tells_what_numbers_mean() {
    let of = |names: &[&str]| learned(names, &[]);
    let few = of(&["sky", "road", "car"]).decide(&ids(&[1])).unwrap();
    assert_eq!((few.classes.0[1].as_str(), labels(&few, &[0, 1])), ("road", vec![Some(0), Some(1)]));
    assert_eq!(few.decisions[0], "3 classes of the model, numbered from 0 in its order");
    // A class in the middle was ignored in training.
    let gap = of(&["class_0", "class_2"]).decide(&ids(&[0, 2])).unwrap();
    assert_eq!(labels(&gap, &[0, 2]), [Some(0), Some(1)]);
    let masks = of(&["background", "foreground"]).decide(&ids(&[0, 255])).unwrap();
    assert_eq!(labels(&masks, &[0, 255]), [Some(0), Some(1)]);
    // Names made of numbers tell that 255 was ignored.
    let border = of(&["class_0", "class_1"]).decide(&ids(&[0, 255])).unwrap();
    assert_eq!(labels(&border, &[0, 1, 255]), [Some(0), Some(1), None]);
    assert!(of(&["sky", "road"]).decide(&ids(&[0, 3])).is_err());
}

#[test]
fn numbers_that_a_model_learned_go_before_the_order_of_its_classes() {
    let shuffled = || learned(&["sky", "road", "car"], &[&[2], &[0, 5], &[1]]);
    let decided = shuffled().decide(&ids(&[0, 1, 2, 255])).unwrap();
    assert_eq!(labels(&decided, &[0, 1, 2, 5, 255]), [Some(1), Some(2), Some(0), Some(1), None]);
    let said = "3 classes of the model, by the numbers of the masks that it learned from";
    assert_eq!(decided.decisions[0], said);
    assert!(shuffled().decide(&ids(&[0, 3])).unwrap_err().found.contains("none of the 3 classes: 3"));
    // Where 0 is ignored, numbers with 0 cannot be those of these masks.
    let reduced = Wishes { reduce_zero_label: true, ..shuffled() }.decide(&ids(&[0, 1, 3])).unwrap();
    assert_eq!(labels(&reduced, &[0, 1, 2, 3]), [None, Some(0), Some(1), Some(2)]);
    let of_ade = learned(&["wall", "sky"], &[&[1], &[3]]);
    let reduced = Wishes { reduce_zero_label: true, ..of_ade }.decide(&ids(&[0, 1, 3])).unwrap();
    assert_eq!(labels(&reduced, &[0, 1, 3]), [None, Some(0), Some(1)]);
    // White may be the first class.
    let cases: [([&[u16]; 2], [u16; 2]); 2] = [([&[255], &[0]], [1, 0]), ([&[7], &[8]], [0, 1])];
    for (numbers, expected) in cases {
        let decided = learned(&["road", "grass"], &numbers).decide(&ids(&[0, 255])).unwrap();
        assert_eq!(labels(&decided, &[0, 255]), expected.map(Some));
    }
}

#[test]
fn numbers_are_told_where_they_are_no_positions() {
    let of = |text| Wishes { table: table(text), ..Wishes::default() };
    let decided = of("id,name\n1,sky\n0,road\n4,sky\n").decide(&ids(&[0, 1, 4])).unwrap();
    assert_eq!(decided.numbers, [vec![1, 4], vec![0]]);
    let ignored = Wishes { ignored: vec![0], ..of("id,name\n0,sky\n1,road\n2,car\n") };
    assert_eq!(ignored.decide(&ids(&[0, 1, 2])).unwrap().numbers, [[1], [2]]);
    let in_order = of("id,name\n0,sky\n1,road\n").decide(&ids(&[0, 1])).unwrap();
    let drawn = Wishes { are_drawn: true, ..of("id,name\n1,sky\n2,road\n") }.decide(&ids(&[1, 2])).unwrap();
    let colours = seen(&[[0; 3], [128, 0, 0]].map(MaskValue::Colour));
    let by_colour = of("id,name,r,g,b\n3,sky,0,0,0\n1,car,128,0,0\n").decide(&colours).unwrap();
    for decided in [in_order, drawn, by_colour] {
        assert!(decided.numbers.is_empty(), "{:?}", decided.numbers);
    }
}
