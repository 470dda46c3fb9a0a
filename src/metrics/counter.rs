//! Cells that one thread writes and any thread may read.
//!
//! A cell has exactly one writer, so an addition needs no read-modify-write instruction: nobody else can
//! write between its load and its store. Both are relaxed and compile to two plain moves, without the
//! lock prefix that would cost some 20 cycles a message. Relaxed is enough because a cell orders nothing
//! else: a reader wants a recent value, and each cell on its own never runs backwards.

use crate::sync::{AtomicU64, Ordering};

/// A number that only grows. Exactly one thread may call [`Counter::add`].
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `amount`. Only the cell's one writer may call this; a second writer would lose additions.
    pub fn add(&self, amount: u64) {
        // Relaxed twice: this thread is the only writer, so its own last store is what it loads.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(amount), Ordering::Relaxed);
    }

    /// The number so far, as any thread may read it.
    pub fn get(&self) -> u64 {
        // Relaxed: the value stands alone and publishes nothing.
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each of a list of reasons, however long the list is.
#[derive(Debug)]
pub struct ByReason<const N: usize>([Counter; N]);

impl<const N: usize> Default for ByReason<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> std::ops::Deref for ByReason<N> {
    type Target = [Counter];

    fn deref(&self) -> &[Counter] {
        &self.0
    }
}

/// A number that rises and falls and is never below zero. Exactly one thread may write it.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// A gauge at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rises by one.
    pub fn inc(&self) {
        self.set(self.get() + 1);
    }

    /// Falls by one. A fall below zero is a fault of the writer: debug builds stop, release builds stay at
    /// zero.
    pub fn dec(&self) {
        let before = self.get();
        debug_assert!(before > 0, "a gauge fell below zero");
        self.set(before.saturating_sub(1));
    }

    /// Takes a value that the writer keeps elsewhere.
    pub fn set(&self, value: u64) {
        // Relaxed: one writer, and the value stands alone.
        self.0.store(value, Ordering::Relaxed);
    }

    /// The present value, as any thread may read it.
    pub fn get(&self) -> u64 {
        // Relaxed: the value stands alone and publishes nothing.
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_on_another_thread_never_sees_a_counter_run_backwards() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 10_000 {
                    let seen = counter.get();
                    assert!(seen >= last);
                    last = seen;
                }
            });
            for _ in 0..10_000 {
                counter.add(1);
            }
            reader.join().unwrap();
        });
        assert_eq!(counter.get(), 10_000);
    }

    #[test]
    fn a_gauge_rises_falls_and_takes_a_value() {
        let gauge = Gauge::new();
        gauge.inc();
        gauge.inc();
        gauge.dec();
        assert_eq!(gauge.get(), 1);
        gauge.set(64);
        assert_eq!(gauge.get(), 64);
    }
}
