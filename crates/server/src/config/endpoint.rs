//! `NAME://host:port` of `listeners` and `advertised.listeners`, `id@host:port` of `controller.quorum.voters`, and
//! `host:port` of `controller.quorum.bootstrap.servers`.

use std::fmt;

/// A listener's name and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, upper case as Kafka has it.
    pub name: String,
    /// The host; empty for "all of this machine's addresses".
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
}

/// One of the controllers that vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterAddress {
    /// Its `node.id`.
    pub node_id: i32,
    /// Where its controller listener is.
    pub host: String,
    /// Where its controller listener is.
    pub port: u16,
}

impl Endpoint {
    /// Reads `NAME://host:port`; an IPv6 address stands in brackets. `None` if the text is something else.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (name, address) = text.trim().split_once("://")?;
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        let (host, port) = parse_host_port(address)?;
        is_name.then(|| Endpoint { name: name.to_ascii_uppercase(), host, port })
    }

    /// Whether the host stands for every address of the machine, which no client can connect to.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
    }

    /// `host:port` to bind: the wildcard in its usual spelling.
    pub fn bind_address(&self) -> String {
        let host = if self.host.is_empty() { "0.0.0.0" } else { &self.host };
        join_host_port(host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, join_host_port(&self.host, self.port))
    }
}

impl VoterAddress {
    /// Reads `id@host:port`.
    pub fn parse(text: &str) -> Option<VoterAddress> {
        let (id, address) = text.trim().split_once('@')?;
        let node_id = id.parse().ok().filter(|id| *id >= 0)?;
        let (host, port) = parse_host_port(address)?;
        (!host.is_empty()).then_some(VoterAddress { node_id, host, port })
    }
}

/// Reads `host:port`, the host possibly empty or an IPv6 address in brackets.
pub fn parse_host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let is_host = bare.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@' | b',' | b'[' | b']'));
    let port = port.parse().ok()?;
    is_host.then(|| (bare.to_owned(), port))
}

/// `host:port`, an IPv6 host in brackets.
pub fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_in_every_spelling() {
        for (text, name, host, port) in [
            ("PLAINTEXT://:9092", "PLAINTEXT", "", 9092),
            (" inside://broker-1.local:19092 ", "INSIDE", "broker-1.local", 19092),
            ("A_B-C.D://[::1]:0", "A_B-C.D", "::1", 0),
            ("X://0.0.0.0:1", "X", "0.0.0.0", 1),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.name.as_str(), endpoint.host.as_str(), endpoint.port), (name, host, port), "{text}");
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Some(endpoint));
        }
        for bad in [
            "",
            "PLAINTEXT",
            "PLAINTEXT://host",
            "PLAINTEXT://host:port",
            "://h:1",
            "A B://h:1",
            "A://::1:1",
            "A://h:70000",
            "A://[::1:1",
            "A://h/x:1",
        ] {
            assert_eq!(Endpoint::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn voters_need_an_id_and_a_host() {
        assert_eq!(
            VoterAddress::parse("3@c3.example:9093"),
            Some(VoterAddress { node_id: 3, host: "c3.example".to_owned(), port: 9093 })
        );
        for bad in ["3@:9093", "-1@h:1", "h:1", "x@h:1", "3@h"] {
            assert_eq!(VoterAddress::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn wildcards_are_known_in_each_spelling() {
        for wildcard in ["A://:1", "A://0.0.0.0:1", "A://[::]:1"] {
            assert!(Endpoint::parse(wildcard).unwrap().is_wildcard(), "{wildcard}");
        }
        assert!(!Endpoint::parse("A://127.0.0.1:1").unwrap().is_wildcard());
        assert_eq!(Endpoint::parse("A://:1").unwrap().bind_address(), "0.0.0.0:1");
        assert_eq!(Endpoint::parse("A://[::1]:1").unwrap().bind_address(), "[::1]:1");
    }
}
