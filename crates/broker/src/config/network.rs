use std::time::Duration;

/// Sockets: threads, sizes and limits.
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
    /// `max.connections` over all listeners but the inter-broker one.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// How long a new connection may take to send its first byte.
    pub first_byte_timeout: Duration,
    /// How long a frame that has begun may stand still.
    pub frame_timeout: Duration,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            num_network_threads: 3,
            socket_request_max_bytes: 104_857_600,
            queued_max_bytes: 512 << 20,
            max_in_flight_requests: 64,
            max_connections: 100_000,
            max_connections_per_ip: i32::MAX as usize,
            connections_max_idle: Duration::from_secs(600),
            first_byte_timeout: Duration::from_secs(60),
            frame_timeout: Duration::from_secs(30),
        }
    }
}
