//! The rows of one worker, one for each pair of route and backend it had tunnels for: the worker adds rows, control
//! reads them at any time and says which pairs have left the configuration.

use arc_swap::ArcSwap;

use super::{FlowCounters, Gauge};
use crate::limits::FLOWS_MAX;
use crate::sync::{Arc, AtomicBool, Ordering};

/// Which pair a row counts for. A number may go to another name in time, so a pair is the same only with the same
/// names; the numbers come first because they nearly always tell two pairs apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowLabels {
    /// The route's number.
    pub route: u16,
    /// The backend's row in the slot table.
    pub backend: u16,
    /// The route's name.
    pub route_name: Arc<str>,
    /// The name of the backend's pool.
    pub pool_name: Arc<str>,
    /// The backend's name.
    pub backend_name: Arc<str>,
}

/// The rows of one worker. They live as long as the process, so a restarted worker goes on with its numbers.
#[derive(Debug)]
pub struct Flows {
    /// Sorted by labels. The worker replaces the whole list when it adds a row; who reads holds the list it found.
    rows: ArcSwap<Vec<Arc<FlowRow>>>,
    /// Rows whose pair has left. Control is the only writer.
    left: Gauge,
    /// What the row for pairs beyond the bound is called.
    others: FlowLabels,
}

impl Flows {
    /// The counters of a pair, found or added; the tunnel holds them as long as it lives. Only the worker may call
    /// this. Allocates nothing for a pair that is known.
    ///
    /// At [`FLOWS_MAX`] rows those make room whose pair has left and for which no tunnel is open. If there is none,
    /// the pair is counted in one row with all others that found no room, which is called `other`.
    pub fn row(&self, labels: &FlowLabels) -> Arc<FlowCounters> {
        let rows = self.rows.load();
        if let Some(counters) = find(&rows, labels) {
            return counters;
        }
        let has_room =
            rows.len() < FLOWS_MAX || (self.left.get() > 0 && rows.iter().any(|row| row.may_go()));
        if has_room {
            self.add(&rows, labels)
        } else {
            find(&rows, &self.others).unwrap_or_else(|| self.add(&rows, &self.others))
        }
    }

    /// The rows as they are now, sorted by labels, as any thread may read them.
    pub fn rows(&self) -> Arc<Vec<Arc<FlowRow>>> {
        self.rows.load_full()
    }

    /// Says which pairs stay: the others have left the configuration, and their rows may go once no tunnel is open
    /// for them. Only control may call this; it does so on each change.
    pub fn follow(&self, stays: impl Fn(&FlowLabels) -> bool) {
        let mut left = 0;
        for row in self.rows.load().iter() {
            let has_left = row.labels != self.others && !stays(&row.labels);
            left += u64::from(has_left);
            // Relaxed: control is the only writer, and the flag publishes nothing.
            row.has_left.store(has_left, Ordering::Relaxed);
        }
        self.left.set(left);
    }

    /// Copies the list, which is rare and a pointer a row, and publishes it with one row more.
    fn add(&self, rows: &[Arc<FlowRow>], labels: &FlowLabels) -> Arc<FlowCounters> {
        let is_full = rows.len() >= FLOWS_MAX;
        let kept = rows.iter().filter(|row| !(is_full && row.may_go()));
        let mut list: Vec<_> = kept.cloned().collect();
        let row = FlowRow {
            labels: labels.clone(),
            counters: Arc::default(),
            has_left: AtomicBool::new(false),
        };
        let counters = Arc::clone(&row.counters);
        let place = list.partition_point(|other| other.labels < *labels);
        list.insert(place, Arc::new(row));
        self.rows.store(Arc::new(list));
        counters
    }
}

impl Default for Flows {
    fn default() -> Self {
        let word: Arc<str> = "other".into();
        Self {
            rows: ArcSwap::default(),
            left: Gauge::new(),
            others: FlowLabels {
                route: u16::MAX,
                backend: u16::MAX,
                route_name: Arc::clone(&word),
                pool_name: Arc::clone(&word),
                backend_name: word,
            },
        }
    }
}

/// One row.
#[derive(Debug)]
pub struct FlowRow {
    /// The pair it counts for.
    pub labels: FlowLabels,
    /// Besides the row only tunnels hold them, so that the number of holders says whether one is open.
    counters: Arc<FlowCounters>,
    /// Control is the only writer.
    has_left: AtomicBool,
}

impl FlowRow {
    /// What is counted.
    pub fn counters(&self) -> &FlowCounters {
        &self.counters
    }

    /// Whether the pair has left the configuration and no tunnel is open for it. On the worker the answer holds until
    /// it asks for a row; elsewhere it may be a moment late.
    pub fn may_go(&self) -> bool {
        // Relaxed: a flag that is seen late only delays when a row goes.
        self.has_left.load(Ordering::Relaxed) && Arc::strong_count(&self.counters) == 1
    }
}

