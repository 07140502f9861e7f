/// A listener that is already bound, so that a port of 0 and a socket handed over work alike.
pub struct BoundListener {
    /// Its name, one of the configuration's listeners.
    pub name: std::sync::Arc<str>,
    /// The bound socket.
    pub listener: std::net::TcpListener,
}
