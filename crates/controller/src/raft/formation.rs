//! How a controller with an empty log comes to belong to a cluster.
//!
//! It asks the other controllers what they are. If one belongs to a cluster, it joins: the leader takes it in as a learner and
//! makes it a voter if its `node.id` is listed. If a majority of the listed voters is pristine, the lowest of them forms the
//! cluster. Two candidates that see different majorities must not form two: each pristine voter promises itself to one candidate,
//! keeps the promise across restarts, and a candidate initializes only with a majority of promises, its own last.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use raftsman_rpc::raft as pb;
use raftsman_types::{BrokerId, Uuid};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::convert::member_to_pb;
use super::described::{ASK_TIMEOUT, Described};
use super::identity::Binding;
use super::majority::Majority;
use super::outlook::Outlook;
use super::quorum::Quorum;
use super::speaker::Speaker;
use super::types::{QuorumNode, RaftId};

const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(50);
/// How long the leader may refuse a joiner before that stops: a process that is being replaced is gone by then.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// How long a reason to wait has to last before it is worth a line.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// What a controller looking for a cluster remembers between two looks.
#[derive(Debug)]
struct Search {
    majority: Majority,
    drawn_cluster_id: Option<Arc<str>>,
    /// Why the last attempt to join came to nothing.
    not_joined: Option<String>,
    refused_since: Option<Instant>,
    speaker: Speaker,
}

impl Search {
    fn new() -> Search {
        Search {
            majority: Majority::default(),
            drawn_cluster_id: None,
            not_joined: None,
            refused_since: None,
            speaker: Speaker::new(SAY_AFTER),
        }
    }
}

impl Quorum {
    /// Looks for a cluster, or forms one, until this controller is a member; then keeps its address in the membership right.
    ///
    /// `configured` is the cluster id of `meta.properties`: any other cluster is refused.
    pub async fn become_member(self: Arc<Quorum>, configured: Option<String>) {
        let mut search = Search::new();
        loop {
            match self.look(configured.as_deref(), &mut search).await {
                Ok(true) => return,
                Ok(false) => sleep(RETRY).await,
                Err(reason) => {
                    self.fail(reason);
                    return;
                }
            }
        }
    }

    /// One look around: whether this controller is a member now.
    async fn look(&self, configured: Option<&str>, search: &mut Search) -> Result<bool, String> {
        let own_id = self.identity.raft_id();
        let membership = self.metrics().borrow().membership_config.membership().clone();
        let own_entry = membership.get_node(&own_id).cloned();
        if own_entry.as_ref() == Some(self.directory.own()) {
            return Ok(true);
        }
        let seeds = self.describe_seeds().await;
        let is_itself = seeds.iter().any(|seed| seed.raft_id == own_id);
        let others: Vec<Described> = seeds.into_iter().filter(|seed| seed.raft_id != own_id).collect();
        if let Some(member) = others.iter().find(|other| other.is_member()) {
            self.join_cluster_of(member, &others, configured, search).await?;
        } else if own_entry.is_none() && self.is_pristine().map_err(|e| e.to_string())? {
            // A member of an older membership whose address has changed must wait for the others instead.
            let alone = is_itself && self.directory.has_one_bootstrap_server();
            if alone || self.directory.listed_count() == 1 {
                self.check_first_life()?;
            }
            if self.directory.earlier_life().is_none() && (alone || self.may_form(&others, search)) {
                self.form(&others, configured, search).await?;
            }
        }
        search.speaker.hear(self.outlook(&others, search));
        Ok(false)
    }

    /// A metadata log without anything in it must not be taken for the cluster's while the cluster's data is there: brokers
    /// delete the replicas of topics that the metadata does not know.
    fn check_first_life(&self) -> Result<(), String> {
        let Some(evidence) = self.directory.earlier_life() else { return Ok(()) };
        Err(format!(
            "the metadata log of this node is empty, but it was in a cluster before: {evidence}; put the metadata log ({}) back \
             from a backup, or to start anew with an empty cluster move everything in log.dirs away",
            self.directory.metadata_dir().display()
        ))
    }

