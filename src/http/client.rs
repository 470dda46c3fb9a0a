//! Finds the client behind the proxies we trust (security rule 9).

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::RequestHead;

/// The address of the client. Unless `peer` is trusted that is `peer` itself; otherwise `X-Forwarded-For`
/// is read right to left, each entry vouched for by the trusted hop to its right. The first entry that is
/// not trusted is the client. An entry that is no address ends the walk at the hop that wrote it.
pub fn client_address(peer: IpAddr, head: &RequestHead<'_>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let lines: Vec<&[u8]> = head.fields().all("x-forwarded-for").collect();
    let entries = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','));
    for entry in entries {
        let Some(address) = parse_entry(entry.trim_ascii()) else {
            break;
        };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// Reads an address, alone or with a port, as some proxies write it.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, lines: &[&str]) -> String {
        let mut head = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
        for line in lines {
            head.push_str("X-Forwarded-For: ");
            head.push_str(line);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let head = RequestHead::parse(head.as_bytes()).unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_address(peer.parse().unwrap(), &head, &trusted).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(found("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(found("::ffff:192.0.2.1", &["10.0.0.1"]), "192.0.2.1");
    }

    #[test]
    fn the_first_stranger_from_the_right_is_the_client() {
        assert_eq!(found("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(found("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(found("fd00::1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(
            found("10.0.0.1", &["198.51.100.7", "10.0.0.3,10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            found("10.0.0.1", &["198.51.100.7", "203.0.113.9"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn garbage_ends_the_walk_at_the_hop_that_wrote_it() {
        assert_eq!(
            found("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"]),
            "10.0.0.2"
        );
        assert_eq!(found("10.0.0.1", &["198.51.100.7,"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["198.51.100.7, 10.0.0.02"]), "10.0.0.1");
    }

    #[test]
    fn without_a_stranger_the_farthest_hop_is_the_client() {
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn an_entry_may_carry_a_port_or_brackets() {
        assert_eq!(found("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(found("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(found("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
    }
}
