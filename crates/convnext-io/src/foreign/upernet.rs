//! Search for the heads of a segmentation network, UperNet, around a backbone.

use std::collections::BTreeSet;

use super::dialect::Dialect;
use super::locate::{Candidate, under};
use crate::upernet_names::{HEADS, head_of_transformers, is_output_norm, norm_of_transformers};

/// Parts of a decode head that no other has: the feature pyramid.
const PYRAMID: [&str; 3] =
    ["decode_head.lateral_convs.", "decode_head.fpn_convs.", "decode_head.fpn_bottleneck."];

/// The tensors of UperNet besides the backbone's, by the name in the file, with our name: the norms on the outputs of the
/// stages under `candidate`, decode head and auxiliary head beside it. Empty where no decode head has a feature pyramid.
///
/// `outer` is the prefix of what the backbone is a part of, if there is any.
pub(super) fn heads<'n>(
    candidate: &Candidate,
    outer: Option<&str>,
    names: &BTreeSet<&'n str>,
) -> Vec<(&'n str, String)> {
    let Candidate { prefix, dialect, .. } = candidate;
    if !matches!(dialect, Dialect::Official | Dialect::Transformers) {
        return Vec::new();
    }
    let has_pyramid =
        |place: &&str| PYRAMID.iter().any(|part| under(names, &format!("{place}{part}")).next().is_some());
    let Some(place) = [Some(prefix.as_str()), outer].into_iter().flatten().find(has_pyramid) else {
        return Vec::new();
    };
    let is_of_transformers = *dialect == Dialect::Transformers;
    let head = |(name, inner): (&'n str, &'n str)| {
        let is_of_head = HEADS.iter().any(|head| inner.starts_with(head));
        let ours = if is_of_transformers { head_of_transformers(inner) } else { inner.to_owned() };
        is_of_head.then_some((name, ours))
    };
    let norm = |(name, inner): (&'n str, &'n str)| {
        let ours = match is_of_transformers {
            true => norm_of_transformers(inner),
            false => is_output_norm(inner).then(|| inner.to_owned()),
        };
        Some((name, ours?))
    };
    under(names, place).filter_map(head).chain(under(names, prefix).filter_map(norm)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use convnext_core::{Fit, Geometry, SegmentationTask, WeightMetadata};

    use crate::array::NamedArray;
    use crate::foreign::Foreign;
    use crate::tensor_info::TensorInfo;
    use crate::test_files::{arrays_of, by_name, foreign_file, segmentation};
    use crate::torch_file::ClassTable;
    use crate::{ElementType, read_header, read_weights};

    fn arrays() -> Vec<NamedArray> {
        arrays_of(&segmentation(Some(5)))
    }

    fn renamed(arrays: &[NamedArray], name: impl Fn(&str) -> String) -> Vec<NamedArray> {
        arrays.iter().map(|array| NamedArray { name: name(&array.name), ..array.clone() }).collect()
    }

    /// A network of mmsegmentation, with mmpretrain's names and shapes in the blocks or those of the official code.
    fn of_openmmlab(
        arrays: &[NamedArray],
        has_official_blocks: bool,
        has_convolutions: bool,
    ) -> Vec<NamedArray> {
        let mut found = renamed(arrays, |name| {
            let name = match has_official_blocks {
                true => name.to_owned(),
                false => name
                    .replace(".dwconv.", ".depthwise_conv.")
                    .replace(".pwconv1.", ".pointwise_conv1.")
                    .replace(".pwconv2.", ".pointwise_conv2."),
            };
            let is_of_head = name.starts_with("decode_head.") || name.starts_with("auxiliary_head.");
            format!("state_dict.{}{name}", if is_of_head { "" } else { "backbone." })
        });
        for array in &mut found {
            match array.shape[..] {
                [1, 1, 1, count] if array.name.contains(".grn.") => array.shape = vec![count],
                [outputs, inputs] if has_convolutions => array.shape = vec![outputs, inputs, 1, 1],
                _ => {}
            }
        }
        found
    }

    fn check_refused(arrays: &[NamedArray], words: &[&str]) {
        let (_folder, path) = foreign_file(arrays);
        let message = read_weights(&path).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(message.contains(word), "'{word}' is not in: {message}"));
    }

    #[test]
    fn a_network_of_mmsegmentation_is_read_whole() {
        let expected = by_name(arrays());
        for (has_official_blocks, has_convolutions) in [(false, false), (false, true), (true, false)] {
            let (folder, path) =
                foreign_file(&of_openmmlab(&arrays(), has_official_blocks, has_convolutions));
            let read = read_weights(&path).unwrap();
            assert_eq!(read.arrays, expected);
            let task: SegmentationTask = read.metadata.task_as().unwrap();
            let original: SegmentationTask = segmentation(Some(5)).task_as().unwrap();
            assert_eq!((task.head, task.classes.len(), task.palette.len()), (original.head, 0, 0));
            assert_eq!(read.metadata.class_count(), 3);
            assert_eq!(geometry(&read.metadata), Geometry::Fit(Fit { long: 2048, short: 512, pad: 1 }));
            let origin = read_header(&path).unwrap().origin.unwrap();
            assert_eq!((origin.prefix.as_str(), origin.left_out.len()), ("state_dict.backbone.", 0));
            let named = folder.path().join("upernet_convnext_large_fp16_640x640_160k.safetensors");
            std::fs::rename(path, &named).unwrap();
            let metadata = read_header(&named).unwrap().metadata.unwrap();
            assert_eq!(geometry(&metadata), Geometry::Fit(Fit { long: 2560, short: 640, pad: 1 }));
        }
    }

    fn geometry(metadata: &WeightMetadata) -> Geometry {
        metadata.preprocessing.geometry
    }

    #[test]
    fn names_and_colours_are_taken_one_by_one() {
        let to_info = |array: &NamedArray| TensorInfo {
            name: array.name.clone(),
            dtype: array.element_type.to_string(),
            shape: array.shape.clone(),
        };
        let tensors: Vec<TensorInfo> = arrays().iter().map(to_info).collect();
        let palette = vec![[1, 2, 3]; 3];
        for (names, colours, expected, remark) in [
            (vec!["sky", "road", "car"], vec![[1, 2, 3]; 4], (3, 0), "4 colours, 3 classes"),
            (vec!["sky", "road"], palette.clone(), (0, 3), "the names of classes in the file are not used"),
            (vec![], palette, (0, 3), ""),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let table = ClassTable { names, palette: colours };
            let found = Foreign::recognise(Path::new("x.pth"), &tensors, &BTreeMap::new(), None).unwrap();
            let found = found.with_classes(Some(&table));
            let task: SegmentationTask = found.metadata.task_as().unwrap();
            assert_eq!((task.classes.len(), task.palette.len()), expected);
            assert!(found.remarks.concat().contains(remark), "{:?}", found.remarks);
            assert_eq!(found.remarks.is_empty(), remark.is_empty());
        }
    }

    #[test]
    fn our_own_names_are_read_without_metadata_and_under_prefixes() {
        for prefix in ["", "module.", "model.net."] {
            let (_folder, path) = foreign_file(&renamed(&arrays(), |name| format!("{prefix}{name}")));
            assert_eq!(read_weights(&path).unwrap().arrays, by_name(arrays()), "{prefix}");
        }
        let (_folder, path) = foreign_file(&arrays_of(&segmentation(None)));
        let task: SegmentationTask = read_weights(&path).unwrap().metadata.task_as().unwrap();
        assert_eq!(task.head.auxiliary_width, None);
    }

    #[test]
    fn what_is_no_whole_network_is_refused_by_tensor() {
        let of = |arrays: &[NamedArray]| of_openmmlab(arrays, false, false);
        let without = |part: &str| {
            let kept: Vec<_> = arrays().into_iter().filter(|array| !array.name.starts_with(part)).collect();
            of(&kept)
        };
        check_refused(
            &without("decode_head.conv_seg.weight"),
            &["decode_head.conv_seg.weight", "is missing"],
        );
        check_refused(&without("norm1."), &["missing: norm1.weight [4], norm1.bias [4]"]);
        check_refused(
            &without("decode_head.psp_modules.3."),
            &["missing: decode_head.psp_modules.3.1.conv.weight"],
        );
        let counter = "decode_head.fpn_convs.0.bn.num_batches_tracked";
        check_refused(&without(counter), &[&format!("missing: {counter} []")]);
        let changed = |name: &str, shape: &[usize]| {
            let values = vec![0.0; shape.iter().product()];
            let kept = arrays().into_iter().filter(|array| array.name != name);
            of(&kept.chain([NamedArray::from_f32(name, shape, &values)]).collect::<Vec<_>>())
        };
        let name = "auxiliary_head.conv_seg.bias";
        check_refused(&changed(name, &[4]), &["auxiliary_head.conv_seg.bias (expected [3], found [4])"]);
        let name = "auxiliary_head.convs.1.conv.weight";
        check_refused(&changed(name, &[5, 5, 3, 3]), &["unexpected: auxiliary_head.convs.1.conv.weight"]);
        check_refused(&changed(counter, &[]), &[counter, "type F32"]);
        let integers = |array: NamedArray| match array.name.as_str() {
            "norm0.bias" => NamedArray { element_type: ElementType::I64, bytes: vec![0; 16], ..array },
            _ => array,
        };
        let integers: Vec<_> = arrays().into_iter().map(integers).collect();
        check_refused(&of(&integers), &["norm0.bias", "type I64"]);
    }

    #[test]
    fn another_decode_head_is_left_out_by_name() {
        for head in ["decode_head.convs.0.conv.weight", "decode_head.0.psp_modules.0.1.conv.weight"] {
            let of_backbone = arrays().into_iter().filter(|array| !array.name.contains("_head."));
            let other = NamedArray::from_f32(head, [1], &[0.5]);
            let (_folder, path) =
                foreign_file(&of_openmmlab(&of_backbone.chain([other]).collect::<Vec<_>>(), false, false));
            let header = read_header(&path).unwrap();
            assert_eq!(header.metadata.unwrap().class_count(), 0);
            let left_out = header.origin.unwrap().left_out;
            assert!(left_out.iter().any(|name| name.ends_with(head)), "{left_out:?}");
        }
    }
}
