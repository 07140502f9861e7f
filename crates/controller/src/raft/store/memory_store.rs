use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Mutex;

use super::{MetaStore, Visit, Write};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store that loses what was not synced when it "crashes".
#[derive(Default)]
pub(in crate::raft) struct MemoryStore {
    state: Mutex<(Map, Map)>,
}

impl MemoryStore {
    /// What a restart finds after a power cut now.
    pub fn after_power_cut(&self) -> MemoryStore {
        let durable = self.state.lock().unwrap().1.clone();
        MemoryStore { state: Mutex::new((durable.clone(), durable)) }
    }
}

impl MetaStore for MemoryStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state.lock().unwrap().0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        for (key, value) in self.state.lock().unwrap().0.range(from.to_vec()..to.to_vec()) {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let state = self.state.lock().unwrap();
        Ok(state.0.range(from.to_vec()..to.to_vec()).next_back().map(|(k, v)| (k.clone(), v.clone())))
    }

    fn write(&self, batch: Vec<Write>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        for write in batch {
            match write {
                Write::Put(key, value) => state.0.insert(key, value),
                Write::Remove(key) => state.0.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.1 = state.0.clone();
        Ok(())
    }
}
