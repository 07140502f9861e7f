use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::replica::Acks;
use raftsman_protocol::Str;

use super::client::{Admin, Client, ClientContext, Consumer, Deleter, Member, MemberSetup, Producer, ProducerSetup};
use super::event::{ClientTimer, ConnectionId, EndEvent, Endpoint, Event};
use super::fabric::Fabric;
use super::history::History;
use super::invariants::{Checked, OFFSETS_TOPIC, Observer, Violation};
use super::nemesis::{Fault, NemesisEvent};
use super::node::Node;
use super::scenario::Scenario;
use super::time::SimTime;
use super::topics::{Keeping, TopicPlan};
use super::trace::Trace;

/// How long everything has to come to rest after the last fault.
const CALM_MAX: Duration = Duration::from_secs(60);
/// Between two looks at whether everything is at rest.
const REST_CHECK: Duration = Duration::from_millis(250);

/// A cluster, its clients, and what happens to them.
pub(super) struct World {
    pub scenario: Scenario,
    pub fabric: Fabric,
    pub nodes: BTreeMap<i32, Node>,
    pub clients: BTreeMap<i32, Client>,
    pub observer: Observer,
    pub history: History,
    /// Faults are over.
    pub calm: bool,
    pub faults_struck: u32,
    /// Nodes that lost power so far.
    pub power_cuts: BTreeSet<i32>,
    /// The registrations that somebody asked the controllers to end.
    pub unregistering: BTreeMap<i32, raftsman_types::BrokerEpoch>,
    /// Nodes whose log disk fails, or will, in the given life, as long as it is not known that all is well since.
    pub failing_disks: BTreeMap<i32, u64>,
    /// Nodes whose log directory was emptied and not filled again, as far as was looked.
    pub wiped: BTreeSet<i32>,
}

impl World {
    pub fn new(scenario: Scenario, shows: bool) -> World {
        let mut fabric = Fabric::new(scenario.seed, Trace::new(shows));
        fabric.network.delay_us_max = 2000;
        let mut world = World {
            fabric,
            nodes: BTreeMap::new(),
            clients: BTreeMap::new(),
            observer: Observer::default(),
            history: History::default(),
            calm: false,
            faults_struck: 0,
            power_cuts: BTreeSet::new(),
            unregistering: BTreeMap::new(),
            failing_disks: BTreeMap::new(),
            wiped: BTreeSet::new(),
            scenario,
        };
        for id in 1..=world.scenario.brokers {
            world.add_node(id, id <= world.scenario.controllers);
            let wait = world.fabric.millis(0, 300);
            world.later(wait, NemesisEvent::Start { node: id, life: 1 });
        }
        world.add_clients();
        world.later(Duration::from_millis(1500), NemesisEvent::Strike);
        world.reshape_later();
        world
    }

    fn add_clients(&mut self) {
        let (brokers, count) = (self.scenario.brokers, self.scenario.topics);
        let least = self.scenario.min_insync_least();
        let plan = |n| {
            let min_insync = if self.fabric.one_in(4) { least } else { 2 };
            let plan = TopicPlan::new(format!("t{n}"), self.scenario.partitions, min_insync);
            if !self.scenario.living {
                return plan;
            }
            let kinds = [Keeping::All, Keeping::Newest, Keeping::Keys];
            let keeping = self.fabric.choose(&kinds).copied().unwrap_or(Keeping::All);
            plan.living(keeping, &mut self.fabric)
        };
        let topics: Vec<TopicPlan> = (0..count).map(plan).collect();
        let mut next = 1;
        let kept = self.topics_of_groups();
        self.observer.expect_topics(topics.iter().chain(&kept));
        let admin = Admin::new(next, topics.clone(), kept.clone(), &self.scenario);
        self.clients.insert(next, Client::Admin(admin));
        for _ in 0..self.scenario.producers {
            next += 1;
            let setup = self.producer_setup(next, &topics);
            self.history.producer(next, setup.idempotent);
            self.clients.insert(next, Client::Producer(Producer::new(setup)));
        }
        for n in 0..self.scenario.consumers {
            next += 1;
            let topic = Arc::clone(&topics[n % topics.len()].name);
            self.clients.insert(next, Client::Consumer(Consumer::new(next, brokers, topic)));
        }
        if self.scenario.living {
            next += 1;
            self.clients.insert(next, Client::Deleter(Deleter::new(next, brokers, &topics)));
        }
        next = self.add_groups(next, &kept);
        for client in 1..=next {
            let wait = self.fabric.millis(200, 900);
            self.fabric.after(wait, Event::Client { client, what: ClientTimer::Work });
        }
    }

