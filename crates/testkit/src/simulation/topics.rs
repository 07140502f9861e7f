use std::sync::Arc;

use super::fabric::Fabric;

/// A topic that clients make, once more each time it was deleted.
#[derive(Debug, Clone)]
pub(super) struct TopicPlan {
    pub name: Arc<str>,
    pub partitions: i32,
    /// Its `min.insync.replicas` in the beginning.
    pub min_insync: i32,
    pub keeping: Keeping,
    /// Its other settings.
    pub settings: Vec<(Arc<str>, Arc<str>)>,
}

/// What a topic keeps of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// All but those that DeleteRecords takes.
    All,
    /// The newest ones: retention takes the others.
    Newest,
    /// The newest of each key: it is compacted.
    Keys,
}

impl TopicPlan {
    /// A topic in large segments, which nothing takes records from.
    pub fn new(name: impl Into<Arc<str>>, partitions: i32, min_insync: i32) -> TopicPlan {
        let settings = vec![("segment.bytes".into(), "1048576".into())];
        TopicPlan { name: name.into(), partitions, min_insync, keeping: Keeping::All, settings }
    }

    /// The topic in small segments, of which so much is kept.
    pub fn living(mut self, keeping: Keeping, fabric: &mut Fabric) -> TopicPlan {
        self.keeping = keeping;
        // A few entries in the index, and the segment is full.
        self.set("index.interval.bytes", fabric.between(100, 500));
        self.set("segment.index.bytes", 48);
        self.set("file.delete.delay.ms", fabric.between(0, 1500));
        match keeping {
            Keeping::All => {}
            Keeping::Newest => {
                self.set("cleanup.policy", "delete");
                match fabric.one_in(4) {
                    true => self.set("retention.ms", fabric.between(500, 8000)),
                    false => self.set("retention.bytes", fabric.between(300, 4000)),
                }
            }
            Keeping::Keys => {
                self.set("cleanup.policy", "compact");
                self.set("min.cleanable.dirty.ratio", if fabric.one_in(2) { "0.01" } else { "0.4" });
                self.set("delete.retention.ms", fabric.between(0, 2000));
            }
        }
        self
    }

    fn set(&mut self, key: &str, value: impl ToString) {
        self.settings.push((key.into(), value.to_string().into()));
    }
}
