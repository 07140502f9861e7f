//! Listening sockets, before anything else is started: a port in use is known at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Endpoint;

/// Connections that may wait to be accepted. Kafka's 50 drops some when thousands of clients come back at once.
const BACKLOG: i32 = 1024;

/// A listener that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "port {port} of listener {listener} is in use: stop the process that uses it, or change the port in listeners"
    )]
    InUse {
        /// The listener, as configured.
        listener: Endpoint,
        /// Its port.
        port: u16,
    },
    /// The host is not one of this machine's.
    #[error(
        "listener {listener} cannot be opened: {error}; its host must be a name or address of this machine, or empty for all"
    )]
    Refused {
        /// The listener, as configured.
        listener: Endpoint,
        /// What the system says.
        error: io::Error,
    },
}

/// Opens one listener.
///
/// # Errors
/// The port is taken, or the host is not this machine's.
pub fn bind(listener: &Endpoint) -> Result<TcpListener, BindError> {
    addresses(listener)
        .and_then(|addresses| {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the host does not resolve");
            for address in addresses {
                match open(address) {
                    Ok(bound) => return Ok(bound),
                    // A machine without IPv6 still has the next one.
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { listener: listener.clone(), port: listener.port },
            _ => BindError::Refused { listener: listener.clone(), error },
        })
}

fn addresses(listener: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    if listener.host.is_empty() {
        // All addresses of both kinds, as Java's wildcard.
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, listener.port).into(), (Ipv4Addr::UNSPECIFIED, listener.port).into()]);
    }
    Ok((listener.host.as_str(), listener.port).to_socket_addrs()?.collect())
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted node gets its port back though old connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn a_port_in_use_is_one_clear_line() {
        let first = bind(&endpoint("PLAINTEXT://127.0.0.1:0")).unwrap();
        let port = first.local_addr().unwrap().port();
        for host in ["127.0.0.1", ""] {
            let error = bind(&endpoint(&format!("PLAINTEXT://{host}:{port}"))).unwrap_err().to_string();
            assert!(error.contains(&format!("port {port}")) && error.contains("in use"), "{error}");
        }
    }

    #[test]
    fn a_host_of_another_machine_is_refused() {
        let error = bind(&endpoint("PLAINTEXT://192.0.2.1:0")).unwrap_err();
        assert!(matches!(error, BindError::Refused { .. }), "{error}");
    }

    #[test]
    fn the_empty_host_takes_all_addresses() {
        let bound = bind(&endpoint("PLAINTEXT://:0")).unwrap();
        let port = bound.local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
}
