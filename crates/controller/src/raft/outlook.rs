//! What a controller that belongs to no cluster yet says it waits for. Pure: from what it knows to one sentence.

use std::collections::BTreeMap;
use std::fmt::Write;

use raftsman_types::BrokerId;

use super::described::Described;
use super::types::RaftId;

/// What a controller knows while it looks for its cluster.
pub(super) struct Outlook<'a> {
    /// Its own `node.id`.
    pub own: BrokerId,
    /// `controller.quorum.voters`, with their addresses.
    pub listed: BTreeMap<BrokerId, String>,
    /// `controller.quorum.bootstrap.servers`.
    pub bootstrap: Vec<String>,
    /// Who answers there.
    pub others: &'a [Described],
    /// The cluster it has promised to help form, and the one who forms it.
    pub promised: Option<(&'a str, RaftId)>,
    /// What shows that it was in a cluster before, while its metadata log is empty.
    pub lost_log: Option<&'a str>,
    /// Why its last attempt to join came to nothing.
    pub not_joined: Option<&'a str>,
}

impl Outlook<'_> {
    /// What it waits for; nothing where it is about to join.
    pub fn sentence(&self) -> Option<String> {
        if let Some(member) = self.others.iter().find(|other| other.is_member()) {
            return self.of_joiner(member);
        }
        if let Some(other) = self.others.iter().find(|other| self.lists_differ(other)) {
            let (ours, theirs) = (ids(self.listed.keys()), ids(&other.listed));
            return Some(format!(
                "controller.quorum.voters differs: this node {} lists {ours}, {} lists {theirs}; no cluster is formed before all \
                 controllers have the same list",
                self.own,
                name(other)
            ));
        }
        if let Some(evidence) = self.lost_log {
            return Some(format!(
                "the metadata log of this node {} is empty, but it was in a cluster before ({evidence}): it waits for the controllers \
                 that still have the log; {}. No cluster is formed anew over existing data",
                self.own,
                self.absent()
            ));
        }
        if self.listed.is_empty() {
            return Some(format!(
                "waits for a cluster to join: none of controller.quorum.bootstrap.servers ({}) belongs to one. Start the controllers \
                 that do; to form a new cluster, let one node name itself alone, or set controller.quorum.voters on all",
                self.bootstrap.join(", ")
            ));
        }
        if let Some((cluster_id, candidate)) = self.promised {
            let candidate = self.others.iter().find(|other| other.raft_id == candidate);
            if candidate.is_none() {
                return Some(format!(
                    "has promised to form cluster {cluster_id} with a controller that does not answer any more: start it again. If \
                     its disk is lost, stop this node {}, delete its metadata log, which is empty, and start it",
                    self.own
                ));
            }
        }
        let needed = self.listed.len() / 2 + 1;
        Some(format!(
            "waits for {needed} of the {} controllers in controller.quorum.voters to form a cluster; {}",
            self.listed.len(),
            self.absent()
        ))
    }

    fn of_joiner(&self, member: &Described) -> Option<String> {
        let cluster = member.cluster_id.as_deref().unwrap_or_default();
        if member.leader.is_some() {
            return self
                .not_joined
                .map(|reason| format!("cannot join the controllers of cluster {cluster} yet: {reason}"));
        }
        let mut sentence = format!(
            "waits to join cluster {cluster}, which {} belongs to: it has no active controller, for most of its controllers are \
             away or have lost their metadata logs",
            name(member)
        );
        let empty: Vec<String> = self.others.iter().filter(|other| other.pristine).map(name).collect();
        if !empty.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(sentence, "; the log is empty on this node {} and on {}", self.own, empty.join(" and "));
        } else {
            let _ = write!(sentence, "; the log is empty on this node {}", self.own);
        }
        let _ = write!(
            sentence,
            "; {}. Start those that still have their logs, or put lost ones back from a backup",
            self.absent()
        );
        Some(sentence)
    }

    fn lists_differ(&self, other: &Described) -> bool {
        !self.listed.is_empty() && !other.listed.is_empty() && !self.listed.keys().eq(&other.listed)
    }

    /// Who of those that are configured does not answer.
    fn absent(&self) -> String {
        let answers = |address: &String| self.others.iter().any(|other| other.address == *address);
        let listed = self.listed.iter().filter(|(id, _)| **id != self.own);
        let absent: Vec<String> =
            listed.filter(|(_, at)| !answers(at)).map(|(id, at)| format!("node {id} at {at}")).collect();
        match absent.as_slice() {
            [] => "all of them answer".to_owned(),
            [one] => format!("{one} does not answer"),
            several => format!("{} do not answer", several.join(" and ")),
        }
    }
}

