//! Tells which source addresses this host does not have. They may come up later, so nothing else follows from it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::Config;
use crate::sys;

/// Says so for each pool, once a start and once a reload. Those that cannot be asked for are left out.
pub(super) fn say_missing(config: &Config) {
    for (pool, missing) in missing(config, |source| {
        sys::is_of_this_host(source).unwrap_or(true)
    }) {
        let (count, first) = (missing.len(), missing[0]);
        tracing::warn!(
            pool,
            count,
            %first,
            "this host does not have all source_addresses: nothing is dialled from those that it lacks"
        );
    }
}

/// The pools with such addresses, and which. Each is asked for once, however many pools name it.
fn missing(config: &Config, is_here: impl Fn(IpAddr) -> bool) -> Vec<(&str, Vec<IpAddr>)> {
    let mut known = HashMap::new();
    let mut is_here = |source| *known.entry(source).or_insert_with(|| is_here(source));
    let pools = config.pools.iter();
    let pools = pools.map(|pool| {
        let sources = pool.source_addresses.iter();
        let missing: Vec<_> = sources.filter(|source| !is_here(*source)).collect();
        (pool.name.as_str(), missing)
    });
    pools.filter(|(_, missing)| !missing.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_this_host_lacks_is_named_by_pool_and_asked_for_once() {
        let text = "[listeners.l]\nbind = [\"127.0.0.1:0\"]\n\
                    [pools.one]\nbackends = [\"10.0.0.1:1\"]\nsource_addresses = [\"10.0.0.5\", \"10.0.0.6\"]\n\
                    [pools.two]\nbackends = [\"10.0.0.1:1\"]\nsource_addresses = [\"10.0.0.5\"]\n\
                    [pools.three]\nbackends = [\"10.0.0.1:1\"]\n\
                    [[routes]]\npool = \"one\"\n";
        let config = crate::config::parse("test.toml", text).unwrap();
        let lacked = IpAddr::from([10, 0, 0, 6]);
        let asked = RefCell::new(Vec::new());
        let found = missing(&config, |source| {
            asked.borrow_mut().push(source);
            source != lacked
        });
        assert_eq!(found, [("one", vec![lacked])]);
        assert_eq!(asked.into_inner().len(), 2);
    }
}
