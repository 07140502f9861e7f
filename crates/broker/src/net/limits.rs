use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections there may be: of client listeners together (`max.connections`), and from one address on any
/// listener (`max.connections.per.ip`).
pub(crate) struct ConnectionLimits {
    total: Arc<Semaphore>,
    per_ip: usize,
    by_ip: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    _total: Option<OwnedSemaphorePermit>,
    address: IpAddr,
    by_ip: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl ConnectionLimits {
    pub(crate) fn new(total: usize, per_ip: usize) -> ConnectionLimits {
        let total = Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS)));
        ConnectionLimits { total, per_ip, by_ip: Arc::default() }
    }

    /// Waits until a client listener may accept one more.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed, so this only waits.
        self.total.clone().acquire_owned().await.ok()
    }

    /// Takes a place for an accepted connection; `None` if its address has too many. The inter-broker listener brings
    /// no `room`: peers must get in however many clients there are.
    pub(crate) fn admit(&self, address: IpAddr, room: Option<OwnedSemaphorePermit>) -> Option<Place> {
        let mut by_ip = self.by_ip.lock();
        let count = by_ip.entry(address).or_default();
        if *count >= self.per_ip {
            return None;
        }
        *count += 1;
        Some(Place { _total: room, address, by_ip: self.by_ip.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_ip = self.by_ip.lock();
        if let Some(count) = by_ip.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&self.address);
            }
        }
    }
}
