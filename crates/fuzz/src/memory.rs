//! An allocator that counts, so that a decode can be held to what its bytes justify.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; every call is handed on to the system's as it came"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a decode may hold at once for each byte of its input.
pub const FACTOR: usize = 8;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is ending has no counters any more, and nobody who asks for them.
    let live = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        live.get()
    });
    if let Ok(live) = live {
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live)));
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        count(size as isize);
        let moved = unsafe { System.realloc(pointer, layout, size) };
        count(-(layout.size() as isize));
        moved
    }
}

/// Runs `decode` and answers with what it gave and the most bytes it held at once on this thread. Within it parts may be measured
/// by themselves.
pub fn measured<T>(decode: impl FnOnce() -> T) -> (T, usize) {
    let (before, outside) = (LIVE.get(), PEAK.get());
    PEAK.set(before);
    let decoded = decode();
    let peak = PEAK.get();
    PEAK.set(peak.max(outside));
    (decoded, usize::try_from(peak - before).unwrap_or(0))
}

/// Runs `decode`, which may hold [`FACTOR`] bytes for each of `input_bytes`, and `beside` for any input.
///
/// # Panics
/// If it held more.
pub fn bounded<T>(input_bytes: usize, beside: usize, decode: impl FnOnce() -> T) -> T {
    let (decoded, peak) = measured(decode);
    let limit = input_bytes * FACTOR + beside;
    assert!(peak <= limit, "{peak} bytes were held for an input of {input_bytes}; {limit} are allowed");
    decoded
}
