//! The client of a request, as far as its IP address tells.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Returns the network of one customer: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// The only header that names the client. `Forwarded` is not read: a proxy passes on whichever of the two it does not
/// write, so that a client could forge it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the IP address of the client of a connection: the last one in the forwarding header that no trusted proxy
/// added.
pub(crate) fn client_ip(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if headers.contains_key(FORWARDED_FOR) && !proxies.iter().any(|network| network.contains(&peer)) {
        static WARNED: std::sync::Once = std::sync::Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                %peer,
                "requests come through an untrusted proxy, so that all of its clients share the limits of one: add --proxies \
                 {peer} if it sets X-Forwarded-For itself"
            );
        });
    }
    forwarded_for(peer, headers, proxies)
}

fn forwarded_for(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return Some(peer);
    }
    let mut first = peer;
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        // An entry that is not an address hides the client.
        let value = value.to_str().ok()?;
        for text in value.rsplit(',').map(str::trim).filter(|text| !text.is_empty()) {
            first = parse_proxy_ip(text)?.to_canonical();
            if !trusted(&first) {
                return Some(first);
            }
        }
    }
    // A trusted network may contain clients, too.
    Some(first)
}

/// Parses an address as proxies write it: some add the port, and enclose IPv6 addresses in brackets.
fn parse_proxy_ip(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(peer: &str, header_values: &[&str], proxies: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in header_values {
            headers.append("x-forwarded-for", value.parse().expect("a header"));
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().expect("a network")).collect();
        forwarded_for(peer.parse().expect("an address"), &headers, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn who_is_no_proxy_is_not_believed() {
        assert_eq!(resolved("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_last_address_that_no_proxy_wrote_counts() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(
            resolved("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], &proxies).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(resolved("10.0.0.1", &["203.0.113.9", "198.51.100.7"], &proxies).as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn what_is_no_address_is_nobodys() {
        for said in [
            "unknown",
            "198.51.100.7, _hidden",
            "198.51.100.7 10.0.0.2",
            "2001:db8::1%eth0",
            "[198.51.100.7]",
            "010.0.0.1",
        ] {
            assert_eq!(resolved("10.0.0.1", &[said], &["10.0.0.0/8"]), None, "{said}");
        }
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7".parse().expect("a header"));
        headers.append("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"\xff").expect("a header"));
        let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
        assert_eq!(forwarded_for(proxy, &headers, &[IpNet::from(proxy)]), None);
        // Entries to the left of the first untrusted address may be forged.
        assert_eq!(resolved("10.0.0.1", &["<x>, 198.51.100.7"], &["10.0.0.0/8"]).as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"];
        for (peer, said, client_ip) in [
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", " 198.51.100.7 , ,", "198.51.100.7"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "[2001:DB8::7]", "2001:db8::7"),
            ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("2001:db8:1::1", "198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        ] {
            assert_eq!(resolved(peer, &[said], &proxies).as_deref(), Some(client_ip), "{said}");
        }
    }

    #[test]
    fn a_client_within_the_network_of_a_proxy_is_found_too() {
        assert_eq!(resolved("10.0.0.1", &["10.0.0.9, 10.0.0.2"], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.9"));
        assert_eq!(resolved("10.0.0.1", &[], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(resolved("10.0.0.1", &[" , "], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.1"));
    }
}
