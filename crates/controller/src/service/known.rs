//! Which addresses controllers and brokers are known to have, for the door.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::door::Door;
use crate::raft::Quorum;

/// How often it is looked whether there are others.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often names are resolved again that stand for the same nodes: containers get new addresses.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// Keeps the door knowing the addresses of all controllers and registered brokers.
pub(crate) async fn know_members(quorum: Arc<Quorum>, door: Arc<Door>) {
    let mut addresses = BTreeMap::new();
    loop {
        let hosts = quorum.hosts();
        addresses = resolve(&hosts, addresses).await;
        door.know(addresses.values().flatten().copied());
        let resolved_at = Instant::now();
        while resolved_at.elapsed() < RESOLVE_EVERY && quorum.hosts() == hosts {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// The addresses of hosts. Of one that cannot be resolved now, what is known `before` stays.
async fn resolve(hosts: &BTreeSet<String>, mut before: BTreeMap<String, Vec<IpAddr>>) -> BTreeMap<String, Vec<IpAddr>> {
    let mut addresses = BTreeMap::new();
    for host in hosts {
        // One after the other: the few threads that block are needed for more than this.
        let resolved = match host.parse::<IpAddr>() {
            Ok(address) => Some(vec![address]),
            Err(_) => tokio::net::lookup_host((host.as_str(), 0)).await.ok().map(|all| all.map(|a| a.ip()).collect()),
        };
        if let Some(of_host) = resolved.or_else(|| before.remove(host)) {
            addresses.insert(host.clone(), of_host);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_taken_as_they_are_names_resolved_and_the_unknown_kept() {
        let unknown = "no.such.host.invalid".to_owned();
        let hosts = ["192.0.2.7".to_owned(), "localhost".to_owned(), unknown.clone()].into();
        let old: IpAddr = [192, 0, 2, 9].into();
        let gone = ("192.0.2.8".to_owned(), vec![IpAddr::from([192, 0, 2, 8])]);
        let addresses = resolve(&hosts, [(unknown.clone(), vec![old]), gone].into()).await;
        assert_eq!(addresses["192.0.2.7"], [IpAddr::from([192, 0, 2, 7])]);
        assert!(addresses["localhost"].iter().any(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!((&addresses[&unknown], addresses.len()), (&vec![old], 3));
    }
}
