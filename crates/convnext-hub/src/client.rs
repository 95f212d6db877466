//! Questions to the hub over HTTP.
//!
//! The protocol is that of Python's `huggingface_hub` 2.4 (`file_download.py` and `utils/_http.py`; Apache 2.0): a
//! `HEAD` of `REPOSITORY/resolve/REVISION/FILE` tells commit, checksum and size, a `GET` gives the bytes. What is
//! different: a token goes to the endpoint alone, and checksums are checked.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;

use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader, RequestExt, Timeout};

use crate::address::{join, of_file, origin};
use crate::checksum::Checksum;
use crate::error::HubError;
use crate::model::{HubModel, is_commit};
use crate::settings::{HubSettings, RetryPolicy};

/// Redirections that are followed before it counts as a loop.
const MAX_REDIRECTS: usize = 10;

/// Maximum length of a server's explanation that is shown, in characters.
const MAX_DETAIL_LENGTH: usize = 200;

/// A file of a repository, as the hub describes it.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The commit that the revision means now.
    pub(crate) commit: String,
    /// Checksum of the file.
    pub(crate) checksum: Checksum,
    /// Bytes of the file, unless the server does not say.
    pub(crate) size: Option<u64>,
}

/// The answer to whether a repository has a file.
pub(crate) enum Located {
    /// It has.
    File(Remote),
    /// It has none of this name, in the words of the hub.
    NoEntry,
    /// A status of 404 without more words: mirrors say so of files that are not there, and others of anything.
    NotFound,
}

/// The bytes of a file on their way.
pub(crate) struct Transfer {
    /// Position of the first one in the file.
    pub(crate) start: u64,
    /// Bytes to come, unless the server does not say.
    pub(crate) length: Option<u64>,
    /// The bytes.
    pub(crate) reader: BodyReader<'static>,
}

/// One server and what it takes to talk to it.
pub(crate) struct Client<'a> {
    agent: Agent,
    settings: &'a HubSettings,
}

