//! Parts of a model around a stem: backbone, final norm, head, decoder, the heads of a segmentation network or a detector, or
//! something that no ConvNeXt needs.

use std::collections::BTreeSet;

use super::detector::{self, Heads};
use super::dialect::Dialect;
use super::locate::{Candidate, under};
use super::upernet;
use convnext_core::{DetectorRules, ENCODER_PREFIX};

/// Tensors that an autoencoder has beside its encoder.
const BESIDE_ENCODER: [&str; 5] = ["encoder_token", "mask_token", "proj", "decoder", "pred"];

/// Those of them that nothing else has which is called an encoder.
const OF_AUTOENCODER: [&str; 3] = ["mask_token", "proj.weight", "pred.weight"];

/// Names of a head beside its backbone, in OpenMMLab, transformers and programs of one's own.
const HEADS: [&str; 4] = ["head.fc", "head", "classifier", "fc"];

/// The tensors of a model.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts<'n> {
    /// The name in the file, without wrappers, and the official one; what does not belong in a backbone keeps its own.
    pub(super) used: Vec<(&'n str, String)>,
    /// `true` with the heads of a detector.
    pub(super) is_detector: bool,
    /// Whose rules that follows.
    pub(super) rules: DetectorRules,
    /// The kind of detector whose heads are left out.
    pub(super) other_detector: Option<String>,
}

/// The shape of a tensor by its name in the file.
pub(super) type ShapeOf<'a> = &'a dyn Fn(&str) -> &'a [usize];

impl<'n> Parts<'n> {
    /// Sorts the tensors of a model.
    pub(super) fn of(candidate: &'n Candidate, names: &'n BTreeSet<&'n str>, shape: ShapeOf) -> Self {
        let segmentation = upernet::heads(candidate, outer(&candidate.prefix), names);
        if !segmentation.is_empty() {
            return Self::with_heads(candidate, names, segmentation);
        }
        match detector::heads(candidate, names) {
            Heads::MaskRcnn(rules, heads) => {
                Self { is_detector: true, rules, ..Self::with_heads(candidate, names, heads) }
            }
            Heads::Other(kind) => Self::without_detector(candidate, names, shape, Some(kind)),
            Heads::None => Self::without_detector(candidate, names, shape, None),
        }
    }

    /// A backbone, a classifier or an autoencoder; the heads of a detector, of this kind, are left out.
    pub(super) fn without_detector(
        candidate: &'n Candidate,
        names: &'n BTreeSet<&'n str>,
        shape: ShapeOf,
        other_detector: Option<String>,
    ) -> Self {
        let Candidate { prefix, dialect, .. } = candidate;
        let outer = outer(prefix);
        let decoder = outer.map_or_else(Vec::new, |outer| decoder(candidate, outer, names));
        let in_front = if decoder.is_empty() { "" } else { ENCODER_PREFIX };
        let mut parts = Self { other_detector, ..Self::default() };
        let mut head = Vec::new();
        let mut is_plain_head = true;
        for (name, inner) in under(names, prefix) {
            match dialect.official(inner) {
                Some(official) if official.starts_with("head.") => {
                    is_plain_head &= matches!(official.as_str(), "head.weight" | "head.bias");
                    head.push((name, official));
                }
                Some(official) => parts.used.push((name, format!("{in_front}{official}"))),
                None if dialect.is_of_backbone(inner) => parts.used.push((name, name.to_owned())),
                None => {
                    is_plain_head &=
                        !["head.", "classifier.", "fc."].iter().any(|part| inner.starts_with(part));
                }
            }
        }
        parts.used.extend(decoder.into_iter().map(|(name, inner)| (name, inner.to_owned())));
        parts.add_last_norm(candidate, names);
        if !is_plain_head {
            return parts;
        }
        if let (true, Some(outer)) = (head.is_empty() && in_front.is_empty(), outer) {
            head = parts.head_beside(outer, names, shape);
        }
        parts.used.extend(head);
        parts
    }

    /// The backbone of a segmentation network or a detector with its heads.
    fn with_heads(
        Candidate { prefix, dialect, .. }: &'n Candidate,
        names: &'n BTreeSet<&'n str>,
        heads: Vec<(&'n str, String)>,
    ) -> Self {
        let of_backbone = |(name, inner): (&'n str, &'n str)| {
            let is_there = dialect.is_of_backbone(inner);
            is_there.then(|| (name, dialect.official(inner).unwrap_or_else(|| name.to_owned())))
        };
        let used = under(names, prefix).filter_map(of_backbone).chain(heads).collect();
        Self { used, ..Self::default() }
    }

    /// OpenMMLab calls the norm after the pooling `norm3`. With others before it, it is one of a feature map.
    fn add_last_norm(&mut self, candidate: &Candidate, names: &'n BTreeSet<&'n str>) {
        let find = |name: &str| names.get(format!("{}{name}", candidate.prefix).as_str()).copied();
        let others = ["norm.weight", "norm0.weight", "norm1.weight", "norm2.weight"];
        if candidate.dialect != Dialect::Official || others.iter().any(|other| find(other).is_some()) {
            return;
        }
        for (name, official) in [("norm3.weight", "norm.weight"), ("norm3.bias", "norm.bias")] {
            self.used.extend(find(name).map(|name| (name, official.to_owned())));
        }
    }

    /// The one linear layer beside the backbone that fits its final norm.
    fn head_beside(
        &self,
        outer: &str,
        names: &'n BTreeSet<&'n str>,
        shape: ShapeOf,
    ) -> Vec<(&'n str, String)> {
        let norm = self.used.iter().find(|(_, official)| official == "norm.weight");
        let Some(&[width]) = norm.map(|(name, _)| shape(name)) else { return Vec::new() };
        let layer = |place: &&str| {
            let prefix = format!("{outer}{place}.");
            let leaves: Vec<(&str, &str)> = under(names, &prefix).collect();
            let [(bias, bias_leaf), (weight, weight_leaf)] = leaves[..] else { return None };
            let is_layer = (bias_leaf, weight_leaf) == ("bias", "weight");
            let fits =
                matches!(*shape(weight), [classes, inputs] if inputs == width && *shape(bias) == [classes]);
            (is_layer && fits).then_some([bias, weight])
        };
        let mut layers = HEADS.iter().filter_map(layer);
        match (layers.next(), layers.next()) {
            (Some([bias, weight]), None) => {
                vec![(bias, "head.bias".to_owned()), (weight, "head.weight".to_owned())]
            }
            _ => Vec::new(),
        }
    }
}

/// The decoder of an autoencoder whose encoder this is: names in the file, and without what is before all of them.
fn decoder<'n>(
    Candidate { prefix, dialect, .. }: &Candidate,
    outer: &'n str,
    names: &'n BTreeSet<&'n str>,
) -> Vec<(&'n str, &'n str)> {
    let is_encoder = *dialect == Dialect::Official && prefix[outer.len()..] == *ENCODER_PREFIX;
    let has = |part: &&str| names.contains(format!("{outer}{part}").as_str());
    if !is_encoder || !OF_AUTOENCODER.iter().any(has) {
        return Vec::new();
    }
    under(names, outer).filter(|(_, name)| is_beside_encoder(name)).collect()
}

/// The prefix of what a model is a part of.
fn outer(prefix: &str) -> Option<&str> {
    let inner = prefix.strip_suffix('.')?;
    Some(&prefix[..inner.rfind('.').map_or(0, |at| at + 1)])
}

fn is_beside_encoder(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    BESIDE_ENCODER.contains(&first)
}
