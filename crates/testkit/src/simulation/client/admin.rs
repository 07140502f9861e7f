use std::sync::Arc;
use std::time::Duration;

use raftsman_controller::decide::{
    AlterConfigs, BrokerReference, ConfigOperation, ConfigOperationKind, CreatePartitions, CreateTopics, DeleteTopics,
    MorePartitions, NewTopic, Request, ResourceConfigs, TopicReference,
};
use raftsman_metadata::ConfigResource;
use raftsman_types::{BrokerEpoch, BrokerId};

use super::ClientContext;
use super::links::{Heard, Links};
use crate::simulation::Scenario;
use crate::simulation::event::{ClientRequest, ClientResponse, ClientTimer, ConnectionId, EndEvent, Event};
use crate::simulation::topics::TopicPlan;

const TIMEOUT: Duration = Duration::from_millis(6000);
const PARTITIONS_MAX: usize = 5;

/// Makes the topics, and may go on to delete, make anew, widen and configure them.
#[derive(Debug)]
pub(in crate::simulation) struct Admin {
    id: i32,
    brokers: i32,
    links: Links,
    topics: Vec<TopicPlan>,
    /// How many of them, from the first on, may be deleted and changed.
    changeable: usize,
    churns: bool,
    throttles: bool,
    /// Whether `durability` may change, too.
    written: bool,
    min_insync_least: i32,
    asked: Option<u64>,
}

impl Admin {
    /// The topics in `kept` are made and left alone.
    pub fn new(id: i32, mut topics: Vec<TopicPlan>, kept: Vec<TopicPlan>, scenario: &Scenario) -> Admin {
        let changeable = topics.len();
        topics.extend(kept);
        Admin {
            id,
            brokers: scenario.brokers,
            links: Links::new(id, scenario.brokers),
            topics,
            changeable,
            churns: scenario.administers,
            throttles: scenario.throttles,
            written: scenario.written,
            min_insync_least: scenario.min_insync_least(),
            asked: None,
        }
    }

