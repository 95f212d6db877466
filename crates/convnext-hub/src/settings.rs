//! Settings of the hub and its cache: the one place that reads the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, fs, io};

use ureq::Proxy;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, parse_pem};

use crate::error::HubError;

/// The hub itself.
const HUB: &str = "https://huggingface.co";

/// Settings for talking to the hub, by the variables of Python's `huggingface_hub`.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Address of the hub or of a mirror, without a slash at the end.
    pub endpoint: String,
    /// The folder that all tools of the hub share, with a folder `models--ORGANISATION--NAME` for each repository.
    pub cache: PathBuf,
    /// `true` to ask nobody and use only what is in the cache.
    pub offline: bool,
    /// Sent to the endpoint, and to no other host.
    pub token: Option<Token>,
    /// Timeouts and retries.
    pub retry: RetryPolicy,
    pub(crate) proxy: Option<Proxy>,
    /// Roots of trust in place of Mozilla's.
    pub(crate) certificates: Option<Vec<Certificate<'static>>>,
}

/// Timeouts and retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Connect timeout.
    pub connect_timeout: Duration,
    /// Read timeout: the longest silence while an answer arrives; a slow file is not cut off.
    pub read_timeout: Duration,
    /// Maximum number of retries without anything new arriving.
    pub retries: u32,
    /// Backoff before the first retry; each further one is twice as long.
    pub backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            retries: 4,
            backoff: Duration::from_secs(1),
        }
    }
}

/// A secret: it is sent, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token without the white space around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(secret)")
    }
}

impl HubSettings {
    /// The hub itself with a cache in this folder, without a token or proxy.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: HUB.into(),
            cache: cache.into(),
            offline: false,
            token: None,
            retry: RetryPolicy::default(),
            proxy: None,
            certificates: None,
        }
    }

    /// Reads the environment like Python's `huggingface_hub`.
    ///
    /// - cache: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, which is `huggingface` in
    ///   `XDG_CACHE_HOME`, which is `~/.cache`;
    /// - token: `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`, else the file `HF_TOKEN_PATH`, which is `token` in
    ///   `HF_HOME`; a token in a file is not used under `HF_HUB_DISABLE_IMPLICIT_TOKEN`;
    /// - `HF_ENDPOINT` for a mirror, `HF_HUB_OFFLINE` (or `TRANSFORMERS_OFFLINE`) for no network at all;
    /// - `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`;
    /// - `SSL_CERT_FILE`: roots of trust in place of Mozilla's, for networks that have their own.
    ///
    /// # Errors
    /// [`HubError::BadSetting`] for values that cannot be used, [`HubError::Cache`] for a token file that cannot
    /// be read.
    pub fn from_environment() -> Result<Self, HubError> {
        let settings = Self::from_variables(|name| env::var_os(name), env::home_dir())?;
        Ok(Self { proxy: Proxy::try_from_env(), ..settings })
    }

    pub(crate) fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        // Like in Python, a variable that is set to nothing does not count.
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name| value(name).map(|value| value.to_string_lossy().into_owned());
        let folder = |name| value(name).map(|value| expand_home(PathBuf::from(value), home.as_deref()));

        let hub_home = folder("HF_HOME").or_else(|| {
            let caches = folder("XDG_CACHE_HOME").or_else(|| Some(home.as_deref()?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let cache = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hub_home.as_deref()?.join("hub")))
            .ok_or_else(|| HubError::BadSetting {
                variable: "HF_HOME",
                why: "is not set and there is no home folder; set it to a folder for downloads".into(),
            })?;
        let token_file = || {
            let file = folder("HF_TOKEN_PATH").or_else(|| Some(hub_home.as_deref()?.join("token")))?;
            (!is_true(text("HF_HUB_DISABLE_IMPLICIT_TOKEN"))).then_some(file)
        };
        let token = match text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
            Some(token) => Token::new(&token),
            None => token_file().map(|file| read_token(&file)).transpose()?.flatten(),
        };
        Ok(Self {
            endpoint: text("HF_ENDPOINT").map_or_else(|| Ok(HUB.to_owned()), |text| check_endpoint(&text))?,
            offline: is_true(text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE"))),
            token,
            certificates: folder("SSL_CERT_FILE").map(|file| read_certificates(&file)).transpose()?,
            ..Self::new(cache)
        })
    }
}

