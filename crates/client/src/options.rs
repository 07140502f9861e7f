use std::time::Duration;

/// How a client connects. The names in brackets are those of Kafka's own clients.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How the client calls itself (`client.id`).
    pub client_id: String,
    /// How long one connection may take to stand (`socket.connection.setup.timeout.ms`).
    pub connect_timeout: Duration,
    /// How long one request may take before its connection is given up (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long a call that tries again goes on doing so (`default.api.timeout.ms`).
    pub api_timeout: Duration,
    /// The first pause between two tries (`retry.backoff.ms`).
    pub retry_backoff: Duration,
    /// The longest pause between two tries (`retry.backoff.max.ms`).
    pub retry_backoff_max: Duration,
    /// Whether asking for an unknown topic's metadata may create it (`allow.auto.create.topics`).
    pub allow_auto_topic_creation: bool,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            client_id: "raftsman".to_owned(),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(200),
            allow_auto_topic_creation: false,
        }
    }
}
