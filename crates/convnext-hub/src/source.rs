//! Sources of weights: the text after `--weights`.

use std::path::{Path, PathBuf};

use crate::error::HubError;
use crate::model::{DEFAULT_REVISION, HUB_PREFIX, HubModel};
use crate::released::find_released;

/// Maximum length of the name of a repository on the hub.
const MAX_NAME_LENGTH: usize = 96;

/// A source of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightSource {
    /// A file or folder on this machine.
    File(PathBuf),
    /// A model of the hub.
    Hub(HubModel),
}

impl WeightSource {
    /// Reads `hf:ORGANISATION/NAME`, `hf:ORGANISATION/NAME@REVISION`, the short name of a released checkpoint
    /// ([`crate::RELEASED`]), or else a path. A file that is called like a released checkpoint comes first.
    ///
    /// # Errors
    /// [`HubError::BadName`] for what begins with `hf:` and is no name.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        Self::parse_where(text, Path::exists)
    }

    fn parse_where(text: &str, exists: impl Fn(&Path) -> bool) -> Result<Self, HubError> {
        if let Some(name) = text.strip_prefix(HUB_PREFIX) {
            let (repository, revision) = match name.split_once('@') {
                Some((repository, revision)) => (repository, Some(revision)),
                None => (name, None),
            };
            return HubModel::new(repository, revision).map(Self::Hub);
        }
        match find_released(text) {
            Some(released) if !exists(Path::new(text)) => {
                HubModel::new(released.repository, None).map(Self::Hub)
            }
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl HubModel {
    /// A repository `ORGANISATION/NAME` at a branch, tag or commit; `main` where none is given.
    ///
    /// # Errors
    /// [`HubError::BadName`] for names that the hub cannot have: both become parts of paths and addresses.
    pub fn new(repository: &str, revision: Option<&str>) -> Result<Self, HubError> {
        let revision = revision.unwrap_or(DEFAULT_REVISION);
        let model = Self { repository: repository.into(), revision: revision.into() };
        let why = match repository.split_once('/') {
            None => "the organisation is missing",
            Some((organisation, name)) if !is_name(organisation) || !is_name(name) => {
                "names consist of letters, digits, `-`, `_` and `.`, and neither begin nor end with `-` or `.`"
            }
            Some(_)
                if repository.contains("--") || repository.contains("..") || repository.ends_with(".git") =>
            {
                "names contain no `--` and no `..`, and do not end with `.git`"
            }
            Some(_) if !is_revision(revision) => "the revision is no name of a branch, tag or commit",
            Some(_) => return Ok(model),
        };
        Err(HubError::BadName { text: model.to_string(), why })
    }
}

/// The rule of the hub for the two parts of a repository's name.
fn is_name(text: &str) -> bool {
    let at_ends = ['-', '.'];
    (1..=MAX_NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.starts_with(at_ends)
        && !text.ends_with(at_ends)
}

/// The rules of git for names of branches that keep them harmless as paths.
fn is_revision(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
    text.split('/').all(is_part)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\<>|\"".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(repository: &str, revision: Option<&str>) -> WeightSource {
        WeightSource::Hub(HubModel::new(repository, revision).unwrap())
    }

    #[test]
    fn texts_mean_what_they_say() {
        let cases = [
            ("hf:timm/convnextv2_atto.fcmae", hub("timm/convnextv2_atto.fcmae", None)),
            ("hf:me/net@v1.0", hub("me/net", Some("v1.0"))),
            ("hf:me/net@refs/pr/1", hub("me/net", Some("refs/pr/1"))),
            ("atto.fcmae", hub("timm/convnextv2_atto.fcmae", None)),
            ("convnext_tiny.fb_in1k", hub("timm/convnext_tiny.fb_in1k", None)),
            ("run/weights.safetensors", WeightSource::File("run/weights.safetensors".into())),
            ("atto.fcmea", WeightSource::File("atto.fcmea".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(WeightSource::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_comes_before_a_short_name() {
        let source = WeightSource::parse_where("atto.fcmae", |path| path == Path::new("atto.fcmae")).unwrap();
        assert_eq!(source, WeightSource::File("atto.fcmae".into()));
    }

    #[test]
    fn names_that_the_hub_cannot_have_are_refused() {
        let long = format!("hf:me/{}", "a".repeat(97));
        let texts = [
            "hf:",
            "hf:net",
            "hf:/net",
            "hf:me/",
            "hf:me/a/b",
            "hf:../net",
            "hf:me/..",
            "hf:me/a--b",
            "hf:me/a..b",
            "hf:me/.net",
            "hf:me/net.git",
            "hf:me/n et",
            "hf:me/net@",
            "hf:me/net@../x",
            "hf:me/net@a//b",
            "hf:me/net@/etc",
            "hf:me/net@a\\b",
            "hf:me/net@a b",
            "hf:me/net@C:x",
            "hf:me/nét",
            &long,
        ];
        for text in texts {
            let error = WeightSource::parse(text).unwrap_err();
            assert!(matches!(&error, HubError::BadName { .. }), "{text}: {error}");
            assert!(error.to_string().contains("write hf:ORGANISATION/NAME"), "{error}");
        }
    }

    #[test]
    fn models_are_written_as_they_are_read() {
        for text in ["hf:me/net", "hf:me/net@v1"] {
            let WeightSource::Hub(model) = WeightSource::parse(text).unwrap() else { panic!("{text}") };
            assert_eq!(model.to_string(), text);
        }
    }
}