/// Python's reading of switches.
fn is_true(text: Option<String>) -> bool {
    text.is_some_and(|text| ["1", "ON", "YES", "TRUE"].contains(&text.to_uppercase().as_str()))
}

fn expand_home(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

fn check_endpoint(text: &str) -> Result<String, HubError> {
    let wrong = |why: &str| HubError::BadSetting { variable: "HF_ENDPOINT", why: why.into() };
    let endpoint = text.trim().trim_end_matches('/');
    let address: Uri =
        endpoint.parse().map_err(|_| wrong("is no address; it should look like https://HOST"))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) || address.query().is_some() {
        return Err(wrong("should look like https://HOST, with a path at most"));
    }
    if address.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(wrong("holds a user or a password; put a token into HF_TOKEN instead"));
    }
    Ok(endpoint.to_owned())
}

fn read_token(file: &Path) -> Result<Option<Token>, HubError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Token::new(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::cache(file)(error)),
    }
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate<'static>>, HubError> {
    let wrong = |why: String| HubError::BadSetting { variable: "SSL_CERT_FILE", why };
    let text = fs::read(file).map_err(|error| wrong(format!("names {}: {error}", file.display())))?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(wrong(format!("names {}, which is damaged: {error}", file.display())))),
    };
    let certificates: Vec<_> = parse_pem(&text).filter_map(certificate).collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(wrong(format!("names {}, which holds no certificate in PEM form", file.display())));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<HubSettings, HubError> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        HubSettings::from_variables(variable, Some("/home/me".into()))
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let cases: [(&[(&str, &str)], &str); 7] = [
            (&[], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "~/h")], "/home/me/h/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/new"),
            (&[("HF_HUB_CACHE", "")], "/home/me/.cache/huggingface/hub"),
        ];
        for (variables, expected) in cases {
            assert_eq!(settings(variables).unwrap().cache, Path::new(expected), "{variables:?}");
        }
    }

    #[test]
    fn without_any_folder_the_error_says_which_variable_helps() {
        let error = HubSettings::from_variables(|_| None, None).unwrap_err();
        assert!(error.to_string().contains("HF_HOME"), "{error}");
    }

    #[test]
    fn offline_is_a_switch() {
        for (value, expected) in [("1", true), ("true", true), ("Yes", true), ("0", false), ("", false)] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", value)]).unwrap().offline, expected, "{value:?}");
        }
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "1")]).unwrap().offline);
        assert!(!settings(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "0")]).unwrap().offline);
    }

    #[test]
    fn mirrors_are_addresses_without_secrets() {
        assert_eq!(settings(&[]).unwrap().endpoint, "https://huggingface.co");
        assert_eq!(settings(&[("HF_ENDPOINT", "http://m:8/hf/")]).unwrap().endpoint, "http://m:8/hf");
        for text in ["mirror", "ftp://m", "https://", "https://me:hunter2@m", "https://m?x=1", "two words"] {
            let error = settings(&[("HF_ENDPOINT", text)]).unwrap_err().to_string();
            assert!(error.starts_with("HF_ENDPOINT") && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn tokens_come_from_the_variable_or_the_file_and_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "hf_file\n").unwrap();
        let (home, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());
        let token = |variables: &[(&str, &str)]| {
            settings(variables).unwrap().token.map(|token| token.authorization())
        };
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("HF_HOME", home)]).unwrap(), "Bearer hf_file");
        assert_eq!(token(&[("HF_TOKEN_PATH", file)]).unwrap(), "Bearer hf_file");
        assert_eq!(token(&[("HF_HOME", home), ("HF_TOKEN", " hf_word ")]).unwrap(), "Bearer hf_word");
        assert_eq!(token(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);

        let shown = format!("{:?}", settings(&[("HF_TOKEN", "hf_word")]).unwrap());
        assert!(shown.contains("secret") && !shown.contains("hf_word"), "{shown}");
    }

    #[test]
    fn files_of_certificates_are_read_or_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let read = || settings(&[("SSL_CERT_FILE", file.to_str().unwrap())]);
        assert!(read().unwrap_err().to_string().starts_with("SSL_CERT_FILE names "));
        fs::write(&file, "nothing").unwrap();
        assert!(read().unwrap_err().to_string().contains("no certificate"));
        // Only the armour is looked at here; the content is for TLS to judge.
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(read().unwrap().certificates.unwrap().len(), 1);
    }
}
