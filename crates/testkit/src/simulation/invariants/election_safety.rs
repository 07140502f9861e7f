use std::collections::BTreeMap;

use super::{Checked, Violation};
use crate::simulation::raft::RaftStanding;

/// ElectionSafety: at most one controller leads in a term.
#[derive(Debug, Default)]
pub(super) struct ElectionSafety {
    leaders: BTreeMap<u64, i32>,
}

impl ElectionSafety {
    pub fn check(&mut self, node: i32, standing: RaftStanding) -> Checked {
        let RaftStanding { term, leads: true } = standing else { return Ok(()) };
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            let what = format!("controllers {leader} and {node} both lead in term {term}");
            return Err(Violation::new("ElectionSafety", what));
        }
        Ok(())
    }
}
