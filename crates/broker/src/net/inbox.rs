use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::network_threads::Accepted;

/// What waits for a network thread. Bounded by the limits on connections, which count those that wait too.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    arrivals: VecDeque<Accepted>,
    questions: Vec<oneshot::Sender<()>>,
    closed: bool,
}

impl Inbox {
    /// A connection for the thread; it comes back if the thread takes none any more.
    pub(crate) fn put(&self, accepted: Accepted) -> Result<(), Box<Accepted>> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Box::new(accepted));
        }
        waiting.arrivals.push_back(accepted);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Asks the thread whether it gets on: it answers as soon as it does.
    pub(crate) fn ask(&self) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().questions.push(answer);
        self.changed.notify_one();
        answered
    }

    /// The thread takes nothing more and ends. What still waits for it comes back.
    pub(crate) fn close(&self) -> VecDeque<Accepted> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let left = std::mem::take(&mut waiting.arrivals);
        drop(waiting);
        self.changed.notify_one();
        left
    }

    /// The next connection, on the thread itself; `None` once it is to end.
    pub(crate) async fn next(&self) -> Option<Accepted> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                for answer in waiting.questions.drain(..) {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(());
                }
                if waiting.closed {
                    return None;
                }
                if let Some(accepted) = waiting.arrivals.pop_front() {
                    return Some(accepted);
                }
            }
            self.changed.notified().await;
        }
    }
}
