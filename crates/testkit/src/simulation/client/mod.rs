//! Simulated clients: what they ask for and retry is modelled on librdkafka; the brokers they ask are the shipped ones.

mod admin;
mod consumer;
mod deleter;
mod links;
mod member;
mod producer;

use super::event::{ClientTimer, ConnectionId, EndEvent};
use super::fabric::Fabric;
use super::history::History;
use super::invariants::{Checked, Observer};

pub(super) use admin::Admin;
pub(super) use consumer::Consumer;
pub(super) use deleter::Deleter;
pub(super) use member::{Member, MemberSetup};
pub(super) use producer::{Producer, ProducerSetup};

/// A client of some kind.
#[derive(Debug)]
pub(super) enum Client {
    Producer(Producer),
    Consumer(Consumer),
    Member(Box<Member>),
    Admin(Admin),
    Deleter(Deleter),
}

/// What clients see of the rest when something happens to them.
pub(super) struct ClientContext<'a> {
    pub fabric: &'a mut Fabric,
    pub history: &'a mut History,
    /// For what must hold at the moment an answer comes.
    pub observer: &'a Observer,
    /// Whether faults happen no more: nothing new is begun.
    pub calm: bool,
}

impl Client {
    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match self {
            Client::Producer(client) => client.timer(timer, context),
            Client::Consumer(client) => client.timer(timer, context),
            Client::Member(client) => client.timer(timer, context),
            Client::Admin(client) => client.timer(timer, context),
            Client::Deleter(client) => client.timer(timer, context),
        }
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) -> Checked {
        match self {
            Client::Producer(client) => client.end_event(connection, what, context),
            Client::Consumer(client) => client.end_event(connection, what, context),
            Client::Member(client) => client.end_event(connection, what, context),
            Client::Admin(client) => {
                client.end_event(connection, what, context);
                Ok(())
            }
            Client::Deleter(client) => {
                client.end_event(connection, what, context);
                Ok(())
            }
        }
    }

    /// Whether it waits for nothing any more.
    pub fn is_done(&self, observer: &Observer) -> bool {
        match self {
            Client::Producer(client) => client.is_done(observer),
            Client::Consumer(client) => client.is_done(observer),
            // Groups are looked at as a whole.
            Client::Member(_) | Client::Deleter(_) => true,
            Client::Admin(client) => client.is_done(),
        }
    }

    /// Whether it has to do with one partition alone, and knows itself whether anybody may lead that.
    pub fn knows_dead_partitions(&self) -> bool {
        matches!(self, Client::Producer(_))
    }

    pub fn describe(&self) -> String {
        format!("{self:?}").chars().take(600).collect()
    }
}
