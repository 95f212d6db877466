//! A model of the hub, as everything else of this crate refers to it; `source` reads it from a text and checks it.

use std::fmt;

/// Prefix of texts for models of the hub.
pub(crate) const HUB_PREFIX: &str = "hf:";

/// The revision that is meant when none is named.
pub(crate) const DEFAULT_REVISION: &str = "main";

/// Files of a repository that may hold its weights, the best first. Their content tells the format.
pub(crate) const WEIGHT_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// A model of the hub: a repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    pub(crate) repository: String,
    pub(crate) revision: String,
}

impl HubModel {
    /// `ORGANISATION/NAME`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{HUB_PREFIX}{}", self.repository)?;
        if self.revision == DEFAULT_REVISION { Ok(()) } else { write!(formatter, "@{}", self.revision) }
    }
}

/// `true` for the full name of a commit, which never means another one later.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
