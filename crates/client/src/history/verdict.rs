use std::fmt;

/// What is wrong between a history and what was read. The names are those of Jepsen's checker for Kafka, where it has
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acked records that no reader found on their partition, though it was read beyond them.
    pub lost: Vec<String>,
    /// Acked records at or after the end of what was read of their partition.
    pub unseen: Vec<String>,
    /// Records found more than once, named once for each time too many.
    pub duplicated: Vec<String>,
    /// Acked records found before one that was sent before them.
    pub out_of_order: Vec<String>,
    /// Offsets at which two different records were acked or read.
    pub inconsistent_offsets: Vec<String>,
    /// Records that a reader was given at or before an offset it had already been given, without a new assignment.
    pub nonmonotonic_polls: Vec<String>,
    /// Records that a reader was given after leaving others of the log out, without a new assignment.
    pub skipped_polls: Vec<String>,
    /// Records of the log that no member of the reading group was ever given.
    pub unread: Vec<String>,
    /// Records given to a new owner of a partition though the group had already committed beyond them.
    pub regressed: Vec<String>,
    /// Records found that were refused for good, or never sent.
    pub phantoms: Vec<String>,
}

/// The records whose outcome nobody knows: none of them is a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indeterminate {
    /// Those that are in the log.
    pub present: usize,
    /// Those that are not.
    pub absent: usize,
}

impl Verdict {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        *self == Verdict::default()
    }

    /// Every kind of fault by its name, with the records it befell.
    pub fn faults(&self) -> [(&'static str, &[String]); 10] {
        [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("out of order", &self.out_of_order),
            ("unseen", &self.unseen),
            ("at an inconsistent offset", &self.inconsistent_offsets),
            ("polled a second time", &self.nonmonotonic_polls),
            ("polled after a skip", &self.skipped_polls),
            ("unread by the group", &self.unread),
            ("read again after a commit", &self.regressed),
            ("phantom", &self.phantoms),
        ]
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first three are what everybody asks for; the others are named where there are any.
        let told = self.faults().into_iter().enumerate().filter(|(place, (_, names))| *place < 3 || !names.is_empty());
        for (place, (fault, names)) in told {
            let separator = if place > 0 { ", " } else { "" };
            let some = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            write!(f, "{separator}{} {fault} [{some}]", names.len())?;
        }
        Ok(())
    }
}
