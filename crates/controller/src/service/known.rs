//! Which addresses controllers and brokers are known to have, for the door.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::door::Door;
use crate::raft::Quorum;

/// How often it is looked whether there are others.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often names are resolved again that stand for the same nodes: containers get new addresses.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// A resolver that does not answer keeps one name waiting for so long, and the others no longer.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps the door knowing the addresses of all controllers and registered brokers.
pub(crate) async fn know_members(quorum: Arc<Quorum>, door: Arc<Door>) {
    let mut addresses = Addresses::new();
    loop {
        let hosts = quorum.hosts();
        addresses.retain(|host, _| hosts.contains(host));
        resolve(&hosts, &mut addresses, |known| door.know(known.values().flatten().copied())).await;
        let resolved_at = Instant::now();
        while resolved_at.elapsed() < RESOLVE_EVERY && quorum.hosts() == hosts {
            sleep(LOOK_EVERY).await;
        }
    }
}

type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// Finds the addresses of hosts, and tells of them as they are found: those that are addresses already first, then names, one after
/// the other, for the few threads that block are needed for more than this. What is known of one that cannot be resolved now stays.
async fn resolve(hosts: &BTreeSet<String>, addresses: &mut Addresses, mut tell: impl FnMut(&Addresses)) {
    let (literal, names): (Vec<&String>, Vec<&String>) = hosts.iter().partition(|host| host.parse::<IpAddr>().is_ok());
    addresses.extend(literal.into_iter().filter_map(|host| Some((host.clone(), vec![host.parse().ok()?]))));
    tell(addresses);
    for name in names {
        let found = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name.as_str(), 0))).await;
        if let Ok(Ok(all)) = found {
            addresses.insert(name.clone(), all.map(|address| address.ip()).collect());
            tell(addresses);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_taken_as_they_are_names_resolved_and_the_unknown_kept() {
        // Longer than a name may be: no resolver is asked.
        let unknown = "no".repeat(200);
        let hosts = ["192.0.2.7".to_owned(), "localhost".to_owned(), unknown.clone()].into();
        let old: IpAddr = [192, 0, 2, 9].into();
        let mut addresses = Addresses::from([(unknown.clone(), vec![old])]);
        let mut told = Vec::new();
        resolve(&hosts, &mut addresses, |known| told.push(known.len())).await;
        assert_eq!(addresses["192.0.2.7"], [IpAddr::from([192, 0, 2, 7])]);
        assert!(addresses["localhost"].iter().any(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!((&addresses[&unknown], addresses.len()), (&vec![old], 3));
        assert_eq!(told, [2, 3], "what needs no resolver waits for none");
    }
}