    fn outlook(&self, others: &[Described], search: &Search) -> Option<String> {
        let binding = self.identity.binding();
        let outlook = Outlook {
            own: self.directory.own().node_id,
            listed: self.directory.listed(),
            bootstrap: self.directory.bootstrap(),
            others,
            promised: binding.as_ref().and_then(|b| Some((&*b.cluster_id, b.promised_to?))),
            lost_log: self.directory.earlier_life(),
            not_joined: search.not_joined.as_deref(),
        };
        outlook.sentence()
    }

    pub(super) fn is_pristine(&self) -> io::Result<bool> {
        self.log.is_pristine()
    }

    /// Whether this is the lowest of a pristine majority of the listed voters, and the rest had time to show up.
    fn may_form(&self, others: &[Described], search: &mut Search) -> bool {
        let own = self.directory.own().node_id;
        let candidates: Vec<BrokerId> = others
            .iter()
            .filter(|other| self.may_form_with(other))
            .map(|other| other.node.node_id)
            .chain(self.directory.is_listed(own).then_some(own))
            .collect();
        search.majority.may_form(own, &candidates, self.directory.listed_count(), Instant::now())
    }

    /// Two lists may have majorities that share nobody: only controllers with the same list form a cluster.
    fn may_form_with(&self, other: &Described) -> bool {
        let own = self.directory.listed();
        other.pristine && !other.lost_log && own.contains_key(&other.node.node_id) && own.keys().eq(&other.listed)
    }

    /// Collects promises and, with a majority, initializes the cluster with those that promised.
    async fn form(&self, others: &[Described], configured: Option<&str>, search: &mut Search) -> Result<(), String> {
        let own_id = self.identity.raft_id();
        let own = self.directory.own().clone();
        let own_promise = self.identity.binding().filter(|binding| binding.promised_to == Some(own_id));
        let cluster_id = match own_promise {
            Some(binding) => binding.cluster_id,
            None => search
                .drawn_cluster_id
                .get_or_insert_with(|| {
                    configured.map_or_else(|| Uuid::from_random(rand::random()).to_string().into(), Arc::from)
                })
                .clone(),
        };
        let mut members: BTreeMap<RaftId, QuorumNode> = BTreeMap::new();
        for other in others.iter().filter(|other| self.may_form_with(other)) {
            if self.ask_promise(other, &cluster_id, &own).await {
                members.insert(other.raft_id, other.node.clone());
            }
        }
        if (members.len() + 1) * 2 <= self.directory.listed_count() {
            return Ok(());
        }
        let promise = Binding { cluster_id: cluster_id.clone(), promised_to: Some(own_id) };
        let wanted = promise.clone();
        let bound = self
            .identity
            .rebind(move |now| match now {
                None => Some(wanted),
                Some(_) => None,
            })
            .await
            .map_err(|e| format!("the metadata store cannot be written: {e}"))?;
        if bound != Some(promise) {
            return Ok(());
        }
        members.insert(own_id, own);
        let count = members.len();
        match self.raft.initialize(members).await {
            Ok(()) => tracing::info!(%cluster_id, voters = count, "formed a cluster"),
            Err(error) => tracing::warn!(%error, "cannot form the cluster yet"),
        }
        Ok(())
    }

