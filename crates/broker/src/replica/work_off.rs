//! The same work on many things, several at a time.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Works on all items, on so many threads, of which this is one: with one thread everything is done here, one after the
/// other. What comes of each is in the order of the items, whoever was done first.
///
/// # Panics
/// If the work on one does.
pub(super) fn work_off<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let helper = || thread::Builder::new().name("recovery".to_owned()).spawn_scoped(scope, take_turns);
        // Without a thread it takes longer, that is all.
        let helpers: Vec<_> = (1..threads.min(items.len())).map_while(|_| helper().ok()).collect();
        let mut done = take_turns();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread::current;

    use super::*;

    #[test]
    fn what_comes_of_it_is_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(work_off(&items, threads, |item| item * 2), items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
        assert_eq!(work_off(&[] as &[usize], 4, |item| *item), []);
    }

    #[test]
    fn one_thread_is_this_one_and_several_work_at_the_same_time() {
        let here = current().id();
        assert!(work_off(&[1, 2, 3], 1, |_| current().id()).iter().all(|id| *id == here));
        // Nobody gets past it alone.
        let all = Barrier::new(3);
        let ids = work_off(&[1, 2, 3], 3, |_| {
            all.wait();
            current().id()
        });
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
