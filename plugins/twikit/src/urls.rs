//! Checks of URLs: whether one is https, and its origin. A complete URL parser would double the size of the component.

/// Returns the origin of an https URL in lower case, such as `https://cdn.example:8443`, or `None` for every other URL.
pub fn https_origin(url: &str) -> Option<String> {
    origin(url).filter(|origin| origin.starts_with("https:"))
}

/// Returns the origin of a URL that a page may load from: https, or plain http on the visitor's own machine. Browsers
/// trust both alike (W3C, Secure Contexts), so that a shop can be tested without certificates.
pub fn page_origin(url: &str) -> Option<String> {
    let own = |origin: &str| {
        let host = origin.strip_prefix("http://").and_then(|authority| authority.split(':').next());
        matches!(host, Some("127.0.0.1" | "localhost"))
    };
    origin(url).filter(|origin| origin.starts_with("https:") || own(origin))
}

/// Returns the origin of an http or https URL in lower case. Returns `None` if it is neither, names a user (the part
/// before an "@" can disguise an address), or contains a character that no valid URL contains.
pub fn origin(url: &str) -> Option<String> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let host_is_sound = host.split('.').all(|label| !label.is_empty())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let port_is_sound = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (matches!(scheme.as_str(), "http" | "https") && host_is_sound && port_is_sound)
        .then(|| format!("{scheme}://{}", authority.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(https_origin("https://CDN.twikit.example/a.js?x=1").as_deref(), Some("https://cdn.twikit.example"));
        assert_eq!(https_origin("https://cdn.example:8443").as_deref(), Some("https://cdn.example:8443"));
    }

    #[test]
    fn disguised_and_other_addresses_have_no_origin() {
        for url in [
            "http://cdn.example/a.js",
            "javascript:alert(1)",
            "data:image/png;base64,AAAA",
            "//cdn.example/a.js",
            "https://",
            "https:///a.js",
            "https://good.example@evil.example/",
            "https://cdn.example\\@evil.example/",
            "https://cdn.example/a b",
            "https://cdn.example/\n",
            "https://cdn..example/",
            "https://cdn.example:0/",
            "https://cdn.example:99999/",
            "https://cdn.exämple/",
            "",
        ] {
            assert_eq!(https_origin(url), None, "{url}");
        }
    }

    #[test]
    fn a_page_loads_over_plain_http_from_its_own_machine_alone() {
        for url in ["http://127.0.0.1:8080/a.js", "http://localhost/a.js", "https://cdn.example/a.js"] {
            assert!(page_origin(url).is_some(), "{url}");
        }
        for url in ["http://127.0.0.1.evil.example/", "http://localhost@evil.example/", "http://10.0.0.1/a.js", ""] {
            assert_eq!(page_origin(url), None, "{url}");
        }
    }

    #[test]
    fn links_are_http_or_https() {
        assert!(origin("http://track.example/1").is_some() && origin("https://track.example/1").is_some());
        for url in ["javascript:alert(1)", "javascript://x.example/%0aalert(1)", "ftp://track.example/", "é"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