fn find(rows: &[Arc<FlowRow>], labels: &FlowLabels) -> Option<Arc<FlowCounters>> {
    let place = rows.binary_search_by(|row| row.labels.cmp(labels)).ok()?;
    Some(Arc::clone(&rows[place].counters))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn labels(route: u16, backend: u16, name: &str) -> FlowLabels {
        FlowLabels {
            route,
            backend,
            route_name: "chat".into(),
            pool_name: "rooms".into(),
            backend_name: name.into(),
        }
    }

    fn full() -> Flows {
        let flows = Flows::default();
        for backend in 0..FLOWS_MAX {
            flows.row(&labels(0, u16::try_from(backend).unwrap(), "b"));
        }
        flows
    }

    #[test]
    fn a_pair_keeps_its_row_and_a_number_with_another_name_gets_another() {
        let flows = Flows::default();
        flows
            .row(&labels(7, 2, "b"))
            .client_to_backend
            .messages
            .add(1);
        flows
            .row(&labels(1, 9, "a"))
            .client_to_backend
            .messages
            .add(10);
        flows
            .row(&labels(7, 2, "a"))
            .client_to_backend
            .messages
            .add(100);
        flows
            .row(&labels(7, 2, "b"))
            .client_to_backend
            .messages
            .add(1);
        let rows = flows.rows();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| {
                let messages = row.counters().client_to_backend.messages.get();
                (row.labels.route, &*row.labels.backend_name, messages)
            })
            .collect();
        assert_eq!(seen, [(1, "a", 10), (7, "a", 100), (7, "b", 2)]);
    }

    #[test]
    fn pairs_beyond_the_bound_share_one_row_and_known_ones_keep_theirs() {
        let flows = full();
        let first = flows.row(&labels(1, 0, "x"));
        let second = flows.row(&labels(2, 0, "y"));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(flows.rows().len(), FLOWS_MAX + 1);
        let last = flows.rows().last().unwrap().labels.clone();
        assert_eq!(
            (&*last.route_name, &*last.pool_name, &*last.backend_name),
            ("other", "other", "other")
        );
        let known = flows.row(&labels(0, 5, "b"));
        assert!(!Arc::ptr_eq(&known, &first));
        assert_eq!(flows.rows().len(), FLOWS_MAX + 1);
    }

    #[test]
    fn at_the_bound_only_those_make_room_that_have_left_and_carry_no_tunnel() {
        let flows = full();
        let held = flows.row(&labels(0, 3, "b"));
        held.client_to_backend.messages.add(5);
        flows.follow(|labels| labels.backend >= 10);
        assert_eq!(
            flows.rows().len(),
            FLOWS_MAX,
            "nothing goes before there is need"
        );
        let new = flows.row(&labels(1, 0, "x"));
        assert_eq!(flows.rows().len(), FLOWS_MAX - 9 + 1);
        new.client_to_backend.messages.add(1);
        let again = flows.row(&labels(0, 3, "b"));
        assert!(Arc::ptr_eq(&held, &again), "a tunnel is open for it");
        // Back in the configuration, and counted from zero.
        let back = flows.row(&labels(0, 4, "b"));
        assert_eq!(back.client_to_backend.messages.get(), 0);
        assert_eq!(
            flows
                .row(&labels(1, 0, "x"))
                .client_to_backend
                .messages
                .get(),
            1
        );
    }

    #[test]
    fn a_row_that_left_makes_room_when_its_last_tunnel_ends() {
        let flows = full();
        let held = flows.row(&labels(0, 0, "b"));
        flows.follow(|labels| labels.backend != 0);
        flows.row(&labels(1, 0, "x"));
        assert_eq!(&*flows.rows().last().unwrap().labels.route_name, "other");
        drop(held);
        flows.row(&labels(1, 0, "x"));
        assert!(
            flows
                .rows()
                .iter()
                .any(|row| row.labels == labels(1, 0, "x"))
        );
        assert!(
            flows
                .rows()
                .iter()
                .all(|row| row.labels != labels(0, 0, "b"))
        );
    }

    #[test]
    fn a_pair_that_comes_back_stays_and_the_shared_row_never_leaves() {
        let flows = full();
        flows.row(&labels(1, 0, "x"));
        flows.follow(|_| false);
        let others = Arc::clone(flows.rows().last().unwrap());
        assert!(!others.may_go());
        flows.follow(|_| true);
        flows.row(&labels(1, 1, "y"));
        assert_eq!(
            flows.rows().len(),
            FLOWS_MAX + 1,
            "everyone is back, so nobody goes"
        );
    }

    #[test]
    fn a_reader_never_misses_a_row_that_it_has_seen() {
        let flows = Flows::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < 500 {
                    let rows = flows.rows();
                    assert!(rows.len() >= seen);
                    assert!(rows.is_sorted_by(|one, two| one.labels < two.labels));
                    seen = rows.len();
                }
            });
            for number in 0..500_u16 {
                flows
                    .row(&labels(number % 7, number, "b"))
                    .client
                    .pings_sent
                    .add(1);
            }
            reader.join().unwrap();
        });
    }
}
