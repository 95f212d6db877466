//! The page of an analysis: its measures by layer, networks over each other.

use convnext_analysis::{DEAD_SHARE, SATURATED_VARIATION};
use convnext_train::{LayerMeasures, MAX_POOLED_IMAGES, SELECTIVITY_BARS};
use maud::{Markup, html};

use super::curves::{Curve, Scale, plot, plot_scaled};
use super::error::ReportError;
use super::whole_page::{facts, figure, image, whole};
use crate::analysis::{Analysis, AnalyzedModel, LayerMaps, ModelAlignment};

/// Parts of a block, and what they are called on the page.
const PARTS: [(&str, &str); 5] = [
    ("input", "input of the block"),
    ("depthwise", "after the depthwise convolution"),
    ("expanded", "expanded, after GELU"),
    ("normalised", "expanded, after GRN where there is one"),
    ("output", "output of the block"),
];

/// The part whose maps are shown.
const SHOWN_PART: &str = "normalised";

/// The page; `maps` are of the first image, for each network.
pub(super) fn render(analysis: &Analysis, maps: &[Vec<LayerMaps>]) -> Result<String, ReportError> {
    let names: Vec<String> = analysis.models.iter().map(|model| model.weights.clone()).collect();
    let first = analysis.models.first();
    let classes = first.map_or(0, |model| model.classes);
    let mut known = vec![("images", first.map_or(0, |model| model.images).to_string())];
    if classes > 0 {
        known.push(("classes", classes.to_string()));
    }
    known.extend(analysis.models.iter().map(|model| {
        ("network", format!("{} ({}), images of {}", model.weights, model.model, model.size_in_words()))
    }));
    let body = html! {
        @if !analysis.is_of_one_size() {
            p { "The networks see the images at different sizes, and a difference between them may come from that." }
        }
        h2 { "Feature cosine distance" }
        p.quiet { "Mean of (1 - cos) / 2 over all pairs of channels of an image. Near 0, all channels show the same. "
            "Maps of one position have none." }
        (by_layer(analysis, &PARTS, "feature cosine distance", |layer| layer.cosine_distance)?)
        h2 { "Dead and saturated maps" }
        p.quiet {
            "The map of a channel is dead when its root mean square is below " (percent(DEAD_SHARE)) " of the layer's in the "
            "image, and saturated when it is not dead and its standard deviation over the positions is below "
            (percent(SATURATED_VARIATION)) " of its mean."
        }
        (by_layer(analysis, &PARTS[2..4], "dead maps, %", |layer| Some(100.0 * layer.dead_maps))?)
        (by_layer(analysis, &PARTS[2..4], "saturated maps, %", |layer| Some(100.0 * layer.saturated_maps))?)
        h2 { "Effective rank" }
        p.quiet { "Directions that the pooled outputs of a block use, of at most " (MAX_POOLED_IMAGES) " images." }
        (by_layer(analysis, &PARTS[4..], "effective rank", |layer| layer.effective_rank)?)
        (selectivity(analysis)?)
        h2 { "Similarity of blocks" }
        p.quiet {
            "Linear CKA of the pooled outputs of at most " (MAX_POOLED_IMAGES) " images: 1 where one is a rotation of the other. "
            "With fewer images than channels it tends to 1 whatever they are."
        }
        @for alignment in &analysis.alignments { (table(alignment, &names)) }
        h2 { "Activations" }
        p.quiet { "64 expanded channels of the last block of each stage, after GRN where there is one, for the first image; maps/ has all layers." }
        @for (name, maps) in names.iter().zip(maps) { h3 { (name) } (shown(maps)) }
    };
    Ok(whole("Analysis", &facts(&known), &body))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A plot for each part, with a curve over the blocks for each network.
fn by_layer(
    analysis: &Analysis,
    parts: &[(&str, &str)],
    what: &str,
    measure: impl Fn(&LayerMeasures) -> Option<f64>,
) -> Result<Markup, ReportError> {
    let curve = |model: &AnalyzedModel, part: &str| {
        let layers = model.layers.iter().filter(|layer| layer.part == part).enumerate();
        let points = layers.filter_map(|(block, layer)| Some(((block + 1) as f64, measure(layer)?)));
        Curve::new(&*model.weights, points.collect())
    };
    let mut plots = Vec::new();
    for &(part, title) in parts {
        let curves: Vec<Curve> = analysis.models.iter().map(|model| curve(model, part)).collect();
        plots.push((title, plot("block", what, &curves)?));
    }
    Ok(html! { div.charts { @for (title, plot) in plots { (figure(&format!("{what}: {title}"), plot)) } } })
}

/// Histograms of the class selectivity of the outputs of the last block of each stage; nothing without labels.
fn selectivity(analysis: &Analysis) -> Result<Markup, ReportError> {
    let mut plots = Vec::new();
    for stage in 0..convnext_core::STAGES {
        let curve = |model: &AnalyzedModel| {
            let mut outputs =
                model.layers.iter().filter(|layer| layer.stage == stage && layer.part == "output");
            let last = outputs.next_back()?;
            let found = last.selectivity.as_ref()?;
            let bars = found.histogram.iter().enumerate().map(|(bar, &count)| {
                ((bar as f64 + 0.5) / SELECTIVITY_BARS as f64, 100.0 * count as f64 / last.channels as f64)
            });
            Some(Curve::new(&*model.weights, bars.collect()))
        };
        let curves: Vec<Curve> = analysis.models.iter().filter_map(curve).collect();
        let labels = ["class selectivity index", "channels, %"];
        plots
            .push((format!("Stage {}, last block", stage + 1), plot_scaled(labels, &curves, Scale::Values)?));
    }
    Ok(html! {
        @if analysis.models.iter().any(|model| model.classes > 1) {
            h2 { "Class selectivity" }
            p.quiet {
                "0: the channel answers to all classes alike. 1: to one class alone. The plots are of the output of the last block of "
                "each stage; analysis.json has the histograms of all layers."
            }
            div.charts { @for (title, plot) in plots { (figure(&title, plot)) } }
        }
    })
}

fn table(alignment: &ModelAlignment, names: &[String]) -> Markup {
    let ModelAlignment { left, right, rows, columns, values } = alignment;
    html! {
        h3 { (names[*left]) " (rows), " (names[*right]) " (columns)" }
        div.scroll { table.confusion {
            thead { tr { th { "" } @for column in columns { th { (column) } } } }
            tbody {
                @for (row, values) in rows.iter().zip(values) {
                    tr {
                        th { (row) }
                        @for value in values {
                            @match value {
                                Some(value) => {
                                    td style=(format!("background: rgba(var(--mark), {:.2})", 0.6 * value)) { (format!("{value:.2}")) }
                                }
                                None => { td { "-" } }
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// Maps of the last block of each stage.
fn shown(maps: &[LayerMaps]) -> Markup {
    let of_part = || maps.iter().filter(|maps| maps.place.layer.name() == SHOWN_PART);
    let last = |stage| of_part().rfind(|maps| maps.place.stage == stage);
    html! {
        div.grid {
            @for maps in (0..convnext_core::STAGES).filter_map(last) {
                figure {
                    (image(&maps.sheet.png(), &format!("activations of {}", maps.place)))
                    figcaption { (maps.place) }
                }
            }
        }
    }
}
