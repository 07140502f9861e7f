use crate::error::{InvalidRecords, RecordError, RecordErrors, RecordFault};
use crate::header::NO_TIMESTAMP;
use crate::validate::{TimestampType, ValidationLimits};

/// How many bad records of one batch are named. Kafka names all; clients fail those that are not named as well.
const RECORD_ERRORS_MAX: usize = 100;

/// Judges a batch's records one by one, and names those that break a rule of the topic (KIP-467).
pub(crate) struct RecordChecks<'a> {
    limits: &'a ValidationLimits,
    index: i32,
    errors: RecordErrors,
}

impl<'a> RecordChecks<'a> {
    pub fn new(limits: &'a ValidationLimits) -> RecordChecks<'a> {
        RecordChecks { limits, index: 0, errors: RecordErrors::default() }
    }

    /// Looks at the next record.
    pub fn record(&mut self, offset: i64, timestamp: i64, has_key: bool) {
        if self.limits.require_keys && !has_key {
            self.add(RecordFault::NoKey);
        } else if self.limits.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let range = self.limits.timestamp_range();
            if !range.contains(&timestamp) {
                let (earliest, latest) = range.into_inner();
                self.add(RecordFault::Timestamp { timestamp, offset, earliest, latest });
            }
        }
        self.index += 1;
    }

    /// The judgement.
    pub fn finish(self) -> Result<(), InvalidRecords> {
        if self.errors.count == 0 { Ok(()) } else { Err(InvalidRecords::Records(self.errors)) }
    }

    fn add(&mut self, fault: RecordFault) {
        self.errors.count += 1;
        self.errors.has_bad_timestamp |= matches!(fault, RecordFault::Timestamp { .. });
        if self.errors.named.len() < RECORD_ERRORS_MAX {
            self.errors.named.push(RecordError { index: self.index, fault });
        }
    }
}
