use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_metadata::{BrokerRegistration, MetadataImage};
use raftsman_protocol::Str;
use raftsman_types::{BrokerId, LeaderEpoch, TopicIdPartition};

use super::Context;

/// Where a client should go instead, told in the answer that refuses it (KIP-951), so that it need not ask for metadata first.
pub struct LeaderHints<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    this_broker: BrokerId,
    wanted: bool,
    leaders: BTreeMap<BrokerId, Arc<BrokerRegistration>>,
}

/// A broker's address on the listener the client came in on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The broker.
    pub node: BrokerId,
    /// Its advertised host.
    pub host: Str,
    /// Its advertised port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<Str>,
}

impl<'a> LeaderHints<'a> {
    /// No hints yet, for the client of `ctx`. Unless `wanted`, none ever: older versions have no place for them.
    pub fn new(ctx: &'a Context, image: &'a MetadataImage, wanted: bool) -> LeaderHints<'a> {
        let this_broker = ctx.state.config.node_id;
        LeaderHints { image, listener: &ctx.listener, this_broker, wanted, leaders: BTreeMap::new() }
    }

    /// Who leads the partition now, if it is a broker that the client can be sent to. This broker has just
    /// refused the client, whatever the metadata says of it, so it is never a hint.
    pub fn leader_of(&mut self, at: TopicIdPartition) -> Option<(BrokerId, LeaderEpoch)> {
        let partition = self.image.partition(at).filter(|_| self.wanted)?;
        let leader = partition.leader.filter(|leader| *leader != self.this_broker)?;
        let registration = self.image.broker(leader)?;
        registration.listener(self.listener)?;
        self.leaders.entry(leader).or_insert_with(|| registration.clone());
        Some((leader, partition.leader_epoch))
    }

    /// The addresses of every leader hinted at.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.leaders.values().filter_map(|broker| {
            let listener = broker.listener(self.listener)?;
            Some(Endpoint {
                node: broker.id,
                host: Str::from(listener.host.clone()),
                port: i32::from(listener.port),
                rack: broker.rack.clone().map(Str::from),
            })
        })
    }
}
