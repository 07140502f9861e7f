//! What a node's sockets are limited to: as its file says, else by what the machine has.
//!
//! Of the files that the process may open, clients get a half, brokers beyond those a sixteenth, and the controllers' listener an
//! eighth. The rest is for logs.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use raftsman_broker::config::{BROKERS_ROOM, MAX_CONNECTIONS, NetworkConfig};
use raftsman_controller::DoorConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{ConfigError, Settings};

/// What the byte budget is at least, however little memory there is.
const SMALLEST_BUDGET_BYTES: usize = 64 << 20;

/// How many segment files are kept open at least, however few may be.
const OPEN_LOG_FILES_MIN: usize = 16;

/// What the process may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) open_files: usize,
    pub(crate) memory_bytes: usize,
}

impl Machine {
    /// Looks at the limits of the process, its control group and the machine.
    pub(crate) fn look() -> Machine {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let group = read("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
        let total = kib_of(&read("/proc/meminfo"), "MemTotal:").map_or(u64::MAX, |kib| kib.saturating_mul(1024));
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            open_files: usize::try_from(open_files).unwrap_or(usize::MAX),
            memory_bytes: usize::try_from(total.min(group)).unwrap_or(usize::MAX),
        }
    }
}

fn kib_of(meminfo: &str, name: &str) -> Option<u64> {
    meminfo.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Lets the process open as many files as it may: many systems start programs with a limit of 1024 that they may raise.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// The settings of sockets.
///
/// # Errors
/// A number out of range, or an entry of `max.connections.per.ip.overrides` that is none.
pub(crate) fn network(settings: &Settings, machine: Machine) -> Result<NetworkConfig, ConfigError> {
    let defaults = NetworkConfig::default();
    let threads: usize = settings.number("num.network.threads")?;
    let idle: i64 = settings.number("connections.max.idle.ms")?;
    let max_connections = max_connections(settings, machine)?;
    Ok(NetworkConfig {
        // A thread here also works on requests: more of them than cores only take turns.
        num_network_threads: match settings.is_given("num.network.threads") {
            true => threads,
            false => threads.min(machine.cores),
        },
        socket_request_max_bytes: settings.number("socket.request.max.bytes")?,
        queued_max_bytes: budget(settings, machine)?,
        max_connections,
        brokers_room: BROKERS_ROOM.min((machine.open_files / 16).max(1)),
        max_connections_per_ip: match settings.is_given("max.connections.per.ip") {
            true => settings.number("max.connections.per.ip")?,
            // No single address keeps all others out.
            false => max_connections.div_ceil(2),
        },
        max_connections_per_ip_overrides: overrides(settings)?,
        max_connection_creation_rate: settings.number("max.connection.creation.rate")?,
        // Kafka takes a negative time for "never".
        connections_max_idle: u64::try_from(idle)
            .map_or(Duration::from_secs(u64::from(u32::MAX)), Duration::from_millis),
        ..defaults
    })
}

/// Half of the files that may be open are kept for logs and what else a node opens.
fn max_connections(settings: &Settings, machine: Machine) -> Result<usize, ConfigError> {
    let key = "max.connections";
    let possible = (machine.open_files / 2).max(1);
    if !settings.is_given(key) {
        return Ok(MAX_CONNECTIONS.min(possible));
    }
    let wanted: usize = settings.number(key)?;
    // Kafka's own default, written out, means "no limit".
    if wanted > possible && wanted != i32::MAX as usize {
        tracing::warn!("{key} is {possible} instead of {wanted}: half of the limit of open files, raise that");
    }
    Ok(wanted.min(possible))
}

/// How many segment files all logs keep open together: an eighth of the files that may be open. What sockets and they leave is for
/// what is opened only for a moment, indexes and checkpoints, for connections to other nodes, and for all else.
pub(crate) fn open_log_files(machine: Machine) -> usize {
    (machine.open_files / 8).max(OPEN_LOG_FILES_MIN)
}

/// What the controllers' listener is limited to. A node without a broker has no logs and no clients, and more for controllers.
pub(crate) fn door(machine: Machine, with_broker: bool) -> DoorConfig {
    let possible = machine.open_files / if with_broker { 8 } else { 2 };
    DoorConfig { max_connections: DoorConfig::MAX_CONNECTIONS.min(possible.max(1)), ..DoorConfig::default() }
}

fn budget(settings: &Settings, machine: Machine) -> Result<usize, ConfigError> {
    let given: i64 = settings.number("queued.max.request.bytes")?;
    let possible = (machine.memory_bytes / 4).max(SMALLEST_BUDGET_BYTES);
    let default = NetworkConfig::default().queued_max_bytes.min(possible);
    Ok(usize::try_from(given).ok().filter(|bytes| *bytes > 0).unwrap_or(default))
}

/// `host:count` entries; a host by name stands for all its addresses.
fn overrides(settings: &Settings) -> Result<HashMap<IpAddr, usize>, ConfigError> {
    let key = "max.connections.per.ip.overrides";
    let refuse = |entry: &str| settings.refuse(key, format!("host:count, as in 127.0.0.1:200, not {entry}"));
    let mut limits = HashMap::new();
    for entry in settings.list(key) {
        let (host, count) = entry.rsplit_once(':').ok_or_else(|| refuse(entry))?;
        let count: i32 = count.trim().parse().map_err(|_| refuse(entry))?;
        let count = usize::try_from(count).map_err(|_| refuse(entry))?;
        let host = host.trim().trim_start_matches('[').trim_end_matches(']');
        let addresses = (host, 0)
            .to_socket_addrs()
            .map_err(|error| settings.refuse(key, format!("hosts that are known; {host} is not: {error}")))?;
        limits.extend(addresses.map(|address| (address.ip().to_canonical(), count)));
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Machine = Machine { cores: 2, open_files: 256, memory_bytes: 512 << 20 };
    const LARGE: Machine = Machine { cores: 64, open_files: 1 << 20, memory_bytes: 1 << 40 };

    fn with(pairs: &[(&str, &str)], machine: Machine) -> Result<NetworkConfig, ConfigError> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        network(&Settings::gather(None, &pairs, std::iter::empty()).unwrap().0, machine)
    }

    #[test]
    fn every_limit_is_on_by_default_and_fits_the_machine() {
        let small = with(&[], SMALL).unwrap();
        assert_eq!((small.max_connections, small.max_connections_per_ip), (128, 64));
        assert_eq!((small.queued_max_bytes, small.num_network_threads), (128 << 20, 2));
        let large = with(&[], LARGE).unwrap();
        assert_eq!((large.max_connections, large.max_connections_per_ip), (100_000, 50_000));
        assert_eq!((large.queued_max_bytes, large.num_network_threads), (512 << 20, 3));
    }

    #[test]
    fn logs_keep_an_eighth_of_the_files_open_and_a_few_however_few_there_may_be() {
        assert_eq!([open_log_files(SMALL), open_log_files(LARGE)], [32, 1 << 17]);
        assert_eq!(open_log_files(Machine { open_files: 20, ..SMALL }), 16);
        assert!(open_log_files(Machine { open_files: usize::MAX, ..SMALL }) > 1 << 40);
    }

    #[test]
    fn what_sockets_and_logs_take_together_leaves_files_to_the_rest() {
        let alone = |machine| door(machine, false).max_connections;
        let beside_a_broker = |machine| door(machine, true).max_connections;
        assert_eq!((beside_a_broker(SMALL), alone(SMALL)), (32, 128));
        assert_eq!((beside_a_broker(LARGE), alone(LARGE)), (4096, 4096));
        assert_eq!(with(&[], LARGE).unwrap().brokers_room, 512);
        for open_files in [256, 1024, 4096, 65_536] {
            let machine = Machine { open_files, ..SMALL };
            let network = with(&[("max.connections", "2147483647")], machine).unwrap();
            let sockets = network.max_connections + network.brokers_room + beside_a_broker(machine);
            let taken = sockets + open_log_files(machine);
            assert!(taken <= open_files - open_files / 8, "{taken} of {open_files}");
        }
    }

    #[test]
    fn what_is_given_counts_as_far_as_files_go() {
        let pairs = [("max.connections", "1000"), ("max.connections.per.ip", "7"), ("queued.max.request.bytes", "99")];
        let given = with(&pairs, LARGE).unwrap();
        assert_eq!((given.max_connections, given.max_connections_per_ip, given.queued_max_bytes), (1000, 7, 99));
        assert_eq!(with(&pairs, SMALL).unwrap().max_connections, 128);
        assert_eq!(with(&[("max.connections", "2147483647")], SMALL).unwrap().max_connections, 128);
        let rate = with(&[("max.connection.creation.rate", "30")], LARGE).unwrap();
        assert_eq!(rate.max_connection_creation_rate, 30);
    }

    #[test]
    fn overrides_are_read_and_nonsense_is_refused() {
        let key = "max.connections.per.ip.overrides";
        let limits = with(&[(key, "127.0.0.1:200, localhost:5,[::1]:7")], LARGE).unwrap();
        let of = |address: &str| limits.max_connections_per_ip_overrides.get(&address.parse().unwrap()).copied();
        assert_eq!((of("127.0.0.1"), of("::1")), (Some(5), Some(7)));
        for bad in ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:-1", "no.such.host.invalid:3"] {
            assert!(with(&[(key, bad)], LARGE).is_err(), "{bad}");
        }
    }
}
