use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use raftsman_types::ErrorCode;
use tokio::sync::{Mutex, watch};

use crate::retry::Retry;
use crate::{BrokerAddress, ClientError, ClientOptions, Connection, Metadata};

/// Metadata by topic name, with leader epochs and topic ids.
const METADATA_VERSION: i16 = 12;
/// A server that takes longer to say what it knows is passed over for another.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is used for: answers come in order, so slow requests keep to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short requests.
    Ordinary,
    /// Fetches that wait for data.
    Fetch,
    /// A group's requests, among them joins that wait for the other members.
    Group,
}

type Slot = Arc<Mutex<Option<Arc<Connection>>>>;

/// A cluster, as one client sees it: its metadata and a connection per broker and lane. Clones share both.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bootstrap: Vec<(String, u16)>,
    options: ClientOptions,
    slots: Mutex<HashMap<(i32, Lane), Slot>>,
    metadata: watch::Sender<Arc<Metadata>>,
    /// Held while metadata is being asked for, so that many callers ask once.
    asking: Mutex<()>,
    /// Whose turn it is to be asked, so that one bad server does not get every try.
    turn: AtomicUsize,
}

impl Client {
    /// Connects to a cluster through any of `bootstrap`, `host:port` with commas between.
    ///
    /// # Errors
    /// A malformed address, or no server answered within the connect timeout.
    pub async fn connect(bootstrap: &str, options: ClientOptions) -> Result<Client, ClientError> {
        let client = Client::unconnected(bootstrap, options)?;
        client.ask_metadata(&[]).await?;
        Ok(client)
    }