    pub fn is_done(&self) -> bool {
        self.topics.iter().all(|plan| self.links.topics().any(|(known, _, _)| *known == plan.name))
    }

    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match timer {
            ClientTimer::Work => {
                let pause = context.fabric.millis(100, 700);
                context.fabric.after(pause, Event::Client { client: self.id, what: ClientTimer::Work });
                self.links.refresh(context.fabric);
                if self.asked.is_none() {
                    self.work(context);
                }
            }
            ClientTimer::GivenUp(connection, correlation) => {
                let lost = self.links.given_up(connection, correlation, context.fabric);
                self.lost(&lost);
            }
        }
    }

    fn lost(&mut self, correlations: &[u64]) {
        if self.asked.is_some_and(|asked| correlations.contains(&asked)) {
            self.asked = None;
        }
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) {
        match self.links.end_event(connection, what) {
            Heard::Answer { correlation, response } => {
                if let ClientResponse::Administered(result) = response {
                    context.fabric.trace.say(context.fabric.now(), || format!("admin {}: {result:?}", self.id));
                }
                self.lost(&[correlation]);
            }
            Heard::Lost(lost) => self.lost(&lost),
            Heard::Nothing | Heard::GoOn => {}
        }
    }

    fn work(&mut self, context: &mut ClientContext<'_>) {
        let missing =
            self.topics.iter().find(|plan| !self.links.topics().any(|(known, _, _)| *known == plan.name)).cloned();
        let request = match missing {
            Some(topic) if !self.links.view.brokers.is_empty() => create(topic, self.written),
            None if self.churns && !context.calm && context.fabric.one_in(3) => match self.churn(context) {
                Some(request) => request,
                None => return,
            },
            None if self.throttles && !context.calm && context.fabric.one_in(3) => match self.throttle(context) {
                Some(request) => request,
                None => return,
            },
            _ => return,
        };
        let broker = context.fabric.between(1, self.brokers as u64 + 1) as i32;
        self.asked = self.links.ask(broker, ClientRequest::Administer(Box::new(request)), TIMEOUT, context.fabric);
    }

    fn churn(&mut self, context: &mut ClientContext<'_>) -> Option<Request> {
        let TopicPlan { name, partitions, .. } = context.fabric.choose(&self.topics[..self.changeable]).cloned()?;
        let known = self.links.topics().find(|(known, _, _)| **known == name).map(|(_, _, count)| count)?;
        match context.fabric.between(0, 6) {
            0 => {
                Some(Request::DeleteTopics(DeleteTopics { sender: nobody(), topics: vec![TopicReference::Name(name)] }))
            }
            1 if known < PARTITIONS_MAX => {
                let topics = vec![MorePartitions { name, partition_count: known as i32 + 1, assignments: Vec::new() }];
                Some(Request::CreatePartitions(CreatePartitions { sender: nobody(), topics, validate_only: false }))
            }
            2 if self.written => {
                let value = if context.fabric.one_in(2) { "written" } else { "flushed" };
                Some(configure(ConfigResource::topic(name), "durability", value))
            }
            3 => {
                let value = self.min_insync(context);
                Some(configure(ConfigResource::cluster(), "min.insync.replicas", &value))
            }
            _ if partitions > 0 => {
                let value = self.min_insync(context);
                Some(configure(ConfigResource::topic(name), "min.insync.replicas", &value))
            }
            _ => None,
        }
    }

    /// Throttles replicas, one more, all or none of a topic, or changes a rate: of all brokers or of one.
    fn throttle(&self, context: &mut ClientContext<'_>) -> Option<Request> {
        let side = if context.fabric.one_in(2) { "leader" } else { "follower" };
        if context.fabric.one_in(2) {
            let resource = match context.fabric.between(0, self.brokers as u64 + 1) {
                0 => ConfigResource::cluster(),
                broker => ConfigResource::broker(BrokerId(broker as i32)),
            };
            // Bytes a second: the last thing that is said must let everybody catch up in the end.
            let rate = if context.fabric.one_in(5) { i64::MAX as u64 } else { context.fabric.between(5_000, 200_000) };
            return Some(configure(resource, &format!("{side}.replication.throttled.rate"), &rate.to_string()));
        }
        let topic = context.fabric.choose(&self.topics)?.name.clone();
        let replica = (context.fabric.between(0, 3), context.fabric.between(1, self.brokers as u64 + 1));
        let replicas = match context.fabric.between(0, 4) {
            0 => String::new(),
            1 => format!("{}:{}", replica.0, replica.1),
            _ => "*".to_owned(),
        };
        Some(configure(ConfigResource::topic(topic), &format!("{side}.replication.throttled.replicas"), &replicas))
    }

    fn min_insync(&self, context: &mut ClientContext<'_>) -> String {
        (1 + context.fabric.between(0, 3) as i32).max(self.min_insync_least).to_string()
    }
}

/// The broker that forwards a request puts itself in.
fn nobody() -> BrokerReference {
    BrokerReference { broker: BrokerId(-1), broker_epoch: BrokerEpoch::NONE }
}

fn create(plan: TopicPlan, written: bool) -> Request {
    let TopicPlan { name, partitions: partition_count, min_insync, settings, .. } = plan;
    let mut configs: Vec<(Arc<str>, Option<Arc<str>>)> =
        vec![("min.insync.replicas".into(), Some(min_insync.to_string().into()))];
    configs.extend(settings.into_iter().map(|(key, value)| (key, Some(value))));
    if written {
        configs.push(("durability".into(), Some("written".into())));
    }
    let topic = NewTopic { name, partition_count, replication_factor: 3, assignments: Vec::new(), configs };
    Request::CreateTopics(CreateTopics { sender: nobody(), topics: vec![topic], validate_only: false })
}

fn configure(resource: ConfigResource, key: &str, value: &str) -> Request {
    let operation = ConfigOperation { key: key.into(), value: Some(value.into()), kind: ConfigOperationKind::Set };
    Request::AlterConfigs(AlterConfigs {
        sender: nobody(),
        resources: vec![ResourceConfigs { resource, operations: vec![operation] }],
        validate_only: false,
        incremental: true,
    })
}
