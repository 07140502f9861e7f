use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use raftsman_rpc::{Counted, PerAddress};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::NetworkConfig;

/// How many of the connections for brokers alone one address may have, and never more than half: a stranger is among them until
/// it has spoken.
const BROKERS_ROOM_PER_IP: usize = 32;

/// How many connections there may be: of all listeners together (`max.connections`), and from one address on any
/// listener (`max.connections.per.ip`). Brokers find room on their listener however many clients there are.
pub(crate) struct ConnectionLimits {
    clients: Arc<Semaphore>,
    most_clients: usize,
    brokers: Arc<Semaphore>,
    brokers_per_ip: usize,
    per_ip: usize,
    overrides: HashMap<IpAddr, usize>,
    all: PerAddress,
    in_brokers_room: PerAddress,
}

/// Room for one more connection.
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    for_brokers: bool,
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _of_address: Counted,
    for_brokers: Option<Counted>,
}

impl Place {
    /// Whether the place is one of those beyond the limits that only brokers may have.
    pub(crate) fn is_for_brokers(&self) -> bool {
        self.for_brokers.is_some()
    }
}

impl ConnectionLimits {
    pub(crate) fn new(config: &NetworkConfig) -> ConnectionLimits {
        let most_clients = config.max_connections.min(Semaphore::MAX_PERMITS);
        ConnectionLimits {
            clients: Arc::new(Semaphore::new(most_clients)),
            most_clients,
            brokers: Arc::new(Semaphore::new(config.brokers_room.min(Semaphore::MAX_PERMITS))),
            brokers_per_ip: BROKERS_ROOM_PER_IP.min(config.brokers_room.div_ceil(2)),
            per_ip: config.max_connections_per_ip,
            overrides: config.max_connections_per_ip_overrides.clone(),
            all: PerAddress::default(),
            in_brokers_room: PerAddress::default(),
        }
    }

    /// Whether more than half of `max.connections` are taken, so that places are no longer for whoever says nothing.
    pub(crate) fn is_crowded(&self) -> bool {
        self.clients.available_permits() < self.most_clients - self.most_clients / 2
    }

    /// Waits until a listener may accept one more; the inter-broker listener (`with_brokers`) waits for less.
    pub(crate) async fn room(&self, with_brokers: bool) -> Option<Room> {
        if let Ok(permit) = self.clients.clone().try_acquire_owned() {
            return Some(Room { permit, for_brokers: false });
        }
        // The semaphores are never closed, so these only wait.
        let waiting = async |semaphore: &Arc<Semaphore>| semaphore.clone().acquire_owned().await.ok();
        if !with_brokers {
            return Some(Room { permit: waiting(&self.clients).await?, for_brokers: false });
        }
        tokio::select! {
            permit = waiting(&self.clients) => Some(Room { permit: permit?, for_brokers: false }),
            permit = waiting(&self.brokers) => Some(Room { permit: permit?, for_brokers: true }),
        }
    }

    /// Takes a place for an accepted connection; `None` if its address has too many. On the inter-broker listener such
    /// an address may still be a broker's.
    pub(crate) fn admit(&self, address: IpAddr, room: Room, with_brokers: bool) -> Option<Place> {
        let limit = self.overrides.get(&address.to_canonical()).copied().unwrap_or(self.per_ip);
        let mut room = room;
        if !room.for_brokers {
            if let Some(of_address) = self.all.count(address, limit) {
                return Some(Place { _permit: room.permit, _of_address: of_address, for_brokers: None });
            }
            if !with_brokers {
                return None;
            }
            room = Room { permit: self.brokers.clone().try_acquire_owned().ok()?, for_brokers: true };
        }
        let for_brokers = Some(self.in_brokers_room.count(address, self.brokers_per_ip)?);
        let of_address = self.all.count(address, usize::MAX)?;
        Some(Place { _permit: room.permit, _of_address: of_address, for_brokers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_files_are_few_one_address_has_half_of_the_brokers_room() {
        let config = NetworkConfig { max_connections: 1, brokers_room: 4, ..NetworkConfig::default() };
        let limits = ConnectionLimits::new(&config);
        let mut places = Vec::new();
        for (last, admitted) in [(1, true), (1, true), (1, true), (1, false), (2, true), (2, true)] {
            let room = limits.room(true).await.expect("there is room");
            let place = limits.admit([192, 0, 2, last].into(), room, true);
            assert_eq!(place.is_some(), admitted, "after {}", places.len());
            places.extend(place);
        }
        let for_brokers: Vec<bool> = places.iter().map(Place::is_for_brokers).collect();
        assert_eq!(for_brokers, [false, true, true, true, true]);
        places.truncate(2);
        let room = limits.room(true).await.expect("there is room again");
        assert!(limits.admit([192, 0, 2, 1].into(), room, true).is_some());
    }
}
