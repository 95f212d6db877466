//! A server that behaves like the hub and its CDN, with faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{HubModel, HubSettings, RetryPolicy, Token};

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
struct State {
    cdn: String,
    commit: String,
    files: BTreeMap<String, Vec<u8>>,
    requests: Vec<Request>,
    faults_of_answers: VecDeque<Fault>,
    faults_of_bytes: VecDeque<Fault>,
}

/// The hub at `127.0.0.1` and its CDN at `localhost`: other names, other ports.
pub(crate) struct TestHub {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl TestHub {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { commit: COMMIT.into(), ..State::default() }));
        let serve = |answer: fn(&mut State, &Request) -> Answer| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let state = state.clone();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let state = state.clone();
                    thread::spawn(move || converse(stream.unwrap(), &state, answer));
                }
            });
            port
        };
        let (hub, cdn) = (serve(answer_as_hub), serve(answer_as_cdn));
        state.lock().unwrap().cdn = format!("http://localhost:{cdn}");
        Self { endpoint: format!("http://127.0.0.1:{hub}"), state }
    }

    pub(crate) fn with_file(self, name: &str, content: &[u8]) -> Self {
        self.state.lock().unwrap().files.insert(name.into(), content.into());
        self
    }

    /// A new commit with another content of one file.
    pub(crate) fn commit(&self, commit: &str, name: &str, content: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.commit = commit.into();
        state.files.insert(name.into(), content.into());
    }

    /// The next answers of the hub, one fault each.
    pub(crate) fn spoil_answers(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults_of_answers.extend(faults.iter().cloned());
    }

    /// The next contents that the CDN sends, one fault each.
    pub(crate) fn spoil_bytes(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults_of_bytes.extend(faults.iter().cloned());
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The header `Range` of each `GET` of the CDN so far, empty where there was none.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let gets = self.requests().into_iter().filter(|request| request.path.starts_with("/content/"));
        gets.map(|request| request.headers.get("range").cloned().unwrap_or_default()).collect()
    }

    pub(crate) fn settings(&self, cache: &Path) -> HubSettings {
        let retry = RetryPolicy {
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(20),
            retries: 3,
            backoff: Duration::from_millis(1),
        };
        HubSettings { endpoint: self.endpoint.clone(), retry, ..HubSettings::new(cache) }
    }

    pub(crate) fn settings_with_token(&self, cache: &Path) -> HubSettings {
        HubSettings { token: Token::new(TOKEN), ..self.settings(cache) }
    }
}

pub(crate) fn model(repository: &str) -> HubModel {
    HubModel::new(repository, None).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git_blob(content: &[u8]) -> String {
    let start = format!("blob {}\0", content.len());
    let digest = sha1::Sha1::new().chain_update(start).chain_update(content).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    fault: Option<Fault>,
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
fn answer_as_hub(state: &mut State, request: &Request) -> Answer {
    let fault = state.faults_of_answers.pop_front();
    if let Some(Fault::Status(status)) = fault {
        return Answer::new(status, &[("x-error-message", "so it goes")]);
    }
    if matches!(fault, Some(Fault::Silence)) {
        return Answer { fault, ..Answer::new(200, &[]) };
    }
    if matches!(fault, Some(Fault::Circle)) {
        state.faults_of_answers.push_front(Fault::Circle);
        return Answer::new(307, &[("location", &request.path)]);
    }
    if let Some(Fault::Moved(location)) = fault {
        return Answer::new(301, &[("location", &location)]);
    }
    let (address, through_cache) = match request.path.strip_prefix("/api/resolve-cache") {
        Some(address) => (address, true),
        None => (request.path.as_str(), false),
    };
    let parts: Vec<&str> = address.trim_start_matches('/').split('/').collect();
    let [organisation, name, "resolve", revision, file] = parts[..] else {
        return Answer::new(404, &[]);
    };
    let authorised = request.headers.get("authorization").is_some_and(|text| text.ends_with(TOKEN));
    match (organisation, name) {
        ("me", "gated") if !request.headers.contains_key("authorization") => {
            return Answer::error(401, "GatedRepo");
        }
        ("me", "gated") if !authorised => return Answer::error(403, "GatedRepo"),
        // The hub does not tell strangers apart what is private and what is not there.
        (_, "missing") => return Answer::error(if authorised { 404 } else { 401 }, "RepoNotFound"),
        _ => {}
    }
    if !["main", "v1", "refs%2Fpr%2F1", &state.commit].contains(&revision) {
        return Answer::error(404, "RevisionNotFound");
    }
    let Some(content) = state.files.get(file) else {
        return Answer::error(404, "EntryNotFound");
    };
    let commit = ("x-repo-commit", state.commit.as_str());
    let mut answer = if file.ends_with(".json") {
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
    };
    if let Some(Fault::Header(name, value)) = fault {
        answer.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            answer.headers.push((name.into(), value.into()));
        }
    }
    answer
}

/// `/content/FILE`, of which a part may be asked for.
fn answer_as_cdn(state: &mut State, request: &Request) -> Answer {
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

fn converse(mut stream: TcpStream, state: &Mutex<State>, answer: fn(&mut State, &Request) -> Answer) {
    let Some(request) = read_request(&stream) else { return };
    let answer = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        answer(&mut state, &request)
    };
    if matches!(answer.fault, Some(Fault::Silence)) {
        // Until the other side has enough.
        let _ = stream.read(&mut [0]);
        return;
    }
    let mut text = format!("HTTP/1.1 {} Status\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", answer.body.len());
    let mut body = answer.body.as_slice();
    if let Some(Fault::Cut(length) | Fault::CutWithoutRanges(length)) = answer.fault {
        body = &body[..length.min(body.len())];
    }
    if request.method == "HEAD" {
        body = &[];
    }
    // Whoever has heard enough closes the connection.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request { method: words.next()?, path: words.next()?, ..Request::default() };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        request.headers.insert(name.to_lowercase(), value.to_owned());
    }
    request.host = request.headers.get("host").cloned().unwrap_or_default();
    Some(request)
}
