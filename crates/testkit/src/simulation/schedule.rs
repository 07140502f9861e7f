use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::time::SimTime;

/// Things to come, in the order of their times; those of one time in the order they were put in.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: SimTime,
    number: u64,
    /// Boxed: what is moved about in the heap is small.
    what: Box<T>,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Turned round: the heap's greatest is the earliest.
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> Default for Schedule<T> {
    fn default() -> Schedule<T> {
        Schedule { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<T> Schedule<T> {
    pub fn at(&mut self, at: SimTime, what: T) {
        self.heap.push(Entry { at, number: self.next, what: Box::new(what) });
        self.next += 1;
    }

    pub fn pop(&mut self) -> Option<(SimTime, T)> {
        self.heap.pop().map(|entry| (entry.at, *entry.what))
    }
}
