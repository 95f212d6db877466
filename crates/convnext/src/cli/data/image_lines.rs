//! What is wrong with images, in lines.

use convnext::core::counted;
use convnext::data::Survey;

use crate::cli::absent::PRINTED;

/// Duplicates, and files that are damaged or cannot be read. `across` is what duplicates may lie across, such as parts.
pub(crate) fn image_lines(found: &Survey, across: &str) -> Vec<String> {
    let crossing =
        found.duplicates.iter().filter(|group| group.crosses_parts || group.crosses_classes).count();
    let mut lines = vec![format!(
        "{}, {crossing} of them across {across}",
        counted(found.duplicates.len(), "duplicate group", "duplicate groups")
    )];
    for group in found.duplicates.iter().take(PRINTED) {
        let names: Vec<&str> = group.images.iter().map(|image| image.name.as_str()).collect();
        lines.push(format!("  {}", names.join(" = ")));
    }
    lines.extend(
        found.damaged.iter().map(|file| format!("can be read only in part: {}: {}", file.name, file.why)),
    );
    lines.extend(found.corrupt.iter().map(|file| format!("cannot be read: {}: {}", file.name, file.why)));
    lines
}