    /// As [`connect`](Client::connect), but without looking whether anybody is there.
    ///
    /// # Errors
    /// A malformed address.
    pub fn unconnected(bootstrap: &str, options: ClientOptions) -> Result<Client, ClientError> {
        let bootstrap = parse_bootstrap(bootstrap)?;
        let (metadata, _) = watch::channel(Arc::new(Metadata::default()));
        let inner = Inner {
            bootstrap,
            options,
            slots: Mutex::default(),
            metadata,
            asking: Mutex::default(),
            turn: AtomicUsize::new(0),
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// How this client connects.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// What is known of the cluster now.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.inner.metadata.borrow().clone()
    }

    /// The connection to a broker, made when there is none.
    ///
    /// # Errors
    /// The broker is unknown or cannot be reached.
    pub async fn connection(&self, node_id: i32, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        let metadata = self.metadata();
        let Some(broker) = metadata.brokers.get(&node_id) else {
            return Err(ClientError::Connection {
                address: format!("broker {node_id}"),
                cause: "not among the live brokers".to_owned(),
            });
        };
        self.connection_to(node_id, lane, &broker.host, broker.port).await
    }

    async fn connection_to(&self, id: i32, lane: Lane, host: &str, port: u16) -> Result<Arc<Connection>, ClientError> {
        let slot = self.inner.slots.lock().await.entry((id, lane)).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| !c.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(Connection::open(host, port, &self.inner.options).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// Any connection for short requests: a known broker's if one stands or can be made, else a bootstrap server's.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn any_connection(&self) -> Result<Arc<Connection>, ClientError> {
        let metadata = self.metadata();
        let brokers = metadata.brokers.values().map(|b| (b.node_id, b.host.clone(), b.port));
        // Bootstrap servers have no id yet: negative ones, as Kafka's clients give them.
        let bootstrap = self.inner.bootstrap.iter().zip(1..).map(|((host, port), i)| (-i, host.clone(), *port));
        let mut candidates: Vec<(i32, String, u16)> = brokers.chain(bootstrap).collect();
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % metadata.brokers.len().max(1);
        candidates[..metadata.brokers.len()].rotate_left(turn);
        let mut cause = String::new();
        for (id, host, port) in candidates {
            match self.connection_to(id, Lane::Ordinary, &host, port).await {
                Ok(connection) => return Ok(connection),
                Err(error) => cause = error.to_string(),
            }
        }
        let servers: Vec<String> = self.inner.bootstrap.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        Err(ClientError::Unreachable { servers: servers.join(","), cause })
    }

    /// Asks for metadata of topics, unless somebody has since `seen` was the version.
    ///
    /// # Errors
    /// Nobody answered.
    pub async fn refresh(&self, seen: u64, topics: &[&str]) -> Result<Arc<Metadata>, ClientError> {
        let _turn = self.inner.asking.lock().await;
        let metadata = self.metadata();
        let is_known = topics.iter().all(|topic| metadata.topics.contains_key(*topic));
        if metadata.version > seen && is_known {
            return Ok(metadata);
        }
        self.ask_metadata(topics).await
    }

    async fn ask_metadata(&self, topics: &[&str]) -> Result<Arc<Metadata>, ClientError> {
        let known = self.metadata();
        let mut names: Vec<&str> = known.topics.keys().map(|name| &**name).chain(topics.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let answer = self.metadata_of(Some(&names)).await?;
        Ok(self.take_in(&answer))
    }

    fn take_in(&self, answer: &MetadataResponse) -> Arc<Metadata> {
        self.inner.metadata.send_modify(|metadata| *metadata = Arc::new(metadata.merge(answer)));
        self.metadata()
    }

    /// Asks any server for metadata: of the named topics, or of all with `None`.
    ///
    /// # Errors
    /// Nobody answered, or with an error for the whole.
    pub(crate) async fn metadata_of(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, ClientError> {
        let topic = |name: &&str| MetadataRequestTopic { name: Some(Str::copy_from(name)), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(topic).collect()),
            allow_auto_topic_creation: self.inner.options.allow_auto_topic_creation,
            ..MetadataRequest::default()
        };
        let connection = self.any_connection().await?;
        let timeout = self.inner.options.request_timeout.min(METADATA_TIMEOUT);
        connection.request_slow(&request, METADATA_VERSION, timeout).await
    }

    /// A topic's metadata once it exists and each partition has a leader, asked for again until then.
    ///
    /// # Errors
    /// The topic's own error where trying again does not help (or `UNKNOWN_TOPIC_OR_PARTITION` at the end of the
    /// API timeout), or nobody answered in that time.
    pub async fn topic(&self, topic: &str) -> Result<Arc<Metadata>, ClientError> {
        let mut retry = Retry::new(&self.inner.options, self.inner.options.api_timeout);
        let known = self.metadata().version;
        loop {
            let metadata = self.metadata();
            let why = match metadata.topics.get(topic) {
                Some(t) if t.error == ErrorCode::None && t.partitions.iter().all(|p| p.leader.is_some()) => {
                    return Ok(metadata);
                }
                Some(t) if t.error != ErrorCode::None => {
                    let what = || format!("topic {topic}");
                    let error = ClientError::server(t.error.code(), None, what);
                    let waits =
                        self.inner.options.allow_auto_topic_creation || t.error != ErrorCode::UnknownTopicOrPartition;
                    // What an earlier call was told may have passed: the topic may have been created since.
                    let is_news = metadata.version > known;
                    if retry.is_over() || is_news && !(error.is_retriable() && waits) {
                        return Err(error);
                    }
                    t.error.to_string()
                }
                Some(_) => "a partition has no leader".to_owned(),
                None => "not asked yet".to_owned(),
            };
            if metadata.topics.contains_key(topic) {
                retry.pause(|| format!("metadata of topic {topic}: {why}")).await?;
            }
            if let Err(error) = self.refresh(metadata.version, &[topic]).await {
                retry.pause(|| format!("metadata of topic {topic}: {error}")).await?;
            }
        }
    }

    /// Takes in a hint about a partition's new leader. Answers whether it was news.
    pub(crate) fn learn_leader(
        &self,
        topic: &str,
        partition: i32,
        leader: (i32, i32),
        at: Option<BrokerAddress>,
    ) -> bool {
        self.inner.metadata.send_if_modified(|metadata| match metadata.with_leader(topic, partition, leader, at) {
            Some(next) => {
                *metadata = Arc::new(next);
                true
            }
            None => false,
        })
    }
}

fn parse_bootstrap(text: &str) -> Result<Vec<(String, u16)>, ClientError> {
    let servers: Vec<&str> = text.split(',').map(str::trim).filter(|server| !server.is_empty()).collect();
    if servers.is_empty() {
        return Err(ClientError::BadAddress(text.to_owned()));
    }
    let parse = |server: &str| {
        let (host, port) = server.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
    };
    servers.into_iter().map(|s| parse(s).ok_or_else(|| ClientError::BadAddress(s.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_addresses() {
        let parsed = parse_bootstrap("a:1, [::1]:2,").unwrap();
        assert_eq!(parsed, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        for bad in ["", "a", "a:b", ":1", "a:99999"] {
            assert!(parse_bootstrap(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_one_clear_error() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Client::connect(&unused.to_string(), ClientOptions::default()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(error.is_retriable());
    }
}
