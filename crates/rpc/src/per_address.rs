use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many connections are open from each address. An IPv4 peer of a socket for both versions is the same peer.
#[derive(Debug, Default)]
pub struct PerAddress {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection that is counted, until it is dropped.
#[derive(Debug)]
pub struct Counted {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerAddress {
    /// Counts one more connection of an address; `None` if it has `limit` already.
    pub fn count(&self, address: IpAddr, limit: usize) -> Option<Counted> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        // An address without a connection keeps no entry, or strangers would leave theirs.
        if open.get(&address).copied().unwrap_or(0) >= limit {
            return None;
        }
        *open.entry(address).or_default() += 1;
        Some(Counted { address, open: Arc::clone(&self.open) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_gets_back_what_it_gives_up() {
        let per_address = PerAddress::default();
        let address = "192.0.2.1".parse().unwrap();
        let (first, second) = (per_address.count(address, 2), per_address.count(address, 2));
        assert!(first.is_some() && second.is_some() && per_address.count(address, 2).is_none());
        assert!(per_address.count("192.0.2.2".parse().unwrap(), 2).is_some());
        assert!(per_address.count("::ffff:192.0.2.1".parse().unwrap(), 2).is_none(), "the same peer");
        drop(first);
        assert!(per_address.count(address, 2).is_some());
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone_or_was_refused() {
        let per_address = PerAddress::default();
        drop(per_address.count("192.0.2.1".parse().unwrap(), 1));
        assert!(per_address.count("192.0.2.2".parse().unwrap(), 0).is_none());
        assert!(per_address.open.lock().is_empty());
    }
}
