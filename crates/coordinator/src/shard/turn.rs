use crate::deadlines::Deadlines;
use crate::shard::{Now, Reply, RequestId, WriteId};
use crate::{CoordinatorConfig, Record};

/// What one event decides, while it is being decided.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub now: Now,
    pub config: &'a CoordinatorConfig,
    pub deadlines: &'a mut Deadlines,
    /// The write that replies have to wait for even if this turn writes nothing: the last one that the state they are
    /// judged against comes from.
    pub floor: WriteId,
    pub(super) records: Vec<Record>,
    pub(super) replies: Vec<(RequestId, Reply, WriteId)>,
    pub(super) writes_group: bool,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Now, config: &'a CoordinatorConfig, deadlines: &'a mut Deadlines) -> Turn<'a> {
        Turn {
            now,
            config,
            deadlines,
            floor: WriteId::default(),
            records: Vec::new(),
            replies: Vec::new(),
            writes_group: false,
        }
    }

    pub(crate) fn reply(&mut self, request: RequestId, reply: Reply) {
        self.replies.push((request, reply, self.floor));
    }

    /// Writes a group's record. The group in memory is already as the record says.
    pub(crate) fn write_group(&mut self, record: Record) {
        self.records.push(record);
        self.writes_group = true;
    }

    /// Writes records that memory follows only once they are in the log.
    pub(crate) fn write_offsets(&mut self, records: Vec<Record>) {
        self.records.extend(records);
    }
}
