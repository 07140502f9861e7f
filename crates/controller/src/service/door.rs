use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use raftsman_rpc::{Counted, PerAddress};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::DoorConfig;

/// Who may connect to the controllers' listener.
///
/// A quarter of all places is kept for known addresses, those of controllers and brokers. No address that is not known has more
/// than half of the others, and no known one so many that the other known ones find none.
pub(crate) struct Door {
    limits: Limits,
    handshake_timeout: Duration,
    for_all: Arc<Semaphore>,
    for_known: Arc<Semaphore>,
    per_address: PerAddress,
    known: RwLock<HashSet<IpAddr>>,
}

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    for_all: usize,
    for_known: usize,
    /// Of an address that nobody knows.
    per_address: usize,
    /// Of a known one: a whole cluster may be behind it.
    per_known_address: usize,
}

impl Limits {
    fn of(max_connections: usize) -> Limits {
        let max_connections = max_connections.min(Semaphore::MAX_PERMITS);
        let for_known = max_connections / 4;
        let for_all = max_connections - for_known;
        Limits {
            for_all,
            for_known,
            per_address: for_all.div_ceil(2),
            per_known_address: max_connections - for_known / 2,
        }
    }
}

/// A connection's place; given back when dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _of_address: Counted,
}

impl Door {
    pub(crate) fn new(config: &DoorConfig) -> Door {
        let limits = Limits::of(config.max_connections);
        Door {
            limits,
            handshake_timeout: config.handshake_timeout,
            for_all: Arc::new(Semaphore::new(limits.for_all)),
            for_known: Arc::new(Semaphore::new(limits.for_known)),
            per_address: PerAddress::default(),
            known: RwLock::default(),
        }
    }

    /// How long a peer may take to begin HTTP/2.
    pub(super) fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// From here on these addresses are the known ones.
    pub(super) fn know(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        *self.known.write() = addresses.into_iter().map(|address| address.to_canonical()).collect();
    }

    /// A place for a connection that was accepted; `None` if there is none for its address.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let is_known = self.known.read().contains(&address.to_canonical());
        let limit = if is_known { self.limits.per_known_address } else { self.limits.per_address };
        let of_address = self.per_address.count(address, limit)?;
        let permit = match self.for_all.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // What is kept for the known ones is touched last: it is for the day on which strangers hold the rest.
            Err(_) if is_known => self.for_known.clone().try_acquire_owned().ok()?,
            Err(_) => return None,
        };
        Some(Place { _permit: permit, _of_address: of_address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(max_connections: usize) -> Door {
        Door::new(&DoorConfig { max_connections, ..DoorConfig::default() })
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// As many places as an address gets.
    fn take_all(door: &Door, address: IpAddr) -> Vec<Place> {
        std::iter::from_fn(|| door.admit(address)).collect()
    }

    #[test]
    fn the_limits_leave_something_to_others() {
        let of = |max_connections| {
            let limits = Limits::of(max_connections);
            (limits.for_all, limits.for_known, limits.per_address, limits.per_known_address)
        };
        assert_eq!(of(4096), (3072, 1024, 1536, 3584));
        assert_eq!(of(32), (24, 8, 12, 28));
        assert_eq!(of(1), (1, 0, 1, 1), "a place is a place");
    }

    #[test]
    fn no_address_fills_the_house() {
        let door = door(32);
        let stranger = take_all(&door, address(1));
        assert_eq!(stranger.len(), 12);
        assert_eq!(take_all(&door, address(2)).len(), 12);
        drop(stranger);
        assert_eq!(take_all(&door, address(1)).len(), 12, "places come back");
    }

    #[test]
    fn strangers_of_many_addresses_leave_a_quarter_to_who_is_known() {
        let door = door(32);
        door.know([address(100), address(101)]);
        let strangers: Vec<Place> = (1..50).filter_map(|last| door.admit(address(last))).collect();
        assert_eq!(strangers.len(), 24);
        let _voter = door.admit("::ffff:192.0.2.100".parse().unwrap()).expect("a known address");
        assert_eq!(take_all(&door, address(101)).len(), 7, "and no more than there are");
    }

    #[test]
    fn a_known_address_has_room_for_a_cluster_and_leaves_room_to_the_others() {
        let door = door(32);
        door.know([address(100), address(101)]);
        let first = take_all(&door, address(100));
        assert_eq!(first.len(), 28);
        assert_eq!(take_all(&door, address(101)).len(), 4);
        door.know([]);
        assert!(door.admit(address(100)).is_none(), "known no longer");
    }

    #[test]
    fn who_is_refused_counts_nowhere() {
        let door = door(4);
        let taken: Vec<Place> = (1..=3).filter_map(|last| door.admit(address(last))).collect();
        assert_eq!(taken.len(), 3);
        for _ in 0..10 {
            assert!(door.admit(address(9)).is_none());
        }
        drop(taken);
        assert_eq!(take_all(&door, address(9)).len(), 2);
    }
}
