//! Addresses of files on the hub and where redirections lead.

use ureq::http::Uri;

/// Scheme, host and port: what a token belongs to, and what messages may show. The rest of an address may be
/// signed and hence a secret.
pub(crate) fn origin(address: &str) -> String {
    let parsed: Option<Uri> = address.parse().ok();
    let parts = parsed.as_ref().and_then(|address| Some((address.scheme_str()?, address.authority()?)));
    let Some((scheme, authority)) = parts else { return "(no address)".into() };
    let default_port = if scheme == "https" { 443 } else { 80 };
    let host = authority.host().to_ascii_lowercase();
    match authority.port_u16() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

/// The address of a file: `ENDPOINT/REPOSITORY/resolve/REVISION/FILE`.
pub(crate) fn of_file(endpoint: &str, repository: &str, revision: &str, file: &str) -> String {
    format!("{endpoint}/{repository}/resolve/{}/{file}", encode(revision))
}

/// Target of the header `Location` of an answer from `base`.
pub(crate) fn join(base: &str, location: &str) -> String {
    let origin_end = base.find("://").map_or(0, |at| at + 3);
    let path_start = base[origin_end..].find('/').map_or(base.len(), |at| origin_end + at);
    if is_absolute(location) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}{location}", &base[..origin_end.saturating_sub(2)])
    } else if location.starts_with('/') {
        format!("{}{location}", &base[..path_start])
    } else {
        let path = base.split(['?', '#']).next().unwrap_or(base);
        let folder = path.rfind('/').filter(|at| *at >= path_start).map_or(path.len(), |at| at);
        format!("{}/{location}", &path[..folder])
    }
}

/// `true` if a scheme stands before the first colon
/// ([RFC 3986, section 3.1](https://www.rfc-editor.org/rfc/rfc3986#section-3.1)); a path or a query may hold others.
fn is_absolute(location: &str) -> bool {
    let Some((scheme, _)) = location.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

/// Percent-encodes what has a meaning in addresses, slashes included.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_ignore_case_default_ports_paths_and_users() {
        let cases = [
            ("https://Hub.co/a/b?secret=1", "https://hub.co"),
            ("https://hub.co:443", "https://hub.co"),
            ("http://hub.co:443/x", "http://hub.co:443"),
            ("https://me:password@hub.co/x", "https://hub.co"),
            ("nonsense", "(no address)"),
        ];
        for (address, expected) in cases {
            assert_eq!(origin(address), expected);
        }
    }

    #[test]
    fn revisions_with_slashes_stay_one_part() {
        let address = of_file("https://hub.co", "me/net", "refs/pr/1", "config.json");
        assert_eq!(address, "https://hub.co/me/net/resolve/refs%2Fpr%2F1/config.json");
    }

    #[test]
    fn redirections_of_every_form_lead_somewhere() {
        let base = "https://hub.co:8/me/net/resolve/main/file?download=a/b";
        let cases = [
            ("http://cdn.co/x?y", "http://cdn.co/x?y"),
            ("//cdn.co/x", "https://cdn.co/x"),
            ("/api/x?y", "https://hub.co:8/api/x?y"),
            ("x", "https://hub.co:8/me/net/resolve/main/x"),
            ("/api/x?of=https://cdn.co/y", "https://hub.co:8/api/x?of=https://cdn.co/y"),
            ("x?of=https://cdn.co/y", "https://hub.co:8/me/net/resolve/main/x?of=https://cdn.co/y"),
            ("//cdn.co/x?of=https://hub.co", "https://cdn.co/x?of=https://hub.co"),
            ("HTTP://cdn.co/x", "HTTP://cdn.co/x"),
        ];
        for (location, expected) in cases {
            assert_eq!(join(base, location), expected);
        }
        assert_eq!(join("https://hub.co", "x"), "https://hub.co/x");
    }
}
