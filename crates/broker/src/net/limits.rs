use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::NetworkConfig;

/// Connections that the inter-broker listener takes beyond `max.connections`, for brokers alone.
const BROKERS_ROOM: usize = 512;
/// How many of these one address may have: a stranger is among them until it has spoken.
const BROKERS_ROOM_PER_IP: usize = 32;

/// How many connections there may be: of all listeners together (`max.connections`), and from one address on any
/// listener (`max.connections.per.ip`). Brokers find room on their listener however many clients there are.
pub(crate) struct ConnectionLimits {
    clients: Arc<Semaphore>,
    most_clients: usize,
    brokers: Arc<Semaphore>,
    per_ip: usize,
    overrides: HashMap<IpAddr, usize>,
    counts: Arc<Mutex<HashMap<IpAddr, Counts>>>,
}

/// An address's connections.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    in_brokers_room: usize,
}

/// Room for one more connection.
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    for_brokers: bool,
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    for_brokers: bool,
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, Counts>>>,
}

impl Place {
    /// Whether the place is one of those beyond the limits that only brokers may have.
    pub(crate) fn is_for_brokers(&self) -> bool {
        self.for_brokers
    }
}

impl ConnectionLimits {
    pub(crate) fn new(config: &NetworkConfig) -> ConnectionLimits {
        let most_clients = config.max_connections.min(Semaphore::MAX_PERMITS);
        ConnectionLimits {
            clients: Arc::new(Semaphore::new(most_clients)),
            most_clients,
            brokers: Arc::new(Semaphore::new(BROKERS_ROOM)),
            per_ip: config.max_connections_per_ip,
            overrides: config.max_connections_per_ip_overrides.clone(),
            counts: Arc::default(),
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
        // An IPv4 client of a socket for both is the same client.
        let address = address.to_canonical();
        let limit = self.overrides.get(&address).copied().unwrap_or(self.per_ip);
        let mut counts = self.counts.lock();
        let of_address = counts.entry(address).or_default();
        let mut room = room;
        if !room.for_brokers && of_address.all >= limit && with_brokers {
            room = Room { permit: self.brokers.clone().try_acquire_owned().ok()?, for_brokers: true };
        }
        let is_over = match room.for_brokers {
            true => of_address.in_brokers_room >= BROKERS_ROOM_PER_IP,
            false => of_address.all >= limit,
        };
        if is_over {
            return None;
        }
        of_address.all += 1;
        of_address.in_brokers_room += usize::from(room.for_brokers);
        let Room { permit, for_brokers } = room;
        Some(Place { _permit: permit, for_brokers, address, counts: self.counts.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(of_address) = counts.get_mut(&self.address) {
            of_address.all -= 1;
            of_address.in_brokers_room -= usize::from(self.for_brokers);
            if of_address.all == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
