use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_rpc::ACTIVE_CONTROLLER_KEY;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::ControllerError;

/// Between two rounds over the known controllers.
const REDIAL_BACKOFF: Duration = Duration::from_millis(30);
/// With less time left than this a controller is not asked: an answer cut off would leave the outcome unknown.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);
/// A controller that failed so lately is asked last.
const FAILED_LATELY: Duration = Duration::from_secs(2);
const MAX_HINTS: usize = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
const MAX_REPLY_BYTES: usize = 8 << 20;

/// What a connection to a controller carries. Each purpose has a TCP connection of its own, so that a large snapshot
/// never delays a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Single requests.
    Requests,
    /// The session stream.
    Session,
    /// The metadata stream.
    Watch,
}

/// What a failed attempt tells.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// The controller said that it is not active; perhaps who is.
    NotActive(Option<String>),
    /// The request never left this node, or was turned away unread.
    Unsent(String),
    /// The controller refuses such a request, and so will any other.
    Denied(String),
    /// The request was sent and nothing is known of it.
    Unknown(String),
}

/// Finds the active controller and keeps connections to controllers.
pub(crate) struct Controllers {
    endpoints: Vec<String>,
    channels: Mutex<HashMap<(Purpose, String), Channel>>,
    active: Mutex<Option<String>>,
    /// When a controller last failed to answer. Only ever holds configured addresses and hints of one round.
    failures: Mutex<HashMap<String, Instant>>,
}

/// Walks over the controllers for one request: the believed active one first, then hints, then everyone in turn.
pub(crate) struct Search {
    /// Whom to ask in this round.
    round: VecDeque<String>,
    rounds: usize,
    /// Hints followed in this round: two controllers that each call the other active must not make a busy loop.
    hints: usize,
    hint: Option<String>,
}

impl Controllers {
    pub(crate) fn new(endpoints: Vec<(String, u16)>) -> Controllers {
        let endpoints = endpoints.into_iter().map(|(host, port)| format_address(&host, port)).collect();
        Controllers { endpoints, channels: Mutex::default(), active: Mutex::default(), failures: Mutex::default() }
    }

    /// Starts a search at the controller that answered last.
    pub(crate) fn search(&self) -> Search {
        Search { round: VecDeque::new(), rounds: 0, hints: 0, hint: self.active.lock().clone() }
    }

    /// The next address to try; waits a little after each full round. `None` when the deadline is near or no
    /// controller is configured.
    pub(crate) async fn next_address(&self, search: &mut Search, deadline: Instant) -> Option<String> {
        if Instant::now() + SHORTEST_ATTEMPT > deadline {
            return None;
        }
        if let Some(hint) = search.hint.take() {
            return Some(hint);
        }
        if self.endpoints.is_empty() {
            return None;
        }
        if search.round.is_empty() {
            if search.rounds > 0 {
                tokio::time::sleep(REDIAL_BACKOFF).await;
            }
            (search.rounds, search.hints) = (search.rounds + 1, 0);
            search.round = self.new_round();
        }
        search.round.pop_front()
    }

    /// Everyone once; last of all those that failed a moment ago, since a machine that is gone answers no dial at all.
    fn new_round(&self) -> VecDeque<String> {
        let mut failures = self.failures.lock();
        failures.retain(|_, failed| failed.elapsed() < FAILED_LATELY);
        let (bad, good): (Vec<_>, Vec<_>) = self.endpoints.iter().cloned().partition(|a| failures.contains_key(a));
        good.into_iter().chain(bad).collect()
    }

    /// An open connection for the purpose, dialled now if there is none: a refused dial is then a definite no.
    pub(crate) async fn connect(&self, purpose: Purpose, address: &str) -> Result<Channel, AttemptError> {
        let key = (purpose, address.to_owned());
        if let Some(channel) = self.channels.lock().get(&key) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| AttemptError::Unsent(format!("{address} is no address: {e}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_millis(500))
            .keep_alive_timeout(Duration::from_millis(500))
            .keep_alive_while_idle(true);
        let channel =
            endpoint.connect().await.map_err(|e| AttemptError::Unsent(format!("{address}: {}", chain(&e))))?;
        self.channels.lock().insert(key, channel.clone());
        Ok(channel)
    }

    /// Notes that this controller answered as the active one.
    pub(crate) fn answered(&self, address: &str) {
        self.failures.lock().remove(address);
        let mut active = self.active.lock();
        if active.as_deref() != Some(address) {
            *active = Some(address.to_owned());
        }
    }

    /// Notes a failure: forgets what it disproves and lets the search follow the hint.
    pub(crate) fn failed(&self, purpose: Purpose, address: &str, error: &AttemptError, search: &mut Search) {
        let mut active = self.active.lock();
        if active.as_deref() == Some(address) {
            *active = None;
        }
        drop(active);
        match error {
            // A hint that points back, or to one that just failed, is no news: go on with the round.
            AttemptError::NotActive(Some(hint)) => {
                let is_news = hint != address && search.hints < MAX_HINTS && !self.failures.lock().contains_key(hint);
                search.hints += 1;
                search.hint = is_news.then(|| hint.clone());
            }
            AttemptError::NotActive(None) | AttemptError::Denied(_) => {}
            AttemptError::Unsent(_) | AttemptError::Unknown(_) => {
                self.failures.lock().insert(address.to_owned(), Instant::now());
                self.channels.lock().remove(&(purpose, address.to_owned()));
            }
        }
    }

    /// The error of a search that ended without an answer.
    pub(crate) fn exhausted(&self, last: Option<AttemptError>) -> ControllerError {
        ControllerError::Definite(match last {
            None if self.endpoints.is_empty() => "no controller is configured".to_owned(),
            None => "the time was up before a controller could be asked".to_owned(),
            Some(AttemptError::NotActive(_)) => "no controller is active at the moment".to_owned(),
            Some(AttemptError::Unsent(why) | AttemptError::Unknown(why) | AttemptError::Denied(why)) => why,
        })
    }
}

/// The largest message a controller may send us.
pub(crate) fn max_reply_bytes() -> usize {
    MAX_REPLY_BYTES
}

/// Sorts a gRPC status into what it tells about the request.
pub(crate) fn classify(address: &str, status: &Status) -> AttemptError {
    let text = format!("{address}: {}", chain(status));
    // A status without a cause was sent by the controller itself; the others are made here of what went wrong.
    if status.source().is_none() {
        match status.code() {
            Code::Unavailable => {
                let hint = status.metadata().get(ACTIVE_CONTROLLER_KEY).and_then(|v| v.to_str().ok());
                return AttemptError::NotActive(hint.filter(|h| !h.is_empty()).map(str::to_owned));
            }
            Code::InvalidArgument | Code::FailedPrecondition => {
                return AttemptError::Denied(format!("{address}: {}", status.message()));
            }
            Code::ResourceExhausted => return AttemptError::Unsent(text),
            _ if status.message().starts_with("Service was not ready") => return AttemptError::Unsent(text),
            _ => {}
        }
    }
    if is_connect_error(status) { AttemptError::Unsent(text) } else { AttemptError::Unknown(text) }
}

fn is_connect_error(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn format_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
