use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use raftsman_controller::actor::{ProposalId, ProposalOutcome};
use raftsman_log::fs::MemoryFs;
use raftsman_metadata::{EntryOutcome, MetadataEntry, MetadataImage};
use raftsman_types::MonotonicTime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::disk::RaftDisk;
use super::message::{LogEntry, Message, Snapshot};
use super::state::HardState;
use super::{RaftMessage, RaftOutput, RaftStanding, SimRaft};

const HEARTBEAT: Duration = Duration::from_millis(100);
/// Votes are refused for so long after the leader was heard, as openraft's lease has it.
const ELECTION_MIN_MS: u64 = 250;
const ELECTION_MAX_MS: u64 = 400;
/// A leader that no majority answers for so long does not say any more that it leads.
const QUORUM_SILENCE: Duration = Duration::from_millis(800);
const PROPOSAL_TIMEOUT: Duration = Duration::from_millis(2000);
const ENTRIES_AT_ONCE: usize = 20;

/// A small, deterministic Raft: votes, terms and log on the simulated disk, snapshots, no change of members. It stands in
/// for openraft behind [`SimRaft`].
#[derive(Debug)]
pub(in crate::simulation) struct StandInRaft {
    id: i32,
    voters: Vec<i32>,
    disk: RaftDisk,
    state: HardState,
    role: Role,
    committed: u64,
    applied: u64,
    image: MetadataImage,
    deadline: MonotonicTime,
    leader_heard: Option<MonotonicTime>,
    /// Proposals by the index and term of their entries, with when they are given up.
    open: BTreeMap<(u64, u64), (ProposalId, MonotonicTime)>,
    outputs: Vec<RaftOutput>,
    said_leads: Option<u64>,
    rng: StdRng,
    entries_per_snapshot: usize,
    failure: Option<io::Error>,
}

#[derive(Debug)]
enum Role {
    Follower,
    Candidate { votes: BTreeSet<i32> },
    Leader { peers: BTreeMap<i32, Peer> },
}

#[derive(Debug)]
struct Peer {
    next: u64,
    matched: u64,
    heard: MonotonicTime,
}

