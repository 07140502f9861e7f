use std::sync::Arc;

/// What a listener does before Kafka's protocol begins (`listener.security.protocol.map`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Nothing.
    #[default]
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// SASL without TLS.
    SaslPlaintext = 2,
    /// SASL inside TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// Kafka's number for it, as in broker registrations.
    pub fn code(self) -> i16 {
        self as i16
    }
}

/// One listener: its name, what it tells clients to connect to, and its security protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name, `PLAINTEXT` for one.
    pub name: Arc<str>,
    /// The advertised host.
    pub advertised_host: Arc<str>,
    /// The advertised port; 0 takes the port of the bound socket.
    pub advertised_port: u16,
    /// Its security protocol.
    pub security_protocol: SecurityProtocol,
}
