use std::time::Duration;

use raftsman_controller::decide::BrokerReference;
use raftsman_types::BrokerId;

use super::nemesis::NemesisEvent;
use super::world::World;

impl World {
    /// Begins what changes the cluster, if the scenario has it.
    pub(super) fn reshape_later(&mut self) {
        if self.scenario.reshapes {
            let wait = self.fabric.millis(1000, 4000);
            self.later(wait, NemesisEvent::Join);
            let wait = self.fabric.millis(2000, 5000);
            self.later(wait, NemesisEvent::Unregister);
        }
    }

    /// A machine with empty disks joins: topics that are made from now on may have replicas there.
    pub(super) fn join_new_broker(&mut self) {
        let node = self.scenario.brokers + 1;
        if !self.calm && !self.nodes.contains_key(&node) {
            self.add_node(node, false);
            self.later(Duration::ZERO, NemesisEvent::Start { node, life: self.life(node) });
        }
    }

    /// A broker is unregistered, while it runs or after it was killed. What it holds stays its own: it registers anew, sooner or
    /// later, as a broker that nobody has heard of.
    pub(super) fn unregister_some_broker(&mut self) {
        if self.calm {
            return;
        }
        let wait = self.fabric.millis(700, 4000);
        self.later(wait, NemesisEvent::Unregister);
        let nodes: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(node) = self.fabric.choose(&nodes).copied() else { return };
        let Some(broker_epoch) = self.observer.image().broker_epoch(BrokerId(node)) else { return };
        if !self.may_lose_replicas(node) {
            return;
        }
        if self.is_up(node) && self.fabric.one_in(2) {
            self.kill(node);
            let (wait, life) = (self.fabric.millis(300, 4000), self.life(node));
            self.later(wait, NemesisEvent::Start { node, life });
        }
        let runs = |id: &i32| self.nodes.get(id).is_some_and(|node| node.process.is_some() && node.backlog.is_none());
        let up: Vec<i32> = nodes.into_iter().filter(runs).collect();
        let Some(messenger) = self.fabric.choose(&up).copied() else { return };
        self.fabric.trace.note(self.fabric.now(), "unregister", &[node.into(), messenger.into()]);
        self.fabric.trace.say(self.fabric.now(), || format!("broker {node} is unregistered by way of {messenger}"));
        self.unregistering.insert(node, broker_epoch);
        let reference = BrokerReference { broker: BrokerId(node), broker_epoch };
        let process = self.nodes.get_mut(&messenger).and_then(|node| node.process.as_mut());
        if let Some(process) = process {
            process.broker.unregister(reference, &mut self.fabric);
        }
    }
}
