//! A server that behaves like the hub and its CDN, with faults on demand.

mod answers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use answers::{Answer, State, answer_as_cdn, answer_as_hub};
pub(crate) use answers::{COMMIT, Fault, Request, SIGNATURE, TOKEN, sha256};

use crate::{HubModel, HubSettings, RetryPolicy, Token};

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
