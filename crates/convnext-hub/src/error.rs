//! Errors between the hub and a weight file, each with its remedy.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::{HubModel, WEIGHT_FILES};

/// A model of the hub that cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// A text that begins with `hf:` and is no name of a model.
    #[error(
        "{text:?} names no model of the hub: {why}; write hf:ORGANISATION/NAME or hf:ORGANISATION/NAME@REVISION"
    )]
    BadName {
        /// The text.
        text: String,
        /// The reason.
        why: &'static str,
    },
    /// A variable of the environment that cannot be used; its value is not shown, it may hold a secret.
    #[error("{variable} {why}")]
    BadSetting {
        /// The variable.
        variable: &'static str,
        /// The reason and the remedy.
        why: String,
    },
    /// The hub knows no such repository, or does not show it to us.
    #[error(
        "{endpoint} knows no repository {repository}; check the name, and if it is a private one, set HF_TOKEN to a \
         token that may read it"
    )]
    UnknownRepository {
        /// The repository.
        repository: String,
        /// Scheme and host that were asked.
        endpoint: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "{} has no revision {:?}; leave it out for the newest, or look up its branches and tags",
        model.repository(),
        model.revision()
    )]
    UnknownRevision {
        /// The model that was asked for.
        model: HubModel,
    },
    /// The repository holds no weights that are read.
    #[error("{model} holds none of {}; choose a repository with one of them", WEIGHT_FILES.join(", "))]
    NoWeights {
        /// The model that was asked for.
        model: HubModel,
    },
    /// Reading the repository needs a permission.
    #[error(
        "{endpoint} refuses {repository} ({status}): {}",
        if *with_token {
            "the token may not read it; ask for access on the page of the repository, or set HF_TOKEN to another token"
        } else {
            "it needs a token; ask for access on the page of the repository and set HF_TOKEN to a token of yours"
        }
    )]
    Refused {
        /// The repository.
        repository: String,
        /// Scheme and host that were asked.
        endpoint: String,
        /// The status of the answer, 401 or 403.
        status: u16,
        /// `true` if a token was sent.
        with_token: bool,
    },
    /// Offline, and not in the cache.
    #[error(
        "{model} is not in {} and HF_HUB_OFFLINE forbids to download it; unset HF_HUB_OFFLINE, or fetch the model \
         where there is a network and copy the cache",
        cache.display()
    )]
    NotCached {
        /// The model that was asked for.
        model: HubModel,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// The connection broke, or nothing came for too long, before there was an answer.
    #[error("{host} broke off before it answered ({why}); check the network and try again")]
    Interrupted {
        /// Scheme and host that were asked.
        host: String,
        /// The reason.
        why: String,
    },
    /// No connection: no network, no such host, or nobody there.
    #[error(
        "{host} cannot be reached ({why}); check the network and HTTPS_PROXY, name a mirror in HF_ENDPOINT, or set \
         HF_HUB_OFFLINE=1 to use what is in the cache"
    )]
    Unreachable {
        /// Scheme and host that were asked.
        host: String,
        /// The reason.
        why: String,
    },
    /// The server answers with an error.
    #[error("{host} answered with status {status}{detail}; try again later, or name a mirror in HF_ENDPOINT")]
    Status {
        /// Scheme and host that were asked.
        host: String,
        /// The status of the answer.
        status: u16,
        /// Message of the server, or nothing.
        detail: String,
    },
    /// The server does not speak the protocol of the hub.
    #[error("{host} does not answer like the Hugging Face Hub ({why}); check HF_ENDPOINT and HTTPS_PROXY")]
    BadAnswer {
        /// Scheme and host that were asked.
        host: String,
        /// The reason.
        why: String,
    },
    /// The connection closed before the file was whole, again and again.
    #[error(
        "only {found} of {expected} bytes of {file} arrived ({why}); run the command again, the download resumes from there"
    )]
    Truncated {
        /// The file in the repository.
        file: String,
        /// Bytes of the whole file.
        expected: u64,
        /// Bytes that are there.
        found: u64,
        /// The reason why the last transfer ended.
        why: String,
    },
    /// The bytes are not those that the hub promised; they were thrown away.
    #[error(
        "{file} arrived damaged (checksum {found} instead of {expected}) and was deleted; try again, and if it \
         happens again, check HF_ENDPOINT and HTTPS_PROXY"
    )]
    WrongHash {
        /// The file in the repository.
        file: String,
        /// The checksum that the hub gives, in hexadecimal digits.
        expected: String,
        /// The checksum of what arrived.
        found: String,
    },
    /// No room for the file.
    #[error(
        "the disk of {} is full; make room{} and run the command again, the download resumes where it stopped, or set \
         HF_HUB_CACHE to a folder on another disk",
        path.display(),
        missing.map_or(String::new(), |bytes| format!(" for {bytes} bytes"))
    )]
    DiskFull {
        /// The unfinished file.
        path: PathBuf,
        /// Bytes that are still to come, if they are known.
        missing: Option<u64>,
    },
    /// The cache cannot be read or written.
    #[error(
        "cannot use {} of the hub's cache: {source}; check its permissions, or set HF_HUB_CACHE to another folder",
        path.display()
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl HubError {
    /// An error of the file system at a place in the cache.
    pub(crate) fn cache(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, missing: None }
            }
            _ => Self::Cache { path, source },
        }
    }

    /// `true` if there is no answer, now or at all, so that what is in the cache is used.
    pub(crate) fn is_no_answer(&self) -> bool {
        self.may_pass() || matches!(self, Self::Unreachable { .. })
    }

    /// `true` if the same request may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Interrupted { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504),
            _ => false,
        }
    }
}
