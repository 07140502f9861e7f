use std::collections::VecDeque;
use std::task::{Context, Poll};

use raftsman_protocol::Frame;

use super::byte_budget::Charge;
use super::dispatcher::{Answer, Dispatched};
use crate::api::Close;

/// The requests of one connection, from recognized to answered, in the order they came.
///
/// A request begins when every earlier one is complete (Kafka's mute). Requests that overlap, produce that is, may
/// begin while earlier ones of their kind wait: the first poll of each, which appends, still happens in order.
pub(crate) struct Pipeline {
    slots: VecDeque<Slot>,
}

enum Slot {
    Waiting { request: Dispatched, charge: Charge },
    Running { answer: Answer, overlaps: bool, _charge: Charge },
    Complete { response: Result<Option<Frame>, Close> },
}

impl Pipeline {
    pub(crate) fn new() -> Pipeline {
        Pipeline { slots: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Queues a request; `charge` is what its frame costs the budget until it is complete.
    pub(crate) fn push(&mut self, request: Dispatched, charge: Charge) {
        self.slots.push_back(Slot::Waiting { request, charge });
    }

    /// Drops every request, whatever became of it.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// Begins and polls what may be; answers whether any request completed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut completed = false;
        // Whether everything before the slot is complete, and else whether all that is not overlaps.
        let (mut all_complete, mut all_overlap) = (true, true);
        for slot in &mut self.slots {
            if let Slot::Waiting { request, .. } = slot {
                let may_begin = all_complete || (request.overlaps && all_overlap);
                if !may_begin {
                    break;
                }
            }
            completed |= slot.poll(cx);
            match slot {
                Slot::Running { overlaps, .. } => {
                    all_complete = false;
                    all_overlap &= *overlaps;
                }
                // The connection ends here: what comes behind is not begun.
                Slot::Complete { response: Err(_) } => break,
                _ => {}
            }
        }
        completed
    }

    /// What came of the oldest request if that is complete; `None` inside is a request without a response.
    pub(crate) fn pop_complete(&mut self) -> Option<Result<Option<Frame>, Close>> {
        if !matches!(self.slots.front(), Some(Slot::Complete { .. })) {
            return None;
        }
        match self.slots.pop_front() {
            Some(Slot::Complete { response }) => Some(response),
            _ => None,
        }
    }
}

impl Slot {
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        *self = match std::mem::replace(self, Slot::Complete { response: Ok(None) }) {
            Slot::Waiting { request, charge } => {
                Slot::Running { answer: request.answer, overlaps: request.overlaps, _charge: charge }
            }
            slot => slot,
        };
        let Slot::Running { answer, .. } = self else { return false };
        match answer.as_mut().poll(cx) {
            Poll::Pending => false,
            Poll::Ready(response) => {
                *self = Slot::Complete { response };
                true
            }
        }
    }
}