    /// The offsets topic and one topic for each group; nothing if there are no groups.
    fn topics_of_groups(&mut self) -> Vec<TopicPlan> {
        let groups = self.scenario.groups as i32;
        if groups == 0 {
            return Vec::new();
        }
        let mut offsets = TopicPlan::new(OFFSETS_TOPIC, self.fabric.between(1, 3) as i32, 2);
        let own = (0..groups).map(|n| TopicPlan::new(format!("g{n}"), self.fabric.between(1, 4) as i32, 2));
        let own: Vec<TopicPlan> = own.collect();
        if self.scenario.living {
            offsets = offsets.living(Keeping::Keys, &mut self.fabric);
        }
        own.into_iter().chain([offsets]).collect()
    }

    /// Adds the members of the groups, and a producer for each group's topic. The last client's id.
    fn add_groups(&mut self, mut next: i32, topics: &[TopicPlan]) -> i32 {
        for n in 0..self.scenario.groups {
            let topic = &topics[n..=n];
            let group = Str::from(format!("group-{n}"));
            self.history.groups.group(group.clone(), Arc::clone(&topic[0].name));
            next += 1;
            let setup = ProducerSetup {
                partition: self.fabric.between(0, topic[0].partitions as u64) as i32,
                ..self.producer_setup(next, topic)
            };
            self.history.producer(next, setup.idempotent);
            self.clients.insert(next, Client::Producer(Producer::new(setup)));
            for _ in 0..self.scenario.members {
                next += 1;
                let setup = self.member_setup(next, group.clone(), Arc::clone(&topic[0].name));
                self.clients.insert(next, Client::Member(Box::new(Member::new(setup))));
            }
        }
        next
    }

    fn member_setup(&mut self, id: i32, group: Str, topic: Arc<str>) -> MemberSetup {
        let fabric = &mut self.fabric;
        MemberSetup {
            id,
            brokers: self.scenario.brokers,
            group,
            topic,
            session_timeout: fabric.millis(400, 2500),
            rebalance_timeout: fabric.millis(500, 2500),
            commit_interval: fabric.millis(20, 500),
            stays: fabric.between(30, 400) as u32,
        }
    }

    fn producer_setup(&mut self, id: i32, topics: &[TopicPlan]) -> ProducerSetup {
        let fabric = &mut self.fabric;
        let plan = fabric.choose(topics);
        let topic = plan.map_or_else(|| "t0".into(), |plan| Arc::clone(&plan.name));
        let keyed = plan.is_some_and(|plan| plan.keeping == Keeping::Keys);
        let acks = match fabric.between(0, 8) {
            0 => Acks::None,
            1 => Acks::Leader,
            _ => Acks::All,
        };
        ProducerSetup {
            id,
            brokers: self.scenario.brokers,
            topic,
            keyed,
            partition: fabric.between(0, self.scenario.partitions as u64) as i32,
            acks,
            idempotent: acks == Acks::All && !fabric.one_in(4),
            in_flight_max: fabric.between(1, 6) as usize,
            request_timeout: fabric.millis(400, 3000),
            delivery_timeout: if fabric.one_in(3) { fabric.millis(500, 3000) } else { Duration::from_secs(30) },
            pause_ms_max: fabric.between(8, 120),
        }
    }