impl StandInRaft {
    /// Opens a node with what its disk has.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        id: i32,
        voters: &[i32],
        fs: &MemoryFs,
        now: MonotonicTime,
        seed: u64,
        entries_per_snapshot: usize,
    ) -> io::Result<StandInRaft> {
        let (disk, state) = RaftDisk::open(fs)?;
        let (index, image) = (state.snapshot.index, state.snapshot.image.clone());
        let mut raft = StandInRaft {
            id,
            voters: voters.to_vec(),
            disk,
            state,
            role: Role::Follower,
            committed: index,
            applied: index,
            image,
            deadline: now,
            leader_heard: None,
            open: BTreeMap::new(),
            outputs: Vec::new(),
            said_leads: None,
            rng: StdRng::seed_from_u64(seed),
            entries_per_snapshot,
            failure: None,
        };
        raft.await_leader(now);
        if raft.image.version > 0 {
            raft.outputs.push(RaftOutput::Restored { image: raft.image.clone() });
        }
        Ok(raft)
    }

    fn await_leader(&mut self, now: MonotonicTime) {
        let patience = self.rng.random_range(ELECTION_MIN_MS..ELECTION_MAX_MS);
        self.deadline = now + Duration::from_millis(patience);
    }

    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    fn peers(&self) -> Vec<i32> {
        self.voters.iter().copied().filter(|voter| *voter != self.id).collect()
    }

    /// A write that failed: nothing is said any more, and the next sync tells.
    fn written(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.failure.get_or_insert(error);
        }
    }

    fn send(&mut self, to: i32, message: Message) {
        let (label, mark) = (message.label(), message.term() as i64);
        self.outputs.push(RaftOutput::Send { to, message: RaftMessage::new(label, mark, message) });
    }

    fn enter_term(&mut self, term: u64, voted_for: Option<i32>) {
        (self.state.term, self.state.voted_for) = (term, voted_for);
        let outcome = self.disk.vote(term, voted_for);
        self.written(outcome);
    }

    fn step_down(&mut self, now: MonotonicTime) {
        if matches!(self.role, Role::Leader { .. }) {
            self.say_leads(None);
            // They may be committed yet, by whoever leads next.
            for (proposal, _) in std::mem::take(&mut self.open).into_values() {
                self.outputs.push(RaftOutput::Proposed { proposal, outcome: ProposalOutcome::Unknown });
            }
        }
        self.role = Role::Follower;
        self.await_leader(now);
    }

    fn say_leads(&mut self, term: Option<u64>) {
        if self.said_leads != term {
            self.said_leads = term;
            self.outputs.push(RaftOutput::Leads(term));
        }
    }

    fn stand_for_election(&mut self, now: MonotonicTime) {
        self.enter_term(self.state.term + 1, Some(self.id));
        self.role = Role::Candidate { votes: BTreeSet::from([self.id]) };
        self.await_leader(now);
        let (term, last_index, last_term) = (self.state.term, self.state.last_index(), self.state.last_term());
        for peer in self.peers() {
            self.send(peer, Message::RequestVote { term, last_index, last_term });
        }
        self.count_votes(now);
    }

    fn count_votes(&mut self, now: MonotonicTime) {
        let Role::Candidate { votes } = &self.role else { return };
        if votes.len() < self.majority() {
            return;
        }
        let next = self.state.last_index() + 1;
        let peers = self.peers().into_iter().map(|peer| (peer, Peer { next, matched: 0, heard: now })).collect();
        self.role = Role::Leader { peers };
        self.append(LogEntry { term: self.state.term, entry: None });
        self.replicate(now);
        self.say_leads(Some(self.state.term));
    }

    fn append(&mut self, entry: LogEntry) {
        let outcome = self.disk.append(&entry);
        self.written(outcome);
        self.state.entries.push(entry);
    }

    /// Sends everyone what they lack, or at least that this node leads.
    fn replicate(&mut self, now: MonotonicTime) {
        let snapshot = self.snapshot_now();
        let Role::Leader { peers } = &mut self.role else { return };
        let (term, committed) = (self.state.term, self.committed);
        let mut messages = Vec::new();
        for (id, peer) in peers.iter_mut() {
            let previous_index = peer.next - 1;
            let message = match self.state.term_at(previous_index) {
                Some(previous_term) => {
                    let entries = self.state.entries_from(peer.next, ENTRIES_AT_ONCE);
                    Message::Append { term, previous_index, previous_term, entries, committed }
                }
                None => Message::Install { term, snapshot: snapshot.clone() },
            };
            messages.push((*id, message));
        }
        messages.into_iter().for_each(|(to, message)| self.send(to, message));
        self.deadline = now + HEARTBEAT;
        self.advance_commit();
    }

    fn snapshot_now(&self) -> Snapshot {
        let term = self.state.term_at(self.applied).unwrap_or(self.state.snapshot.term);
        Snapshot { index: self.applied, term, image: self.image.clone() }
    }

    fn advance_commit(&mut self) {
        let Role::Leader { peers } = &self.role else { return };
        let mut matched: Vec<u64> = peers.values().map(|peer| peer.matched).chain([self.state.last_index()]).collect();
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let index = matched[self.majority() - 1];
        if index > self.committed && self.state.term_at(index) == Some(self.state.term) {
            self.committed = index;
            self.apply();
        }
    }

    fn apply(&mut self) {
        while self.applied < self.committed {
            let Some(LogEntry { term, entry }) = self.state.entry(self.applied + 1).cloned() else { return };
            self.applied += 1;
            let open = self.open.remove(&(self.applied, term));
            let Some(entry) = entry else { continue };
            let outcome = self.image.replay(&entry);
            if outcome == EntryOutcome::Applied {
                self.outputs.push(RaftOutput::Applied { entry, image: self.image.clone() });
            }
            if let Some((proposal, _)) = open {
                let outcome = match outcome {
                    EntryOutcome::Applied => ProposalOutcome::Applied { version: self.image.version },
                    EntryOutcome::Stale => ProposalOutcome::Stale,
                };
                self.outputs.push(RaftOutput::Proposed { proposal, outcome });
            }
        }
        self.keep_log_short();
    }

    fn keep_log_short(&mut self) {
        let past = (self.applied - self.state.snapshot.index) as usize;
        if past < self.entries_per_snapshot {
            return;
        }
        let snapshot = self.snapshot_now();
        self.state.entries.drain(..past);
        self.state.snapshot = snapshot;
        let outcome = self.disk.rewrite(&self.state);
        self.written(outcome);
    }

    fn vote_requested(&mut self, now: MonotonicTime, from: i32, term: u64, last_index: u64, last_term: u64) {
        let leased = matches!(self.role, Role::Leader { .. })
            || self.leader_heard.is_some_and(|at| now.since(at) < Duration::from_millis(ELECTION_MIN_MS));
        let up_to_date = (last_term, last_index) >= (self.state.last_term(), self.state.last_index());
        let free = term > self.state.term || self.state.voted_for.is_none_or(|voted| voted == from);
        let granted = term >= self.state.term && free && up_to_date && !leased;
        if granted {
            self.step_down(now);
            if (self.state.term, self.state.voted_for) != (term, Some(from)) {
                self.enter_term(term, Some(from));
            }
        }
        let term = self.state.term;
        self.send(from, Message::Vote { term, granted });
    }

    fn leader_speaks(&mut self, now: MonotonicTime, term: u64) {
        if term > self.state.term {
            self.enter_term(term, None);
        }
        self.step_down(now);
        self.leader_heard = Some(now);
    }

    fn append_requested(
        &mut self,
        from: i32,
        (previous_index, previous_term): (u64, u64),
        entries: &[LogEntry],
        committed: u64,
    ) {
        let term = self.state.term;
        let known = self.state.term_at(previous_index);
        if known.is_none() && previous_index > self.state.snapshot.index || known.is_some_and(|t| t != previous_term) {
            let hint = self.state.last_index().min(previous_index.saturating_sub(1)).max(self.committed);
            return self.send(from, Message::Appended { term, matched: None, hint });
        }
        for (index, entry) in (previous_index + 1..).zip(entries) {
            match self.state.term_at(index) {
                Some(known) if known == entry.term => continue,
                Some(_) => {
                    assert!(index > self.committed, "a committed entry is replaced on controller {}", self.id);
                    self.state.cut_from(index);
                    let outcome = self.disk.cut_from(index);
                    self.written(outcome);
                }
                // The snapshot has it.
                None if index <= self.state.snapshot.index => continue,
                None => {}
            }
            self.append(entry.clone());
        }
        let matched = previous_index + entries.len() as u64;
        if committed.min(matched) > self.committed {
            self.committed = committed.min(matched);
            self.apply();
        }
        self.send(from, Message::Appended { term, matched: Some(matched), hint: 0 });
    }

    fn install_requested(&mut self, from: i32, snapshot: &Snapshot) {
        let (term, index) = (self.state.term, snapshot.index);
        if index > self.committed {
            let keeps = self.state.term_at(index) == Some(snapshot.term);
            let entries = if keeps { self.state.entries_from(index + 1, usize::MAX) } else { Vec::new() };
            self.state.snapshot = snapshot.clone();
            self.state.entries = entries;
            let outcome = self.disk.rewrite(&self.state);
            self.written(outcome);
            (self.committed, self.applied) = (index, index);
            self.image = snapshot.image.clone();
            self.outputs.push(RaftOutput::Restored { image: self.image.clone() });
        }
        self.send(from, Message::Appended { term, matched: Some(index), hint: 0 });
    }

    fn appended(&mut self, now: MonotonicTime, from: i32, matched: Option<u64>, hint: u64) {
        let last = self.state.last_index();
        let Role::Leader { peers } = &mut self.role else { return };
        let Some(peer) = peers.get_mut(&from) else { return };
        peer.heard = now;
        let behind = match matched {
            Some(matched) => {
                peer.matched = peer.matched.max(matched);
                let advanced = peer.next <= matched;
                peer.next = peer.next.max(matched + 1);
                advanced && peer.next <= last
            }
            None => {
                peer.next = (hint + 1).max(peer.matched + 1).min(peer.next);
                true
            }
        };
        self.advance_commit();
        if behind {
            self.replicate(now);
        }
    }

    fn is_silent(&self, now: MonotonicTime) -> bool {
        let Role::Leader { peers } = &self.role else { return false };
        let heard = peers.values().filter(|peer| now.since(peer.heard) <= QUORUM_SILENCE).count();
        heard + 1 < self.majority()
    }
}