    async fn ask_promise(&self, other: &Described, cluster_id: &str, own: &QuorumNode) -> bool {
        let Ok(mut client) = self.peers.client(&other.address) else { return false };
        let request = pb::PromiseRequest {
            cluster_id: cluster_id.to_owned(),
            candidate: Some(member_to_pb(self.identity.raft_id(), own)),
            to: other.raft_id,
        };
        match timeout(ASK_TIMEOUT, client.promise(request)).await {
            Ok(Ok(reply)) => reply.into_inner().promised,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Answers a candidate. A promise is kept: it moves only to the same candidate's other attempt, which shows that the
    /// candidate has not promised itself to the former one.
    pub(super) async fn promise(&self, cluster_id: &str, candidate: RaftId) -> io::Result<bool> {
        if !self.is_pristine()? || self.directory.earlier_life().is_some() {
            return Ok(false);
        }
        let wanted = Binding { cluster_id: cluster_id.into(), promised_to: Some(candidate) };
        let own_id = self.identity.raft_id();
        let promise = wanted.clone();
        let bound = self.identity.rebind(move |now| match now {
            None => Some(promise),
            Some(now) if now.promised_to == Some(candidate) && candidate != own_id => Some(promise),
            Some(_) => None,
        });
        Ok(bound.await? == Some(wanted))
    }

    /// Binds this controller to the cluster that another one belongs to, and asks its leader to be let in.
    async fn join_cluster_of(
        &self,
        member: &Described,
        others: &[Described],
        configured: Option<&str>,
        search: &mut Search,
    ) -> Result<(), String> {
        let Some(cluster_id) = member.cluster_id.clone() else { return Ok(()) };
        if let Some(configured) = configured.filter(|configured| **configured != *cluster_id) {
            return Err(format!(
                "this node belongs to cluster {configured} (meta.properties), but the controller at {} belongs to cluster {cluster_id}: \
                 check controller.quorum.voters, or which directory is mounted here",
                member.address
            ));
        }
        let joined = Binding { cluster_id: cluster_id.as_str().into(), promised_to: None };
        let promise_is_void = |promised_to: RaftId| {
            // The candidate itself belongs elsewhere, so the cluster that was promised was never formed.
            others.iter().any(|o| o.raft_id == promised_to && o.cluster_id.as_deref() == Some(&cluster_id))
        };
        let own_id = self.identity.raft_id();
        let pristine = self.is_pristine().map_err(|e| e.to_string())?;
        let bound = self
            .identity
            .rebind(|now| match now {
                None => Some(joined),
                Some(now) if now.cluster_id == joined.cluster_id => None,
                Some(now) if pristine && now.promised_to.is_some_and(|id| id != own_id && promise_is_void(id)) => {
                    Some(joined)
                }
                Some(_) => None,
            })
            .await
            .map_err(|e| format!("the metadata store cannot be written: {e}"))?;
        match bound {
            Some(bound) if &*bound.cluster_id == cluster_id.as_str() => {
                self.ask_to_join(&bound.cluster_id, member, search).await
            }
            Some(bound) if !pristine => Err(format!(
                "the metadata log of this node belongs to cluster {}, but the controller at {} belongs to cluster {cluster_id}: \
                 check controller.quorum.voters, or which directory is mounted here",
                bound.cluster_id, member.address
            )),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// The leader has refused for so long that it will go on refusing.
    async fn ask_to_join(&self, cluster_id: &str, member: &Described, search: &mut Search) -> Result<(), String> {
        // While a vote runs nobody leads; the loop asks again.
        let address = match &member.leader {
            Some((_, leader)) => self.directory.address_of(leader),
            None => member.address.clone(),
        };
        let Ok(mut client) = self.peers.client(&address) else { return Ok(()) };
        let request = pb::JoinRequest {
            cluster_id: cluster_id.to_owned(),
            member: Some(member_to_pb(self.identity.raft_id(), self.directory.own())),
        };
        let answer = timeout(JOIN_TIMEOUT, client.join(request)).await;
        let mut refused = None;
        search.not_joined = match answer {
            Ok(Ok(reply)) => {
                if reply.get_ref().joined {
                    tracing::info!(cluster_id, "joined the cluster's controllers");
                }
                None
            }
            Ok(Err(status)) => {
                let reason = status.message().to_owned();
                if status.code() == Code::AlreadyExists {
                    refused = Some(format!("cannot join the controllers of cluster {cluster_id}: {reason}"));
                }
                Some(format!("the controller at {address} answers: {reason}"))
            }
            Err(_) => Some(format!("the active controller at {address} did not answer")),
        };
        let Some(refusal) = refused else {
            search.refused_since = None;
            return Ok(());
        };
        let since = *search.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() < REFUSED_FOR { Ok(()) } else { Err(refusal) }
    }
}
