use std::sync::Arc;
use std::time::Duration;

use raftsman_types::Offset;

use super::ClientContext;
use super::links::{Heard, Links};
use crate::simulation::event::{ClientRequest, ClientResponse, ClientTimer, ConnectionId, EndEvent, Event};
use crate::simulation::topics::{Keeping, TopicPlan};

const TIMEOUT: Duration = Duration::from_millis(3000);
/// In DeleteRecords it stands for the high watermark.
const ALL: Offset = -1;

/// Deletes records now and then from the topics that let it (KIP-107).
#[derive(Debug)]
pub(in crate::simulation) struct Deleter {
    id: i32,
    links: Links,
    topics: Vec<Arc<str>>,
    asked: Option<u64>,
}

impl Deleter {
    pub fn new(id: i32, brokers: i32, topics: &[TopicPlan]) -> Deleter {
        let topics = topics.iter().filter(|plan| plan.keeping != Keeping::Keys).map(|plan| Arc::clone(&plan.name));
        Deleter { id, links: Links::new(id, brokers), topics: topics.collect(), asked: None }
    }

    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match timer {
            ClientTimer::Work => {
                let pause = context.fabric.millis(100, 1500);
                context.fabric.after(pause, Event::Client { client: self.id, what: ClientTimer::Work });
                self.links.refresh(context.fabric);
                if self.asked.is_none() && !context.calm {
                    self.delete(context);
                }
            }
            ClientTimer::GivenUp(connection, correlation) => {
                let lost = self.links.given_up(connection, correlation, context.fabric);
                self.lost(&lost);
            }
        }
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) {
        match self.links.end_event(connection, what) {
            Heard::Answer { correlation, response } => {
                if let ClientResponse::RecordsDeleted(result) = response {
                    context.fabric.trace.say(context.fabric.now(), || format!("deleter {}: {result:?}", self.id));
                }
                self.lost(&[correlation]);
            }
            Heard::Lost(lost) => self.lost(&lost),
            Heard::Nothing | Heard::GoOn => {}
        }
    }

    fn lost(&mut self, correlations: &[u64]) {
        if self.asked.is_some_and(|asked| correlations.contains(&asked)) {
            self.asked = None;
        }
    }

    fn delete(&mut self, context: &mut ClientContext<'_>) {
        let Some(topic) = context.fabric.choose(&self.topics).cloned() else { return };
        let Some(partitions) = self.links.topics().find(|(name, _, _)| **name == topic).map(|(_, _, count)| count)
        else {
            return;
        };
        let partition = context.fabric.between(0, partitions as u64) as i32;
        let Some((at, Some(leader), _)) = self.links.find(&topic, partition) else { return };
        let end = context.observer.truth.partition(at).end();
        let some = context.fabric.between(0, end as u64 + 3) as Offset;
        let offset = if context.fabric.one_in(6) { ALL } else { some };
        context.fabric.trace.say(context.fabric.now(), || format!("deleter {}: {at} below {offset}", self.id));
        self.asked = self.links.ask(leader.0, ClientRequest::DeleteRecords { at, offset }, TIMEOUT, context.fabric);
    }
}
