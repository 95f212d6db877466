//! Answers of the hub and of its CDN, faulty on demand.

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest, Sha256};

/// The commit that `main` means at first.
pub(crate) const COMMIT: &str = "1111111111111111111111111111111111111111";
/// The token that opens the gated repository `me/gated`.
pub(crate) const TOKEN: &str = "hf_secret";
/// Part of the addresses that the hub signs, which nobody must see.
pub(crate) const SIGNATURE: &str = "signature=hidden";

/// Fault of one answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and nothing else.
    Status(u16),
    /// The connection closes after so many bytes of the content.
    Cut(usize),
    /// The same, whatever part was asked for.
    CutWithoutRanges(usize),
    /// The whole file comes, whatever part was asked for.
    IgnoreRange,
    /// Another part comes than was asked for.
    OtherRange,
    /// The first byte is another one.
    WrongByte,
    /// No answer.
    Silence,
    /// Always the same redirection.
    Circle,
    /// A redirection that says nothing else.
    Moved(String),
    /// A header with another value; none if it is empty.
    Header(&'static str, &'static str),
}

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) cdn: String,
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) requests: Vec<Request>,
    pub(super) faults_of_answers: VecDeque<Fault>,
    pub(super) faults_of_bytes: VecDeque<Fault>,
}

pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git_blob(content: &[u8]) -> String {
    let start = format!("blob {}\0", content.len());
    let digest = sha1::Sha1::new().chain_update(start).chain_update(content).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) fault: Option<Fault>,
}

impl Answer {
    fn new(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { status, headers, body: vec![], fault: None }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, &[("x-error-code", code), ("x-repo-commit", COMMIT)])
    }
}

/// `/ORG/NAME/resolve/REVISION/FILE`: small files by way of another address of the hub, large ones of the CDN.
pub(super) fn answer_as_hub(state: &mut State, request: &Request) -> Answer {
    let fault = state.faults_of_answers.pop_front();
    match &fault {
        Some(Fault::Status(status)) => return Answer::new(*status, &[("x-error-message", "so it goes")]),
        Some(Fault::Silence) => return Answer { fault, ..Answer::new(200, &[]) },
        Some(Fault::Circle) => {
            state.faults_of_answers.push_front(Fault::Circle);
            return Answer::new(307, &[("location", &request.path)]);
        }
        Some(Fault::Moved(location)) => return Answer::new(301, &[("location", location)]),
        _ => {}
    }
    let mut answer = answer_soundly(state, request);
    if let (Some(Fault::Header(name, value)), 200..400) = (fault, answer.status) {
        answer.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            answer.headers.push((name.into(), value.into()));
        }
    }
    answer
}

/// The answer of a hub without faults.
fn answer_soundly(state: &State, request: &Request) -> Answer {
    let (address, through_cache) = match request.path.strip_prefix("/api/resolve-cache") {
        Some(address) => (address, true),
        None => (request.path.as_str(), false),
    };
    let parts: Vec<&str> = address.trim_start_matches('/').split('/').collect();
    let [organisation, name, "resolve", revision, file] = parts[..] else {
        return Answer::new(404, &[]);
    };
    if let Some(refusal) = refusal(organisation, name, request) {
        return refusal;
    }
    if !["main", "v1", "refs%2Fpr%2F1", &state.commit].contains(&revision) {
        return Answer::error(404, "RevisionNotFound");
    }
    let Some(content) = state.files.get(file) else {
        return Answer::error(404, "EntryNotFound");
    };
    let commit = ("x-repo-commit", state.commit.as_str());
    if file.ends_with(".json") {
        let etag = format!("\"{}\"", git_blob(content));
        if through_cache {
            let answer = Answer::new(200, &[commit, ("etag", &etag)]);
            Answer { body: content.clone(), ..answer }
        } else {
            Answer::new(307, &[commit, ("location", &format!("/api/resolve-cache{address}"))])
        }
    } else {
        let (etag, size) = (format!("\"{}\"", sha256(content)), content.len().to_string());
        let location = format!("{}/content/{file}?{SIGNATURE}", state.cdn);
        let linked = [commit, ("x-linked-etag", &etag), ("x-linked-size", &size), ("location", &location)];
        Answer::new(302, &linked)
    }
}

/// The answer to those who may not see a repository.
fn refusal(organisation: &str, name: &str, request: &Request) -> Option<Answer> {
    let authorised = request.headers.get("authorization").is_some_and(|text| text.ends_with(TOKEN));
    match (organisation, name) {
        ("me", "gated") if !request.headers.contains_key("authorization") => {
            Some(Answer::error(401, "GatedRepo"))
        }
        ("me", "gated") if !authorised => Some(Answer::error(403, "GatedRepo")),
        // The hub does not tell strangers apart what is private and what is not there.
        (_, "missing") => Some(Answer::error(if authorised { 404 } else { 401 }, "RepoNotFound")),
        _ => None,
    }
}

/// `/content/FILE`, of which a part may be asked for.
pub(super) fn answer_as_cdn(state: &mut State, request: &Request) -> Answer {
    let file = request.path.trim_start_matches("/content/").split('?').next().unwrap();
    let fault = state.faults_of_bytes.pop_front();
    if let Some(Fault::Status(status)) = fault {
        return Answer::new(status, &[]);
    }
    let mut body = state.files[file].clone();
    if matches!(fault, Some(Fault::WrongByte)) {
        body[0] ^= 1;
    }
    let ignored = matches!(fault, Some(Fault::IgnoreRange | Fault::CutWithoutRanges(_)));
    let range = request.headers.get("range").filter(|_| !ignored);
    let mut answer = match range {
        Some(range) => {
            let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            if start >= body.len() {
                return Answer::new(416, &[]);
            }
            let told = if matches!(fault, Some(Fault::OtherRange)) { start + 1 } else { start };
            let range = format!("bytes {told}-{}/{}", body.len() - 1, body.len());
            body.drain(..start);
            Answer::new(206, &[("content-range", &range)])
        }
        None => Answer::new(200, &[]),
    };
    answer.body = body;
    answer.fault = fault;
    answer
}