impl SimRaft for StandInRaft {
    fn receive(&mut self, now: MonotonicTime, from: i32, message: RaftMessage) {
        let Some(message) = message.body::<Message>().cloned() else { return };
        let term = message.term();
        match message {
            Message::RequestVote { term, last_index, last_term } => {
                self.vote_requested(now, from, term, last_index, last_term);
            }
            Message::Vote { granted, .. } => {
                if term > self.state.term {
                    self.enter_term(term, None);
                    self.step_down(now);
                } else if term == self.state.term
                    && granted
                    && let Role::Candidate { votes } = &mut self.role
                {
                    votes.insert(from);
                    self.count_votes(now);
                }
            }
            Message::Append { .. } | Message::Install { .. } if term < self.state.term => {
                let term = self.state.term;
                self.send(from, Message::Appended { term, matched: None, hint: 0 });
            }
            Message::Append { previous_index, previous_term, entries, committed, .. } => {
                self.leader_speaks(now, term);
                self.append_requested(from, (previous_index, previous_term), &entries, committed);
            }
            Message::Install { snapshot, .. } => {
                self.leader_speaks(now, term);
                self.install_requested(from, &snapshot);
            }
            Message::Appended { .. } if term > self.state.term => {
                self.enter_term(term, None);
                self.step_down(now);
            }
            Message::Appended { matched, hint, .. } if term == self.state.term => {
                self.appended(now, from, matched, hint);
            }
            Message::Appended { .. } => {}
        }
    }

