use std::fs;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use super::endpoint::{Endpoint, VoterAddress, parse_host_port};
use super::error::ConfigError;
use super::listeners::{ListenerMap, RolesWanted};
use super::quorum::Quorum;
use super::settings::Settings;
use super::source::Warning;

/// Where a node without a file keeps its data, under the working directory.
pub const DEFAULT_DATA_DIRECTORY: &str = "raftsman-data/single";

/// `process.roles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serves clients and keeps replicas.
    pub broker: bool,
    /// Is one of the controllers.
    pub controller: bool,
}

/// Everything a node is told, checked as a whole.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `process.roles`.
    pub roles: Roles,
    /// `node.id`, or the older `broker.id`.
    pub node_id: i32,
    /// All listeners.
    pub listeners: ListenerMap,
    /// `controller.quorum.voters`; this node alone where it names nobody but itself.
    pub voters: Vec<VoterAddress>,
    /// `controller.quorum.bootstrap.servers`.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// `log.dirs`, or the older `log.dir`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_log_dir: PathBuf,
    /// `health.listener` (ours): host and port of the HTTP health endpoint, none unless set.
    pub health_listener: Option<(String, u16)>,
    /// `offsets.topic.replication.factor`; 1 where it is unset and the only controller is this node.
    pub offsets_topic_replication_factor: i16,
    /// Every other key.
    pub settings: Settings,
}

impl ServerConfig {
    /// Reads the file (if any), then the environment, then the overrides, each over the one before, and checks them
    /// one by one and together.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line that names the key, the value and what is allowed.
    pub fn load(
        path: Option<&Path>,
        overrides: &[(String, String)],
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
        let (settings, mut warnings) = Settings::gather(path, overrides, env)?;
        let config = ServerConfig::derive(settings, &mut warnings)?;
        Ok((config, warnings))
    }

    fn derive(settings: Settings, warnings: &mut Vec<Warning>) -> Result<ServerConfig, ConfigError> {
        let named = settings.list("process.roles");
        let roles = Roles { broker: named.contains(&"broker"), controller: named.contains(&"controller") };
        let node_id = node_id(&settings)?;
        let wanted = RolesWanted { broker: roles.broker, controller: roles.controller };
        let listeners = ListenerMap::derive(&settings, wanted, || own_host(settings.has_file()), warnings)?;
        let own = listeners.controller.as_ref().zip(listeners.controller_advertised.as_ref());
        let quorum = Quorum::derive(&settings, node_id, roles.controller, own)?;
        let log_dirs = log_dirs(&settings)?;
        let metadata_log_dir = settings.get("metadata.log.dir").map_or_else(|| log_dirs[0].clone(), PathBuf::from);
        let alone = matches!(quorum.voters.as_slice(), [only] if only.node_id == node_id) && roles.controller;
        let key = "offsets.topic.replication.factor";
        let offsets_topic_replication_factor =
            if alone && !settings.is_given(key) { 1 } else { settings.number(key)? };
        check_sessions(&settings)?;
        Ok(ServerConfig {
            roles,
            node_id,
            listeners,
            voters: quorum.voters,
            bootstrap_servers: quorum.bootstrap_servers,
            log_dirs,
            metadata_log_dir,
            health_listener: health_listener(&settings)?,
            offsets_topic_replication_factor,
            settings,
        })
    }

    /// Where controllers are: the voters, else the bootstrap servers.
    pub fn controller_endpoints(&self) -> Vec<(String, u16)> {
        if self.voters.is_empty() {
            return self.bootstrap_servers.clone();
        }
        self.voters.iter().map(|voter| (voter.host.clone(), voter.port)).collect()
    }

    /// Every directory with data, each once.
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut all = if self.roles.broker { self.log_dirs.clone() } else { Vec::new() };
        if self.roles.controller && !all.contains(&self.metadata_log_dir) {
            all.push(self.metadata_log_dir.clone());
        }
        all
    }

    /// What clients are told for a broker listener.
    pub fn advertised(&self, listener: &str) -> Option<&Endpoint> {
        self.listeners.advertised.iter().find(|endpoint| endpoint.name == listener)
    }
}

fn node_id(settings: &Settings) -> Result<i32, ConfigError> {
    let (node, broker) = (settings.is_given("node.id"), settings.is_given("broker.id"));
    if node && broker && settings.get("node.id") != settings.get("broker.id") {
        return Err(ConfigError::Contradiction(
            "node.id and broker.id are both set and differ: keep node.id".to_owned(),
        ));
    }
    let in_company =
        settings.is_given("controller.quorum.voters") || settings.is_given("controller.quorum.bootstrap.servers");
    match (node, broker) {
        (true, _) => settings.number("node.id"),
        (false, true) => match settings.number("broker.id")? {
            id if id >= 0 => Ok(id),
            _ => Err(settings.refuse("broker.id", "a whole number, 0 or more")),
        },
        (false, false) if in_company => Err(ConfigError::Missing {
            key: "node.id",
            why: "a node among others needs a number of its own, 0 or more".to_owned(),
        }),
        (false, false) => settings.number("node.id"),
    }
}

fn log_dirs(settings: &Settings) -> Result<Vec<PathBuf>, ConfigError> {
    let key = if settings.is_given("log.dirs") { "log.dirs" } else { "log.dir" };
    if !settings.has_file() && !settings.is_given(key) {
        return Ok(vec![PathBuf::from(DEFAULT_DATA_DIRECTORY)]);
    }
    let dirs: Vec<PathBuf> = settings.list(key).into_iter().map(PathBuf::from).collect();
    if dirs.is_empty() {
        return Err(settings.refuse(key, "at least one directory"));
    }
    match (1..dirs.len()).find(|i| dirs[..*i].contains(&dirs[*i])) {
        Some(i) => Err(settings.refuse(key, format!("each directory once; {} stands twice", dirs[i].display()))),
        None => Ok(dirs),
    }
}

fn check_sessions(settings: &Settings) -> Result<(), ConfigError> {
    let heartbeat: i64 = settings.number("broker.heartbeat.interval.ms")?;
    let session: i64 = settings.number("broker.session.timeout.ms")?;
    if heartbeat < 1 {
        return Err(settings.refuse("broker.heartbeat.interval.ms", "a whole number, 1 or more"));
    }
    // Kafka's own rule for its pair of keys: one lost heartbeat must not end a session.
    if session < heartbeat * 2 {
        let allowed = format!("twice broker.heartbeat.interval.ms ({heartbeat}) or more");
        return Err(settings.refuse("broker.session.timeout.ms", allowed));
    }
    Ok(())
}

fn health_listener(settings: &Settings) -> Result<Option<(String, u16)>, ConfigError> {
    let key = "health.listener";
    let Some(text) = settings.get(key) else { return Ok(None) };
    parse_host_port(text).map(Some).ok_or_else(|| settings.refuse(key, "host:port, as in 127.0.0.1:8080"))
}

/// What clients are told to connect to when nobody says: `localhost` for a node started without a file (somebody is
/// trying it out), else this machine's name as Kafka does, unless it does not resolve.
fn own_host(has_file: bool) -> String {
    let resolves = |name: &str| (name, 0).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some());
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        name if has_file && !name.is_empty() && resolves(name) => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}