impl<'a> Client<'a> {
    pub(crate) fn new(settings: &'a HubSettings) -> Self {
        let retry = settings.retry;
        let roots = settings.certificates.clone();
        let tls = TlsConfig::builder()
            .root_certs(roots.map_or(RootCerts::WebPki, |roots| RootCerts::Specific(Arc::new(roots))))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirections are followed here, so that a token does not follow them.
            .max_redirects(0)
            .proxy(settings.proxy.clone())
            .tls_config(tls)
            .user_agent(concat!("convnext/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(retry.connect_timeout))
            .timeout_connect(Some(retry.connect_timeout))
            .timeout_recv_response(Some(retry.read_timeout))
            .timeout_per_read(Some(retry.read_timeout))
            .build();
        Self { agent: config.into(), settings }
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        self.settings.retry
    }

    /// Asks for a file of a model.
    pub(crate) fn locate(&self, model: &HubModel, revision: &str, file: &str) -> Result<Located, HubError> {
        let mut address = of_file(&self.settings.endpoint, model.repository(), revision, file);
        let (mut commit, mut etag, mut size) = (None, None, None);
        for _ in 0..MAX_REDIRECTS {
            let response = self.send("HEAD", &address, 0)?;
            commit = text(&response, "x-repo-commit").or(commit);
            etag = text(&response, "x-linked-etag").or(etag);
            size = text(&response, "x-linked-size").or(size);
            if let Some(target) = redirection(&response, &address) {
                let elsewhere = origin(&target) != origin(&address);
                address = target;
                // Large files lie with others, who know no commits; the hub itself has said everything then.
                if !elsewhere || commit.is_none() {
                    continue;
                }
            } else if response.status().is_success() {
                etag = etag.or_else(|| text(&response, "etag"));
                size = size.or_else(|| text(&response, "content-length"));
            } else {
                return absence(&response).ok_or_else(|| self.refusal(model, &address, &response));
            }
            return self.remote(commit, etag, size).map(Located::File);
        }
        Err(self.bad_answer("it redirects in a circle"))
    }

    /// Asks for the bytes of a file from a position on; the answer may begin at 0 all the same.
    pub(crate) fn open(
        &self,
        model: &HubModel,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<Transfer, HubError> {
        let mut address = of_file(&self.settings.endpoint, model.repository(), commit, file);
        for _ in 0..MAX_REDIRECTS {
            let response = self.send("GET", &address, from)?;
            if let Some(target) = redirection(&response, &address) {
                address = target;
                continue;
            }
            let start = match response.status() {
                StatusCode::OK => 0,
                StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(from) => from,
                StatusCode::PARTIAL_CONTENT => {
                    return Err(self.bad_answer("it sends another part of a file than it was asked for"));
                }
                StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return self.open(model, commit, file, 0),
                _ => return Err(self.refusal(model, &address, &response)),
            };
            let length = response.body().content_length();
            return Ok(Transfer { start, length, reader: response.into_body().into_reader() });
        }
        Err(self.bad_answer("it redirects in a circle"))
    }

    /// Sends one request. The token goes to the endpoint and to no other host.
    fn send(&self, method: &str, address: &str, from: u64) -> Result<Response<Body>, HubError> {
        let mut request = ureq::http::Request::builder().method(method).uri(address);
        request = request.header(header::ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.settings.token
            && origin(address) == origin(&self.settings.endpoint)
        {
            request = request.header(header::AUTHORIZATION, token.authorization());
        }
        let request = request.body(()).map_err(|error| self.bad_answer(&error.to_string()))?;
        request.with_agent(&self.agent).run().map_err(|error| failure(address, error))
    }

    fn remote(
        &self,
        commit: Option<String>,
        etag: Option<String>,
        size: Option<String>,
    ) -> Result<Remote, HubError> {
        // Both become names of files.
        let commit = commit.filter(|commit| is_commit(commit));
        let checksum = etag.as_deref().and_then(Checksum::parse);
        Ok(Remote {
            commit: commit.ok_or_else(|| self.bad_answer("the header X-Repo-Commit names no commit"))?,
            checksum: checksum.ok_or_else(|| self.bad_answer("the header ETag is no checksum"))?,
            size: size.and_then(|size| size.parse().ok()),
        })
    }

    fn refusal(&self, model: &HubModel, address: &str, response: &Response<Body>) -> HubError {
        let (repository, endpoint) = (model.repository().to_owned(), origin(&self.settings.endpoint));
        let status = response.status().as_u16();
        let from_endpoint = origin(address) == endpoint;
        match text(response, "x-error-code").as_deref() {
            Some("RepoNotFound") => HubError::UnknownRepository { repository, endpoint },
            Some("RevisionNotFound") => HubError::UnknownRevision { model: model.clone() },
            _ if from_endpoint && matches!(status, 401 | 403) => {
                HubError::Refused { repository, endpoint, status, with_token: self.settings.token.is_some() }
            }
            _ => HubError::Status { host: origin(address), status, detail: detail(response) },
        }
    }

    pub(crate) fn bad_answer(&self, why: &str) -> HubError {
        HubError::BadAnswer { host: origin(&self.settings.endpoint), why: why.into() }
    }
}

/// Repeats a request as long as that may help.
pub(crate) struct Backoff {
    retry: RetryPolicy,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(retry: RetryPolicy) -> Self {
        Self { retry, failures: 0 }
    }

    /// Forgets the failures before something went on.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits a little after a failure that may pass.
    ///
    /// # Errors
    /// The same failure once all retries are used up.
    pub(crate) fn wait(&mut self, error: HubError) -> Result<(), HubError> {
        if self.failures >= self.retry.retries {
            return Err(error);
        }
        thread::sleep(self.retry.backoff * 2_u32.saturating_pow(self.failures.min(5)));
        self.failures += 1;
        Ok(())
    }
}

fn text(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn redirection(response: &Response<Body>, address: &str) -> Option<String> {
    let location = text(response, "location").filter(|_| response.status().is_redirection())?;
    Some(join(address, &location))
}

/// How the response says that there is no such file; `None` if it says something else.
fn absence(response: &Response<Body>) -> Option<Located> {
    match text(response, "x-error-code").as_deref() {
        Some(code) => (code == "EntryNotFound").then_some(Located::NoEntry),
        None => (response.status() == StatusCode::NOT_FOUND).then_some(Located::NotFound),
    }
}

/// The first position in a header like `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn detail(response: &Response<Body>) -> String {
    let message = text(response, "x-error-message").unwrap_or_default();
    let start: String = message.chars().filter(|c| !c.is_control()).take(MAX_DETAIL_LENGTH).collect();
    if start.is_empty() { start } else { format!(" ({start})") }
}

/// Error of a failed request. Only the origin of its address is told, the rest may be signed.
fn failure(address: &str, error: ureq::Error) -> HubError {
    let host = origin(address);
    let why = error.to_string();
    let connecting = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(phase) => matches!(phase, Timeout::Resolve | Timeout::Connect),
        ureq::Error::Io(error) => could_not_connect(error),
        _ => false,
    };
    match error {
        _ if connecting => HubError::Unreachable { host, why },
        // What rustls refuses comes wrapped.
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => untrusted(host, &why),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => untrusted(host, &why),
        ureq::Error::Timeout(_) | ureq::Error::Io(_) => HubError::Interrupted { host, why },
        _ => HubError::BadAnswer { host, why },
    }
}

fn untrusted(host: String, why: &str) -> HubError {
    let why =
        format!("{why}; if your network has its own certificate authority, name its file in SSL_CERT_FILE");
    HubError::BadAnswer { host, why }
}

fn could_not_connect(error: &io::Error) -> bool {
    use ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(
        error.kind(),
        AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkDown | NetworkUnreachable
    )
}
