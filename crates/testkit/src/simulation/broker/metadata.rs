use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::{MetadataDelta, MetadataEntry, MetadataRecord};

use super::BrokerProcess;
use crate::simulation::event::{EndEvent, Endpoint, Frame, Timer};
use crate::simulation::fabric::Fabric;

const REDIAL: Duration = Duration::from_millis(30);

impl BrokerProcess {
    /// Asks any controller for the metadata from the version reached.
    pub(super) fn follow_metadata(&mut self, fabric: &mut Fabric) {
        if self.watch.is_none()
            && let Some(target) = fabric.choose(&self.setup.controllers).copied()
        {
            self.watch = Some(fabric.dial(self.me(), self.setup.life, Endpoint::Controller(target)));
        }
    }

    pub(super) fn watch_event(&mut self, what: EndEvent, fabric: &mut Fabric) {
        match what {
            EndEvent::Connected => {
                if let Some(watch) = self.watch {
                    fabric.send(watch, self.me(), Frame::Watch { from_version: self.watched.version });
                }
            }
            EndEvent::NotConnected { .. } | EndEvent::Closed => self.watch_elsewhere(fabric),
            EndEvent::Frame(Frame::Entry(entry)) => self.take_entry(&entry, fabric),
            EndEvent::Frame(Frame::Snapshot(image)) => {
                if image.version < self.watched.version {
                    return self.watch_elsewhere(fabric);
                }
                self.watched = image;
                self.publish_soon(fabric);
            }
            EndEvent::Frame(_) => {}
        }
    }

    fn take_entry(&mut self, entry: &MetadataEntry, fabric: &mut Fabric) {
        let is_activation = matches!(entry.records[..], [MetadataRecord::Activate { .. }]);
        if entry.base_version > self.watched.version && !is_activation {
            return self.watch_elsewhere(fabric);
        }
        self.watched.replay(entry);
        self.publish_soon(fabric);
    }

    fn watch_elsewhere(&mut self, fabric: &mut Fabric) {
        if let Some(watch) = self.watch.take() {
            fabric.close(watch, self.me());
        }
        self.set_timer(fabric, REDIAL, Timer::FollowMetadata);
    }

    /// The publisher has a thread of its own, which may be busy: images that come meanwhile are taken in one step.
    fn publish_soon(&mut self, fabric: &mut Fabric) {
        if !std::mem::replace(&mut self.publish_is_due, true) {
            let us = if fabric.one_in(10) { fabric.between(1000, 60_000) } else { fabric.between(10, 500) };
            self.set_timer(fabric, Duration::from_micros(us), Timer::Publish);
        }
    }

    pub(super) fn publish(&mut self, fabric: &mut Fabric) {
        self.publish_is_due = false;
        if self.watched.version == self.published.version {
            return;
        }
        // One after the other: who hears of metadata last has heard of all that was before.
        self.tell_groups();
        let image = Arc::new(self.watched.clone());
        let delta = MetadataDelta::between(&self.published, &image);
        self.replicas.manager().publish(&delta, &image);
        self.published = image;
        self.tell_groups_soon(fabric);
        fabric.trace.note(fabric.now(), "published", &[self.setup.node.into(), self.published.version as i64]);
        if !self.lifecycle.unfenced {
            self.beat(fabric);
        }
    }
}