    fn tick(&mut self, now: MonotonicTime) {
        let given_up: Vec<(u64, u64)> =
            self.open.iter().filter(|(_, (_, until))| now >= *until).map(|(key, _)| *key).collect();
        for key in given_up {
            if let Some((proposal, _)) = self.open.remove(&key) {
                self.outputs.push(RaftOutput::Proposed { proposal, outcome: ProposalOutcome::Unknown });
            }
        }
        if now < self.deadline {
            return;
        }
        if matches!(self.role, Role::Leader { .. }) {
            self.replicate(now);
            let leads = (!self.is_silent(now)).then_some(self.state.term);
            self.say_leads(leads);
        } else {
            self.stand_for_election(now);
        }
    }

    fn next_deadline(&self) -> MonotonicTime {
        self.open.values().map(|(_, until)| *until).chain([self.deadline]).min().unwrap_or(self.deadline)
    }

    fn propose(&mut self, now: MonotonicTime, proposal: ProposalId, entry: MetadataEntry) {
        if !matches!(self.role, Role::Leader { .. }) {
            self.outputs.push(RaftOutput::Proposed { proposal, outcome: ProposalOutcome::NotProposed });
            return;
        }
        self.append(LogEntry { term: self.state.term, entry: Some(Arc::new(entry)) });
        let key = (self.state.last_index(), self.state.term);
        self.open.insert(key, (proposal, now + PROPOSAL_TIMEOUT));
        self.replicate(now);
    }

    fn outputs(&mut self) -> Vec<RaftOutput> {
        std::mem::take(&mut self.outputs)
    }

    fn needs_sync(&self) -> bool {
        self.disk.is_dirty() || self.failure.is_some()
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.disk.sync(),
        }
    }

    fn standing(&self) -> RaftStanding {
        RaftStanding { term: self.state.term, leads: matches!(self.role, Role::Leader { .. }) }
    }
}
