//! Tells the workers' counters which pairs of route and backend are still configured.

use std::collections::HashMap;

use crate::fleet::Snapshot;
use crate::metrics::{FlowLabels, WorkerCounters};
use crate::sync::Arc;

/// What was counted for a pair that is not in this snapshot is shown until its last tunnel has ended.
pub(super) fn follow(workers: &[Arc<WorkerCounters>], snapshot: &Snapshot) {
    let pairs = Pairs::of(snapshot);
    for worker in workers {
        worker.flows.follow(|labels| pairs.have(labels));
    }
}

/// The names of routes and backends, by their numbers.
struct Pairs<'a> {
    routes: HashMap<u16, &'a str>,
    backends: HashMap<u16, (&'a str, &'a str)>,
}

impl<'a> Pairs<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let routes = snapshot.routes.iter();
        let members = snapshot.pools.iter().flat_map(|pool| {
            let members = pool.backends.iter();
            members.map(|member| (member.id.0, (&*pool.name, &*member.name)))
        });
        Self {
            routes: routes.map(|route| (route.id.0, &*route.name)).collect(),
            backends: members.collect(),
        }
    }

    fn have(&self, labels: &FlowLabels) -> bool {
        let backend = (&*labels.pool_name, &*labels.backend_name);
        self.routes.get(&labels.route) == Some(&&*labels.route_name)
            && self.backends.get(&labels.backend) == Some(&backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::fleet::{Registry, SlotTable};

    const TEXT: &str = "[listeners.test]\nbind = [\"127.0.0.1:8080\"]\n\
        [pools.chat]\nbackends = [\"10.0.0.1:9000\", \"10.0.0.2:9000\"]\n\
        [[routes]]\nname = \"a\"\npath = \"/a\"\npool = \"chat\"\n\
        [[routes]]\nname = \"b\"\npath = \"/b\"\npool = \"chat\"\n";

    fn follow_text(text: &str, registry: &mut Registry, worker: &Arc<WorkerCounters>) -> Snapshot {
        let config = config::parse("test.toml", text).unwrap();
        let snapshot = config.snapshot(registry).unwrap();
        follow(std::slice::from_ref(worker), &snapshot);
        snapshot
    }

    /// The route and the backend of every row whose pair has left.
    fn left(worker: &WorkerCounters) -> Vec<(String, String)> {
        let rows = worker.flows.rows();
        let left = rows.iter().filter(|row| row.may_go());
        left.map(|row| {
            let labels = &row.labels;
            (
                labels.route_name.to_string(),
                labels.backend_name.to_string(),
            )
        })
        .collect()
    }

    #[test]
    fn pairs_leave_with_their_route_or_their_backend_and_come_back() {
        let mut registry = Registry::new(Arc::new(SlotTable::new(16)));
        let worker = Arc::new(WorkerCounters::default());
        let snapshot = follow_text(TEXT, &mut registry, &worker);
        for route in &snapshot.routes {
            let pool = snapshot.pool(route.pool);
            for member in pool.backends.iter() {
                worker.flows.row(&FlowLabels {
                    route: route.id.0,
                    backend: member.id.0,
                    route_name: Arc::clone(&route.name),
                    pool_name: Arc::clone(&pool.name),
                    backend_name: Arc::clone(&member.name),
                });
            }
        }
        assert_eq!(worker.flows.rows().len(), 4);
        follow_text(TEXT, &mut registry, &worker);
        assert!(left(&worker).is_empty());
        let pair =
            |route: &str, backend: &str| (route.to_owned(), format!("10.0.0.{backend}:9000"));
        let fewer = TEXT.replace(", \"10.0.0.2:9000\"", "");
        follow_text(&fewer, &mut registry, &worker);
        assert_eq!(left(&worker), [pair("a", "2"), pair("b", "2")]);
        let renamed = TEXT.replace("name = \"b\"", "name = \"c\"");
        follow_text(&renamed, &mut registry, &worker);
        assert_eq!(left(&worker), [pair("b", "1"), pair("b", "2")]);
        follow_text(TEXT, &mut registry, &worker);
        assert!(left(&worker).is_empty());
    }
}
