use std::collections::BTreeMap;

use raftsman_replication::{Durability, IsrAnswer, IsrProposal, LeadershipView, ReplicaView};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch};

/// The metadata of the one partition.
#[derive(Debug, Clone)]
pub struct Image {
    pub version: i64,
    pub isr: Vec<BrokerId>,
    pub elr: Vec<BrokerId>,
    pub leader: Option<BrokerId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub min_insync: usize,
    /// Every registration: its epoch, and whether it is fenced.
    pub brokers: BTreeMap<BrokerId, (BrokerEpoch, bool)>,
}

impl Image {
    pub fn view(&self) -> LeadershipView {
        LeadershipView {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            replicas: self
                .brokers
                .iter()
                .map(|(&broker, &(broker_epoch, fenced))| ReplicaView { broker, broker_epoch, eligible: !fenced })
                .collect(),
            isr: self.isr.clone(),
            min_insync_replicas: self.min_insync,
            durability: Durability::Flushed,
            recovering: false,
        }
    }

    pub fn epoch_of(&self, broker: BrokerId) -> BrokerEpoch {
        self.brokers[&broker].0
    }
}

/// Decides by KIP-966's rules; every decision is one new image.
#[derive(Debug)]
pub struct Controller {
    pub images: Vec<Image>,
}

impl Controller {
    pub fn new(brokers: &[BrokerId], min_insync: usize) -> Controller {
        let first = Image {
            version: 1,
            isr: brokers.to_vec(),
            elr: Vec::new(),
            leader: Some(brokers[0]),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            min_insync,
            brokers: brokers.iter().map(|id| (*id, (BrokerEpoch(1), false))).collect(),
        };
        Controller { images: vec![first] }
    }

    pub fn image(&self) -> &Image {
        self.images.last().expect("the first one stays")
    }

    fn commit(&mut self, mut image: Image) {
        image.version += 1;
        if image.isr.len() >= image.min_insync.min(image.brokers.len()) {
            image.elr.clear();
        }
        let elr_outside = image.elr.iter().all(|id| !image.isr.contains(id));
        assert!(elr_outside, "ISR and ELR have no member in common: {image:?}");
        let fenced = |id: &BrokerId| image.brokers[id].1;
        assert!(!image.isr.iter().any(fenced), "no fenced broker is in sync: {image:?}");
        self.images.push(image);
    }

    /// Takes a broker out of the ISR, and gives its partition another leader if it led.
    fn remove(image: &mut Image, broker: BrokerId) {
        image.brokers.get_mut(&broker).expect("registered").1 = true;
        let mut changed = false;
        if image.isr.contains(&broker) {
            image.isr.retain(|id| *id != broker);
            if image.isr.len() < image.min_insync.min(image.brokers.len()) && !image.elr.contains(&broker) {
                image.elr.push(broker);
            }
            changed = true;
        }
        if image.leader == Some(broker) {
            image.leader = None;
            Controller::elect(image);
            image.leader_epoch = image.leader_epoch.next();
            changed = true;
        }
        if changed {
            image.partition_epoch = image.partition_epoch.next();
        }
    }

    /// A leader from the ISR, else an unfenced one from the ELR, who then is the whole ISR; else nobody.
    fn elect(image: &mut Image) {
        if let Some(&leader) = image.isr.first() {
            image.leader = Some(leader);
        } else if let Some(&leader) = image.elr.iter().find(|id| !image.brokers[id].1) {
            image.elr.retain(|id| *id != leader);
            image.isr = vec![leader];
            image.leader = Some(leader);
        }
    }

    pub fn fence(&mut self, broker: BrokerId) {
        let mut image = self.image().clone();
        if !image.brokers[&broker].1 {
            Controller::remove(&mut image, broker);
            self.commit(image);
        }
    }

    /// A new registration: fenced, and a leader no more. What is flushed is still there, so ELR and ISR places stay as
    /// fencing leaves them.
    pub fn register(&mut self, broker: BrokerId) -> BrokerEpoch {
        let mut image = self.image().clone();
        Controller::remove(&mut image, broker);
        let epoch = BrokerEpoch(image.version + 1);
        image.brokers.insert(broker, (epoch, true));
        self.commit(image);
        epoch
    }

    pub fn unfence(&mut self, broker: BrokerId) {
        let mut image = self.image().clone();
        if !image.brokers[&broker].1 {
            return;
        }
        image.brokers.get_mut(&broker).expect("registered").1 = false;
        if image.leader.is_none() {
            Controller::elect(&mut image);
            if image.leader.is_some() {
                image.leader_epoch = image.leader_epoch.next();
                image.partition_epoch = image.partition_epoch.next();
            }
        }
        self.commit(image);
    }

    /// Moves the leadership within the ISR.
    pub fn move_leader(&mut self, to: BrokerId) {
        let mut image = self.image().clone();
        if image.isr.contains(&to) && image.leader != Some(to) {
            image.leader = Some(to);
            image.leader_epoch = image.leader_epoch.next();
            image.partition_epoch = image.partition_epoch.next();
            self.commit(image);
        }
    }

    /// An administrator changes the minimum: who was eligible under the old one is no longer (KIP-966).
    pub fn set_min_insync(&mut self, min_insync: usize) {
        let mut image = self.image().clone();
        if image.min_insync == min_insync {
            return;
        }
        image.min_insync = min_insync;
        if image.leader.is_some() && !image.elr.is_empty() {
            image.elr.clear();
            image.partition_epoch = image.partition_epoch.next();
        }
        self.commit(image);
    }

    pub fn alter_partition(&mut self, from: BrokerId, epoch: BrokerEpoch, proposal: &IsrProposal) -> IsrAnswer {
        let current = self.image().clone();
        let led = current.leader == Some(from) && current.leader_epoch == proposal.leader_epoch;
        if current.epoch_of(from) != epoch {
            return IsrAnswer::Refused(ErrorCode::StaleBrokerEpoch);
        }
        if !led {
            return IsrAnswer::Refused(ErrorCode::FencedLeaderEpoch);
        }
        if current.partition_epoch != proposal.partition_epoch {
            return IsrAnswer::Refused(ErrorCode::InvalidUpdateVersion);
        }
        let eligible = |(id, epoch): &(BrokerId, BrokerEpoch)| current.brokers[id] == (*epoch, false);
        if !proposal.new_isr.iter().all(eligible) {
            return IsrAnswer::Refused(ErrorCode::IneligibleReplica);
        }
        let mut image = current.clone();
        image.isr = proposal.new_isr.iter().map(|(id, _)| *id).collect();
        let gone = current.isr.iter().filter(|id| !image.isr.contains(id));
        image.elr.extend(gone);
        image.elr.retain(|id| !image.isr.contains(id));
        image.partition_epoch = image.partition_epoch.next();
        self.commit(image);
        IsrAnswer::Committed
    }
}
