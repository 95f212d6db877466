use super::*;
use crate::datasets::list_images::list_images;

fn listing(files: &[&str]) -> (tempfile::TempDir, Listing) {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let listing = list_images(folder.path()).unwrap();
    (folder, listing)
}

fn paired(files: &[&str]) -> Vec<(String, String, Option<Split>)> {
    let (_folder, listing) = listing(files);
    let name = |at: usize| listing.images.get(at).to_owned();
    let found = pair(&listing).unwrap();
    found.pairs.iter().map(|pair| (name(pair.image), name(pair.mask), pair.split)).collect()
}

#[test]
fn masks_are_found_in_every_layout() {
    use Split::{Train, Validation};
    for (files, expected) in [
        (
            &[
                "d/images/train/a.jpg",
                "d/annotations/train/a.png",
                "d/images/val/a.jpg",
                "d/annotations/val/a.png",
            ][..],
            &[(Some(Train)), Some(Validation)][..],
        ),
        (
            &["train/a.png", "train_labels/a_L.png", "val/b.png", "val_labels/b_L.png"],
            &[Some(Train), Some(Validation)],
        ),
        (&["images/a.jpg", "masks/a.png", "images/b.jpg", "masks/b_mask.png"], &[None, None]),
        // Images in folders of parts, masks in one.
        (
            &["images/train/a.jpg", "masks/a.png", "images/val/b.jpg", "masks/b.png"],
            &[Some(Train), Some(Validation)],
        ),
        (&["a.jpg", "a_mask.png"], &[None]),
        (
            &[
                "leftImg8bit/train/x/x_1_leftImg8bit.png",
                "gtFine/train/x/x_1_gtFine_color.png",
                "gtFine/train/x/x_1_gtFine_labelIds.png",
                "gtFine/train/x/x_1_gtFine_labelTrainIds.png",
            ],
            &[Some(Train)],
        ),
    ] {
        let found = paired(files);
        let splits: Vec<_> = found.iter().map(|(_, _, split)| *split).collect();
        assert_eq!(splits, expected, "{found:?}");
    }
    let city = paired(&[
        "leftImg8bit/train/x/x_1_leftImg8bit.png",
        "gtFine/train/x/x_1_gtFine_labelIds.png",
        "gtFine/train/x/x_1_gtFine_labelTrainIds.png",
    ]);
    assert!(city[0].1.ends_with("labelTrainIds.png"));
}

#[test]
fn what_has_no_partner_is_told() {
    let (_folder, own) = listing(&["images/a.jpg", "masks/a.png", "images/b.jpg", "masks/c.png"]);
    let found = pair(&own).unwrap();
    let names = |files: &[usize]| files.iter().map(|&at| own.images.get(at).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(&found.images_alone), names(&found.masks_alone)),
        (vec!["images/b.jpg".into()], vec!["masks/c.png".into()])
    );
    // The image of another part is none of a mask, whatever its name.
    let (_folder, parts) =
        listing(&["images/train/1.jpg", "images/train/2.jpg", "masks/train/2.png", "masks/val/1.png"]);
    let found = pair(&parts).unwrap();
    assert_eq!((found.pairs.len(), found.images_alone.len(), found.masks_alone.len()), (1, 1, 1));
    for (files, expected) in [
        (&["images/a.jpg", "images/b.jpg"][..], "no folder of masks"),
        (&["images/a.jpg", "masks/b.png"], "none of 1 images has the name of one of 1 masks"),
        (&["images/a.jpg", "images/a.png", "masks/a.png"], "two images have one name"),
        (&["images/a.jpg", "masks/a.png", "masks/a_mask.png"], "two masks are there for images/a.jpg"),
    ] {
        let (_folder, own) = listing(files);
        let message = pair(&own).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn known_data_is_told_by_its_paths() {
    for (files, expected) in [
        (
            &["images/training/ADE_train_1.jpg", "annotations/training/ADE_train_1.png"][..],
            Some(KnownData::Ade20k),
        ),
        (&["JPEGImages/2007_000032.jpg", "SegmentationClass/2007_000032.png"], Some(KnownData::Voc)),
        (&["JPEGImages/mine.jpg", "SegmentationClass/mine.png"], None),
        (&["images/training/a.jpg", "annotations/training/a.png"], None),
        (
            &["leftImg8bit/train/x_leftImg8bit.png", "gtFine/train/x_gtFine_labelIds.png"],
            Some(KnownData::CityscapesIds),
        ),
    ] {
        let (_folder, own) = listing(files);
        assert_eq!(known_data(&own, &pair(&own).unwrap()), expected);
    }
}
