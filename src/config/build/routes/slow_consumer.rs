//! `[routes.slow_consumer]`: what happens when a side takes less than is sent to it.

use super::frames::Sight;
use super::unused;
use crate::config::kind;
use crate::config::raw::{Given, Report, Table};
use crate::fleet::SlowConsumer;
use crate::limits;
use crate::ws::Inspect;

/// What happens on either side.
pub(super) struct Slow {
    pub(super) to_client: SlowConsumer,
    pub(super) to_backend: SlowConsumer,
    pub(super) queue_bytes_max: u32,
}

pub(super) fn slow_consumer(table: &mut Table<'_>, sight: Sight) -> Slow {
    let usual = SlowConsumer::default();
    let ways = kind::word(SlowConsumer::ALL.map(|way| (way.label(), way)));
    let client = table.given_or("client", &ways, usual);
    let backend = table.given_or("backend", &ways, usual);
    let queue = limits::SLOW_QUEUE_BYTES;
    let size = kind::size((queue.least, queue.most));
    let given = table.given("queue", &size);
    let report = table.report();
    let sides = [client.as_ref(), backend.as_ref()];
    if sides
        .iter()
        .all(|side| is(*side, SlowConsumer::Backpressure))
    {
        let expected = "\"newest\" or \"close\" for client or backend";
        unused(report, given.as_ref(), expected, "neither");
    }
    for side in sides.into_iter().flatten() {
        check_newest(side, sight, report);
    }
    let way = |side: Option<Given<_>>| side.map_or(usual, |given| given.value);
    Slow {
        to_client: way(client),
        to_backend: way(backend),
        queue_bytes_max: given.map_or(queue.default, |given| given.value),
    }
}

fn is(side: Option<&Given<SlowConsumer>>, way: SlowConsumer) -> bool {
    side.is_some_and(|given| given.value == way)
}

/// Notes a side for which messages are left out that are not known as wholes, or not readable without each other.
fn check_newest(side: &Given<SlowConsumer>, sight: Sight, report: &Report<'_>) {
    if side.value != SlowConsumer::Newest {
        return;
    }
    if let Some(level) = sight.inspect.filter(|level| *level != Inspect::Messages) {
        let note = "only whole messages can be left out";
        let expected = "inspect = \"messages\" in its route";
        let found = format!("\"{}\"", level.label());
        report.wrong(&side.place, expected, found, note);
    }
    sight.leaves_out(&side.place, report);
}
