//! Names of classes by which answers could not be told apart.

use anyhow::bail;
use convnext::core::ClassNames;

use super::answer::UNSURE;

/// Between the classes of one image in a table.
pub(super) const SEPARATOR: &str = ";";

/// Refuses a class that is called as the answer where none is probable enough, if there may be such an answer, and in a
/// table of several classes of an image names with what stands between them.
pub(super) fn check(names: &ClassNames, may_be_unsure: bool, is_joined: bool) -> anyhow::Result<()> {
    if may_be_unsure && names.index(UNSURE).is_some() {
        bail!(
            "a class is called '{UNSURE}', which is also the answer below --threshold; give another name with --class-names"
        );
    }
    if is_joined && let Some(name) = names.0.iter().find(|name| name.contains(SEPARATOR)) {
        bail!(
            "the class '{name}' has a '{SEPARATOR}' in its name, which stands between the classes of an image in a table; give \
             another name with --class-names, or take --json"
        );
    }
    Ok(())
}
