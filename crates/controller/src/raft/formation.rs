//! How a controller with an empty log comes to belong to a cluster.
//!
//! It asks the other controllers what they are. If one belongs to a cluster, it joins: the leader takes it in as a learner and
//! makes it a voter if its `node.id` is listed. If a majority of the listed voters is pristine, the lowest of them forms the
//! cluster. Two candidates that see different majorities must not form two: each pristine voter promises itself to one candidate,
//! keeps the promise across restarts, and a candidate initializes only with a majority of promises, its own last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use raftsman_rpc::raft as pb;
use raftsman_types::{BrokerId, Uuid};
use tokio::time::{Instant, sleep, timeout};

use super::convert::{member_from_pb, member_to_pb};
use super::identity::Binding;
use super::quorum::Quorum;
use super::types::{QuorumNode, RaftId};

const ASK_TIMEOUT: Duration = Duration::from_millis(500);
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(50);
/// How long a candidate that has a majority waits for the rest, so that a cluster started at once is formed whole.
const GRACE: Duration = Duration::from_millis(500);
/// How often a controller that waits for a cluster says what it waits for.
const REMIND: Duration = Duration::from_secs(10);

/// Another controller, as it describes itself.
#[derive(Debug, Clone)]
struct Described {
    address: String,
    raft_id: RaftId,
    node: QuorumNode,
    pristine: bool,
    cluster_id: Option<String>,
    leader: Option<(RaftId, QuorumNode)>,
}

fn described(address: String, member: &pb::Member) -> Option<Described> {
    let identity = pb::MemberNode { raft_id: member.raft_id, node: member.node.clone() };
    let (raft_id, node) = member_from_pb(Some(&identity)).ok()?;
    Some(Described {
        address,
        raft_id,
        node,
        pristine: member.pristine,
        cluster_id: Some(member.cluster_id.clone()).filter(|id| !id.is_empty()),
        leader: member.leader.as_ref().and_then(|leader| member_from_pb(Some(leader)).ok()),
    })
}

/// What a controller looking for a cluster remembers between two looks.
#[derive(Debug, Default)]
struct Search {
    majority_since: Option<Instant>,
    drawn_cluster_id: Option<Arc<str>>,
    reminded: Option<Instant>,
}

impl Quorum {
    /// Looks for a cluster, or forms one, until this controller is a member; then keeps its address in the membership right.
    ///
    /// `configured` is the cluster id of `meta.properties`: any other cluster is refused.
    pub async fn become_member(self: Arc<Quorum>, configured: Option<String>) {
        let mut search = Search::default();
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
        if let Some(member) = others.iter().find(|other| !other.pristine && other.cluster_id.is_some()) {
            self.join_cluster_of(member, &others, configured).await?;
            return Ok(false);
        }
        // A member of an older membership whose address has changed must wait for the others.
        let pristine = self.is_pristine().map_err(|e| e.to_string())?;
        if pristine && own_entry.is_none() {
            let alone = is_itself && self.directory.has_one_bootstrap_server();
            if alone || self.may_form(&others, search) {
                self.form(&others, configured, search).await?;
                return Ok(false);
            }
        }
        self.remind(&others, search);
        Ok(false)
    }

    pub(super) fn is_pristine(&self) -> io::Result<bool> {
        self.log.is_pristine()
    }

    async fn describe_seeds(&self) -> Vec<Described> {
        let asked = self.directory.seeds().into_iter().map(|address| async move {
            let mut client = self.peers.client(&address).ok()?;
            let reply = timeout(ASK_TIMEOUT, client.describe_member(pb::DescribeMemberRequest {})).await.ok()?.ok()?;
            described(address, &reply.into_inner())
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Whether this is the lowest of a pristine majority of the listed voters, and the rest had time to show up.
    fn may_form(&self, others: &[Described], search: &mut Search) -> bool {
        let own = self.directory.own().node_id;
        let candidates: Vec<BrokerId> = others
            .iter()
            .filter(|other| other.pristine && self.directory.is_listed(other.node.node_id))
            .map(|other| other.node.node_id)
            .chain(self.directory.is_listed(own).then_some(own))
            .collect();
        let listed = self.directory.listed_count();
        if candidates.len() * 2 <= listed || candidates.iter().min() != Some(&own) {
            search.majority_since = None;
            return false;
        }
        let since = *search.majority_since.get_or_insert_with(Instant::now);
        candidates.len() == listed || since.elapsed() >= GRACE
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
        let mut members: std::collections::BTreeMap<RaftId, QuorumNode> = std::collections::BTreeMap::new();
        for other in others.iter().filter(|o| o.pristine && self.directory.is_listed(o.node.node_id)) {
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
        if !self.is_pristine()? {
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
                self.ask_to_join(&bound.cluster_id, member).await;
                Ok(())
            }
            Some(bound) if !pristine => Err(format!(
                "the metadata log of this node belongs to cluster {}, but the controller at {} belongs to cluster {cluster_id}: \
                 check controller.quorum.voters, or which directory is mounted here",
                bound.cluster_id, member.address
            )),
            _ => Ok(()),
        }
    }

    async fn ask_to_join(&self, cluster_id: &str, member: &Described) {
        // While a vote runs nobody leads; the loop asks again.
        let address = match &member.leader {
            Some((_, leader)) => self.directory.address_of(leader),
            None => member.address.clone(),
        };
        let Ok(mut client) = self.peers.client(&address) else { return };
        let request = pb::JoinRequest {
            cluster_id: cluster_id.to_owned(),
            member: Some(member_to_pb(self.identity.raft_id(), self.directory.own())),
        };
        match timeout(JOIN_TIMEOUT, client.join(request)).await {
            Ok(Ok(reply)) if reply.get_ref().joined => tracing::info!(cluster_id, "joined the cluster's controllers"),
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::warn!(%address, reason = status.message(), "cannot join the controllers yet"),
            Err(_) => tracing::warn!(%address, "the active controller did not answer whether this one may join"),
        }
    }

    fn remind(&self, others: &[Described], search: &mut Search) {
        let due = search.reminded.get_or_insert_with(Instant::now).elapsed() >= REMIND;
        if !due {
            return;
        }
        search.reminded = Some(Instant::now());
        let answering: Vec<String> = others.iter().map(|o| format!("{} at {}", o.node.node_id, o.address)).collect();
        tracing::warn!(
            seeds = ?self.directory.seeds(),
            ?answering,
            bound_to = ?self.identity.binding(),
            "this controller waits for a cluster: a majority of controller.quorum.voters has to be reachable"
        );
    }
}
