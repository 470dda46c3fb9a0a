//! Any decision by a first message that the file can say, and how it says it.

use std::fmt::Write;

use proptest::option;
use proptest::prelude::*;

use super::frames::{size, span};
use crate::config::tests::print::timeout;
use crate::config::{PoolSettings, RouteSettings};
use crate::fleet::{Decides, FirstMessage, JsonPointer, PolicyKind, PoolId};
use crate::limits;
use crate::sync::Arc;

/// The pools it names are numbers that [`fit`] makes places.
pub(super) fn any_first_message() -> impl Strategy<Value = FirstMessage> {
    let pools = prop::collection::btree_map("[a-zA-Z0-9 .\"é]{1,8}", any::<u16>(), 1..4);
    let decides = prop_oneof![
        Just(Decides::Backend),
        pools.prop_map(|pools| {
            let pools = pools.into_iter();
            // Not in alphabetical order: the order of the file is kept.
            let pools = pools
                .rev()
                .map(|(value, pool)| (value.into(), PoolId(pool)));
            Decides::Pool(pools.collect())
        }),
    ];
    let size = limits::FIRST_MESSAGE_BYTES;
    let bounds = (
        size.least..=size.most,
        timeout(limits::FIRST_MESSAGE_TIMEOUT),
    );
    let pointer = "(/[a-z0-9é\"]{0,6}(~[01])?){0,4}";
    let subprotocol = option::of("[a-z0-9.-]{1,12}");
    let parts = (pointer, decides, any::<bool>(), bounds, subprotocol);
    parts.prop_map(
        |(pointer, decides, may_be_missing, bounds, subprotocol)| FirstMessage {
            pointer: JsonPointer::parse(&pointer).unwrap(),
            decides,
            may_be_missing,
            bytes_max: bounds.0,
            timeout: bounds.1,
            subprotocol: subprotocol.map(Arc::from),
        },
    )
}

/// Makes the pools fit what the routes want of them.
pub(in crate::config::tests) fn fit(routes: &mut [RouteSettings], pools: &mut [PoolSettings]) {
    for route in routes {
        let own = route.pool.index();
        match route.first_message.as_mut().map(|first| &mut first.decides) {
            None => continue,
            Some(Decides::Backend) => pools[own].policy = PolicyKind::Hash,
            Some(Decides::Pool(named)) => {
                for (_, pool) in named {
                    let place = pool.index() % pools.len();
                    *pool = PoolId(u16::try_from(place).unwrap());
                    pools[place].sticky = None;
                }
            }
        }
        pools[own].sticky = None;
    }
}

pub(super) fn print(out: &mut String, first: &FirstMessage, pools: &[PoolSettings]) {
    // What Debug escapes is not what TOML escapes.
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let pointer = quoted(&first.pointer.to_string());
    let missing = if first.may_be_missing {
        "default"
    } else {
        "close"
    };
    writeln!(out, "[routes.first_message]\npointer = {pointer}").unwrap();
    match &first.decides {
        Decides::Backend => writeln!(out, "decides = \"backend\"").unwrap(),
        Decides::Pool(named) => {
            let entry = |(value, pool): &(Arc<str>, PoolId)| {
                // A literal key needs no escapes, and the values have no single quote.
                format!("'{value}' = {:?}", pools[pool.index()].name)
            };
            let entries: Vec<_> = named.iter().map(entry).collect();
            let entries = entries.join(", ");
            writeln!(out, "decides = \"pool\"\npools = {{ {entries} }}").unwrap();
        }
    }
    writeln!(
        out,
        "missing = {missing:?}\nmax_size = {}",
        size(first.bytes_max)
    )
    .unwrap();
    writeln!(out, "timeout = {}", span(first.timeout)).unwrap();
    if let Some(subprotocol) = &first.subprotocol {
        writeln!(out, "subprotocol = \"{subprotocol}\"").unwrap();
    }
}