/// A controller, as people know it.
pub(super) fn name(controller: &Described) -> String {
    format!("node {} at {}", controller.node.node_id, controller.address)
}

pub(super) fn ids<'a>(ids: impl IntoIterator<Item = &'a BrokerId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(",") }
}

#[cfg(test)]
mod tests {
    use raftsman_types::DirectoryId;

    use super::super::types::QuorumNode;
    use super::*;

    fn address(id: i32) -> String {
        format!("host{id}:9093")
    }

    fn other(id: i32) -> Described {
        let node = QuorumNode { node_id: BrokerId(id), directory_id: DirectoryId::ZERO, host: String::new(), port: 0 };
        Described {
            address: address(id),
            raft_id: id as u64,
            node,
            pristine: true,
            lost_log: false,
            cluster_id: None,
            leader: None,
            listed: [1, 2, 3].map(BrokerId).into(),
        }
    }

    fn member(id: i32) -> Described {
        Described { pristine: false, cluster_id: Some("theirs".to_owned()), ..other(id) }
    }

    fn outlook(others: &[Described]) -> Outlook<'_> {
        Outlook {
            own: BrokerId(1),
            listed: [1, 2, 3].map(|id| (BrokerId(id), address(id))).into(),
            bootstrap: Vec::new(),
            others,
            promised: None,
            lost_log: None,
            not_joined: None,
        }
    }

    fn says(outlook: &Outlook<'_>, words: &[&str]) {
        let sentence = outlook.sentence().unwrap_or_default();
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
        }
        assert!(!sentence.contains('\n'), "{sentence}");
    }

    #[test]
    fn who_is_waited_for_is_named() {
        says(&outlook(&[]), &["2 of the 3", "node 2 at host2:9093 and node 3 at host3:9093 do not answer"]);
        says(&outlook(&[other(2)]), &["node 3 at host3:9093 does not answer"]);
        let promised = Outlook { promised: Some(("new", 2)), ..outlook(&[]) };
        says(&promised, &["promised", "cluster new", "start it again"]);
        let others = [other(2)];
        says(&Outlook { promised: Some(("new", 2)), ..outlook(&others) }, &["2 of the 3", "node 3"]);
    }

    #[test]
    fn bootstrap_servers_without_a_cluster_are_named() {
        let bootstrap = vec!["a:1".to_owned(), "b:2".to_owned()];
        let lost = Outlook { listed: BTreeMap::new(), bootstrap, ..outlook(&[]) };
        says(&lost, &["controller.quorum.bootstrap.servers", "a:1, b:2", "controller.quorum.voters"]);
    }

    #[test]
    fn a_cluster_without_a_leader_is_waited_for_and_what_it_lacks_is_said() {
        let others = [other(2), member(3)];
        says(&outlook(&others), &["cluster theirs", "node 3 at host3:9093 belongs", "node 2 at host2:9093", "backup"]);
        let led = [Described { leader: Some((3, member(3).node)), ..member(3) }];
        assert_eq!(outlook(&led).sentence(), None, "it joins");
        let refused = Outlook { not_joined: Some("no room"), ..outlook(&led) };
        says(&refused, &["cannot join", "theirs", "no room"]);
    }

    #[test]
    fn different_lists_are_shown_side_by_side() {
        let others = [Described { listed: [1, 2, 4].map(BrokerId).into(), ..other(2) }];
        says(&outlook(&others), &["controller.quorum.voters", "lists 1,2,3", "node 2 at host2:9093 lists 1,2,4"]);
    }

    #[test]
    fn a_lost_log_is_not_replaced_by_an_empty_one() {
        let others = [other(2)];
        let lost = Outlook { lost_log: Some("data/orders-0 is there"), ..outlook(&others) };
        says(&lost, &["data/orders-0 is there", "node 3 at host3:9093", "No cluster is formed"]);
    }
}
