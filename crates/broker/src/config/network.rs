use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Sockets: threads, sizes and limits. Every limit is on by default (`docs/decisions/2026-11-21-strangers.md`).
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// `num.network.threads`: single-threaded runtimes that own connections and run their requests.
    pub num_network_threads: usize,
    /// `socket.request.max.bytes`: the longest frame taken.
    pub socket_request_max_bytes: usize,
    /// `queued.max.request.bytes`, but limited by default: what requests being received or answered may hold together.
    pub queued_max_bytes: usize,
    /// Requests of one connection that may wait for their completion at a time.
    pub max_in_flight_requests: usize,
    /// `max.connections`, over all listeners. A full house lets the next client wait in the socket's queue; on the
    /// inter-broker listener other brokers still get in.
    pub max_connections: usize,
    /// Connections that the inter-broker listener takes beyond `max_connections`, for brokers alone.
    pub brokers_room: usize,
    /// `max.connections.per.ip`: a connection past it is closed. Here a half of `max_connections` by default.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`, its host names resolved.
    pub max_connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`: connections accepted in a second; clients past it wait in the socket's queue.
    pub max_connection_creation_rate: u32,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// How long a new connection may take to send its first request, and a second more for every 64 KiB of it.
    pub first_request_timeout: Duration,
    /// How long a frame that has begun may take for each 512 KiB of it. Ten seconds and a mebibyte a second are asked
    /// for where the byte budget is spent, so that nobody holds it by dribbling.
    pub frame_timeout: Duration,
}

/// What [`NetworkConfig::max_connections`] is where nobody says and files may be opened without end.
pub const MAX_CONNECTIONS: usize = 100_000;
/// What [`NetworkConfig::brokers_room`] is where files may be opened without end.
pub const BROKERS_ROOM: usize = 512;

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            num_network_threads: 3,
            socket_request_max_bytes: 104_857_600,
            queued_max_bytes: 512 << 20,
            max_in_flight_requests: 64,
            max_connections: MAX_CONNECTIONS,
            brokers_room: BROKERS_ROOM,
            max_connections_per_ip: MAX_CONNECTIONS / 2,
            max_connections_per_ip_overrides: HashMap::new(),
            max_connection_creation_rate: i32::MAX as u32,
            connections_max_idle: Duration::from_secs(600),
            first_request_timeout: Duration::from_secs(30),
            frame_timeout: Duration::from_secs(30),
        }
    }
}