    /// Runs until faults are over and everything has come to rest.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn run(&mut self) -> Checked {
        let stormy_until = SimTime::default() + self.scenario.stormy;
        let calm_until = stormy_until + CALM_MAX;
        let mut rest_check = stormy_until;
        while let Some(event) = self.fabric.next() {
            let now = self.fabric.now();
            if !self.calm && now >= stormy_until {
                self.calm_down();
            }
            if self.calm && now >= rest_check {
                rest_check = now + REST_CHECK;
                if self.restlessness().is_none() {
                    return self.judge();
                }
                if now >= calm_until {
                    let why = self.restlessness().unwrap_or_default();
                    return Err(Violation::new("liveness: everything comes to rest", why));
                }
            }
            self.dispatch(event)?;
        }
        Err(Violation::new("liveness: everything comes to rest", "nothing is left to happen"))
    }

    /// Faults are over: what is broken is mended.
    fn calm_down(&mut self) {
        self.calm = true;
        self.fabric.trace.say(self.fabric.now(), || "calm".to_owned());
        self.fabric.network.blocked.clear();
        self.network_well();
        let nodes: Vec<i32> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.stall(node, false);
            self.resume(node);
            self.set_drift(node, 0);
        }
    }

    /// What is not at rest yet.
    fn restlessness(&self) -> Option<String> {
        let image = self.observer.image();
        for (id, node) in &self.nodes {
            let Some(process) = &node.process else { return Some(format!("node {id} is down")) };
            if !process.broker.is_unfenced() {
                return Some(format!("broker {id} is fenced; the image says {:?}", image.brokers));
            }
            if process.broker.published().version != image.version {
                return Some(format!("broker {id} has not the newest metadata"));
            }
        }
        if let Some(why) = self.restless_partition(&image) {
            return Some(why);
        }
        let any_dead =
            self.may_be_dead() && image.topics.values().any(|topic| topic.partitions.values().any(|p| is_dead(p)));
        let mut waiting = self.clients.iter().filter(|(_, client)| !client.is_done(&self.observer));
        if let Some((id, client)) = waiting.find(|(_, client)| !any_dead || client.knows_dead_partitions()) {
            return Some(format!("client {id} waits: {}", client.describe()));
        }
        if any_dead {
            // Nobody may lead it, and nobody will: groups and readers wait for it in vain.
            return None;
        }
        self.history.groups.restlessness(&self.observer)
    }

    fn restless_partition(&self, image: &raftsman_metadata::MetadataImage) -> Option<String> {
        for topic in image.topics.values() {
            for (partition, state) in &topic.partitions {
                let at = raftsman_types::TopicIdPartition { topic_id: topic.id, partition: *partition };
                if self.may_be_dead() && is_dead(state) {
                    continue;
                }
                if state.leader.is_none() || state.isr.len() != state.replicas.len() {
                    return Some(format!("{at}: {state:?}; {}", self.describe_replicas(at)));
                }
                let truth_end = self.observer.truth.partition(at).end();
                let ends = state.replicas.iter().map(|id| {
                    let process = self.nodes.get(&id.0)?.process.as_ref()?;
                    process.broker.replicas().inspect(at).map(|r| (r.log_end_offset, r.high_watermark))
                });
                for end in ends {
                    if end != Some((truth_end, truth_end)) {
                        return Some(format!("{at}: committed to {truth_end}; {}", self.describe_replicas(at)));
                    }
                }
            }
        }
        None
    }

    fn describe_replicas(&self, at: raftsman_types::TopicIdPartition) -> String {
        let inspect = |node: &Node| node.process.as_ref().and_then(|process| process.broker.replicas().inspect(at));
        self.nodes.iter().map(|(id, node)| format!("\n  broker {id}: {:?}", inspect(node))).collect()
    }

    /// Whether faults may have taken everybody who could lead. Failed disks leave ISR and ELR, but whoever led last comes back;
    /// an emptied disk makes the last leader forgotten, too.
    fn may_be_dead(&self) -> bool {
        self.scenario.faults.contains(&Fault::Wipe)
    }

    /// Puts what is left of everything into the trace's number: the metadata, every replica, every byte in its log.
    pub fn seal(&mut self) {
        use std::fmt::Write;
        let image = self.observer.image();
        let trace = &mut self.fabric.trace;
        // A trace takes everything.
        let _ = write!(trace, "{image:?}");
        for (id, node) in &self.nodes {
            let Some(process) = &node.process else { continue };
            let replicas = process.broker.replicas();
            for topic in image.topics.values() {
                for partition in topic.partitions.keys() {
                    let at = raftsman_types::TopicIdPartition { topic_id: topic.id, partition: *partition };
                    let Some(replica) = replicas.inspect(at) else { continue };
                    let _ = write!(trace, "{id} {at} {replica:?}");
                    match replicas.inspect_log(at, replica.log_start_offset, usize::MAX) {
                        Ok(batches) => batches.iter().for_each(|batch| trace.bytes(batch)),
                        Err(error) => drop(write!(trace, "{error}")),
                    }
                }
            }
        }
    }

    fn judge(&self) -> Checked {
        self.history.judge(&self.observer)
    }

    fn dispatch(&mut self, event: Event) -> Checked {
        match event {
            Event::Dial(connection) => self.fabric.dialled(connection),
            Event::Arrival { connection, from_dialler } => {
                if let Some((at, life, what)) = self.fabric.arrive(connection, from_dialler) {
                    return self.end_event(at, life, connection, what);
                }
            }
            Event::End { at, life, connection, what } => return self.end_event(at, life, connection, what),
            Event::KeepAlive(one, other) => self.fabric.keep_alive(one, other),
            Event::Raft { to, from, message } => return self.raft_message(to, from, message),
            Event::Timer { node, life, what } => return self.timer(node, life, what),
            Event::Client { client, what } => {
                if let Some(mut of_it) = self.clients.remove(&client) {
                    of_it.timer(what, &mut self.client_context());
                    self.clients.insert(client, of_it);
                }
            }
            Event::Nemesis(event) => {
                self.nemesis(event);
                let nodes: Vec<i32> = self.nodes.keys().copied().collect();
                return nodes.into_iter().try_for_each(|node| {
                    self.check_controller(node)?;
                    self.check_broker(node)
                });
            }
        }
        Ok(())
    }

    fn client_context(&mut self) -> ClientContext<'_> {
        ClientContext {
            fabric: &mut self.fabric,
            history: &mut self.history,
            observer: &self.observer,
            calm: self.calm,
        }
    }

    /// Sets an event aside if the process it is for is stopped.
    fn set_aside(&mut self, node: i32, event: Event) -> Option<Event> {
        match self.nodes.get_mut(&node).and_then(|node| node.backlog.as_mut()) {
            Some(backlog) => {
                backlog.push(event);
                None
            }
            None => Some(event),
        }
    }

    fn end_event(&mut self, at: Endpoint, life: u64, connection: ConnectionId, what: EndEvent) -> Checked {
        if let Endpoint::Client(client) = at {
            let Some(mut of_it) = self.clients.remove(&client) else { return Ok(()) };
            let checked = of_it.end_event(connection, what, &mut self.client_context());
            self.clients.insert(client, of_it);
            return checked;
        }
        let id = at.host();
        let Some(Event::End { what, .. }) = self.set_aside(id, Event::End { at, life, connection, what }) else {
            return Ok(());
        };
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return Ok(()) };
        let Some(process) = &mut node.process else { return Ok(()) };
        match (at, &mut process.controller) {
            (Endpoint::Broker(_), _) => process.broker.end_event(connection, what, &mut self.fabric),
            (Endpoint::Controller(_), Some(controller)) => controller.end_event(connection, what, &mut self.fabric),
            _ => {}
        }
        self.fabric.trace.note(self.fabric.now(), "end", &[id.into(), connection.0 as i64]);
        if matches!(at, Endpoint::Broker(_)) { self.check_broker(id) } else { self.check_controller(id) }
    }

    fn raft_message(&mut self, to: i32, from: i32, message: super::raft::RaftMessage) -> Checked {
        let Some(Event::Raft { message, .. }) = self.set_aside(to, Event::Raft { to, from, message }) else {
            return Ok(());
        };
        let Some(process) = self.nodes.get_mut(&to).and_then(|node| node.process.as_mut()) else { return Ok(()) };
        let Some(controller) = &mut process.controller else { return Ok(()) };
        self.fabric.trace.note(self.fabric.now(), message.label, &[from.into(), to.into(), message.mark]);
        controller.raft_message(from, message, &mut self.fabric);
        self.check_controller(to)
    }

    fn timer(&mut self, id: i32, life: u64, what: super::event::Timer) -> Checked {
        if self.set_aside(id, Event::Timer { node: id, life, what }).is_none() {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return Ok(()) };
        node.log_disk.set_now(raftsman_broker::replica::Clock::wall(&*node.clock));
        let Some(process) = &mut node.process else { return Ok(()) };
        let mut lives = true;
        if what.is_controllers() {
            if let Some(controller) = &mut process.controller {
                lives = controller.timer(what, &mut self.fabric);
            }
        } else {
            process.broker.timer(what, &mut self.fabric);
        }
        if !lives {
            self.kill(id);
            let (wait, life) = (self.fabric.millis(50, 500), self.life(id));
            self.later(wait, NemesisEvent::Start { node: id, life });
        }
        if what.is_controllers() { self.check_controller(id) } else { self.check_broker(id) }
    }

    /// Asks the rules whether they hold on a node's controller, after it stepped.
    fn check_controller(&mut self, id: i32) -> Checked {
        let process = self.nodes.get(&id).and_then(|node| node.process.as_ref());
        let Some(controller) = process.and_then(|process| process.controller.as_ref()) else { return Ok(()) };
        self.observer.controller_stepped(id, controller.standing(), controller.image())
    }

    /// Asks the rules whether they hold on a node's broker, after it stepped.
    fn check_broker(&mut self, id: i32) -> Checked {
        let Some(process) = self.nodes.get_mut(&id).and_then(|node| node.process.as_mut()) else { return Ok(()) };
        let news = process.broker.take_deletion_news();
        for news in &news {
            self.observer.deletion_begun(news);
        }
        self.observer.broker_stepped(id, process.broker.replicas())?;
        for news in &news {
            self.observer.deletion_done(news)?;
        }
        self.observer.coordinator_stepped(id, process.broker.coordinator())
    }
}

/// Whether nobody may lead a partition any more, short of an unclean election.
pub(super) fn is_dead(state: &raftsman_metadata::PartitionImage) -> bool {
    let nobody = state.leader.is_none() && state.last_known_leader.is_none();
    nobody && state.isr.is_empty() && state.elr.is_empty()
}
