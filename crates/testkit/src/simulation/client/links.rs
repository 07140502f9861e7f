use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_types::{BrokerId, LeaderEpoch, TopicId, TopicIdPartition};

use crate::simulation::event::{
    ClientRequest, ClientResponse, ClientTimer, ClusterView, ConnectionId, EndEvent, Endpoint, Event, Frame,
};
use crate::simulation::fabric::Fabric;

/// A client's connections, what it asked over them, and what it knows of the cluster.
#[derive(Debug)]
pub(super) struct Links {
    me: i32,
    brokers: i32,
    connections: BTreeMap<i32, (ConnectionId, bool)>,
    /// Which broker each open request went to.
    asked: BTreeMap<u64, i32>,
    pub view: ClusterView,
    /// The newest leader that was ever told of each partition.
    leaders: BTreeMap<TopicIdPartition, (LeaderEpoch, Option<BrokerId>)>,
    metadata: Option<u64>,
}

/// What came of something that happened to a connection.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    /// A request may be sent to this broker now, or the view is new.
    GoOn,
    Answer {
        correlation: u64,
        response: ClientResponse,
    },
    /// These requests will not be answered.
    Lost(Vec<u64>),
}

impl Links {
    pub fn new(me: i32, brokers: i32) -> Links {
        Links {
            me,
            brokers,
            connections: BTreeMap::new(),
            asked: BTreeMap::new(),
            view: ClusterView::default(),
            leaders: BTreeMap::new(),
            metadata: None,
        }
    }

    fn end(&self) -> Endpoint {
        Endpoint::Client(self.me)
    }

    /// The partition of a topic's name, its leader and epoch.
    pub fn find(&self, topic: &str, partition: i32) -> Option<(TopicIdPartition, Option<BrokerId>, LeaderEpoch)> {
        let (_, topic_id, partitions) = self.view.topics.iter().find(|(name, _, _)| **name == *topic)?;
        let (_, leader, epoch) = partitions.iter().find(|(index, _, _)| *index == partition)?;
        Some((TopicIdPartition { topic_id: *topic_id, partition }, *leader, *epoch))
    }

    pub fn topics(&self) -> impl Iterator<Item = (&Arc<str>, TopicId, usize)> {
        self.view.topics.iter().map(|(name, id, partitions)| (name, *id, partitions.len()))
    }

    /// Sends a request if the connection stands; else it is made, and the caller tries again when told to go on.
    pub fn ask(&mut self, broker: i32, request: ClientRequest, timeout: Duration, fabric: &mut Fabric) -> Option<u64> {
        let connection = self.connected(broker, fabric)?;
        let correlation = fabric.next_number();
        let expects_answer =
            !matches!(request, ClientRequest::Produce { acks: raftsman_broker::replica::Acks::None, .. });
        fabric.send(connection, self.end(), Frame::Request { correlation, request });
        if expects_answer {
            self.asked.insert(correlation, broker);
            let what = ClientTimer::GivenUp(connection, correlation);
            fabric.after(timeout, Event::Client { client: self.me, what });
        }
        Some(correlation)
    }

    fn connected(&mut self, broker: i32, fabric: &mut Fabric) -> Option<ConnectionId> {
        match self.connections.get(&broker) {
            Some((connection, true)) => Some(*connection),
            Some(_) => None,
            None => {
                let connection = fabric.dial(self.end(), 0, Endpoint::Broker(broker));
                self.connections.insert(broker, (connection, false));
                None
            }
        }
    }

    /// Asks some broker for the cluster's topics, unless that is asked already.
    pub fn refresh(&mut self, fabric: &mut Fabric) {
        if self.metadata.is_some_and(|correlation| self.asked.contains_key(&correlation)) {
            return;
        }
        let standing: Vec<i32> = self.connections.iter().filter(|(_, (_, up))| *up).map(|(id, _)| *id).collect();
        let any = fabric.between(1, self.brokers as u64 + 1) as i32;
        let broker = if fabric.one_in(3) { any } else { fabric.choose(&standing).copied().unwrap_or(any) };
        self.metadata = self.ask(broker, ClientRequest::Metadata, Duration::from_millis(1000), fabric);
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent) -> Heard {
        let Some(broker) = self.connections.iter().find(|(_, (id, _))| *id == connection).map(|(id, _)| *id) else {
            return Heard::Nothing;
        };
        match what {
            EndEvent::Connected => {
                self.connections.insert(broker, (connection, true));
                Heard::GoOn
            }
            EndEvent::NotConnected { .. } | EndEvent::Closed => Heard::Lost(self.lose(broker)),
            EndEvent::Frame(Frame::Response { correlation, response }) => {
                if self.asked.remove(&correlation).is_none() {
                    return Heard::Nothing;
                }
                if let ClientResponse::Metadata(view) = response {
                    self.take_view(*view);
                    return Heard::GoOn;
                }
                Heard::Answer { correlation, response }
            }
            EndEvent::Frame(_) => Heard::Nothing,
        }
    }

    /// A broker that lags may still name a leader of an older epoch. Clients that know a newer one keep to it (KIP-320; librdkafka,
    /// Java): the old one, as long as it does not know better, would tell them that their offset is out of range.
    fn take_view(&mut self, mut view: ClusterView) {
        for (_, topic_id, partitions) in &mut view.topics {
            for (partition, leader, epoch) in partitions {
                let at = TopicIdPartition { topic_id: *topic_id, partition: *partition };
                let newest = self.leaders.entry(at).or_insert((*epoch, *leader));
                if *epoch >= newest.0 {
                    *newest = (*epoch, *leader);
                } else {
                    (*epoch, *leader) = *newest;
                }
            }
        }
        self.view = view;
    }

    /// A request was waited for long enough: the connection is given up, as librdkafka does. The requests lost with it.
    pub fn given_up(&mut self, connection: ConnectionId, correlation: u64, fabric: &mut Fabric) -> Vec<u64> {
        let Some(broker) = self.asked.get(&correlation).copied() else { return Vec::new() };
        fabric.close(connection, self.end());
        self.lose(broker)
    }

    fn lose(&mut self, broker: i32) -> Vec<u64> {
        self.connections.remove(&broker);
        let lost: Vec<u64> = self.asked.iter().filter(|(_, to)| **to == broker).map(|(id, _)| *id).collect();
        lost.iter().for_each(|correlation| {
            self.asked.remove(correlation);
        });
        lost
    }
}
