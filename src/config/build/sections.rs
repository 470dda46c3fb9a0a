//! The sections that stand once: workers, control, limits, drain.

use super::{Distinct, check_length, from_secret_file};
use crate::config::kind::{self, Kind};
use crate::config::model::{
    AccessLog, ControlSettings, Cores, DrainSettings, LimitSettings, ReceiveBuffers, Steering,
    WorkerSettings,
};
use crate::config::raw::{Given, Item, Table, shown_text};
use crate::config::secret::Token;
use crate::config::units::{Size, Span};
use crate::limits;

pub(super) fn workers(table: &mut Table<'_>) -> WorkerSettings {
    let shapes = [
        ("auto", ReceiveBuffers::Auto),
        ("incremental", ReceiveBuffers::Incremental),
        ("two-size", ReceiveBuffers::TwoSize),
        ("bundle", ReceiveBuffers::Bundle),
    ];
    let steerings = [
        ("hash", Steering::Hash),
        ("cpu", Steering::Cpu),
        ("least-loaded", Steering::LeastLoaded),
    ];
    let by_shape = kind::power_of_two(limits::RECEIVE_BUFFERS).or_word("auto");
    let bytes_by_shape = kind::size(limits::RECEIVE_BUFFER_BYTES).or_word("auto");
    let cores = table.item("cores").and_then(|item| cores(&item));
    let steering = table.value("steering", &kind::word(steerings), Steering::default());
    let receive_buffers = table.value(
        "receive_buffers",
        &kind::word(shapes),
        ReceiveBuffers::default(),
    );
    let tunnels = kind::count(limits::TUNNELS_MAX);
    let handshakes = kind::count(limits::HANDSHAKES_MAX);
    let tunnels_max = table.value("tunnels_max", &tunnels, limits::TUNNELS_MAX.default);
    let handshakes_max = table.value(
        "handshakes_max",
        &handshakes,
        limits::HANDSHAKES_MAX.default,
    );
    let buffers = table.given("buffers", &by_shape);
    let buffer_bytes = table.value("buffer_bytes", &bytes_by_shape, None);
    check_receive_memory(table, buffers.as_ref(), buffer_bytes);
    let completion_queue = table.value(
        "completion_queue",
        &kind::power_of_two(limits::COMPLETION_QUEUE),
        limits::COMPLETION_ENTRIES,
    );
    WorkerSettings {
        cores: cores.unwrap_or_default(),
        steering,
        receive_buffers,
        tunnels_max,
        handshakes_max,
        buffers: buffers.and_then(|given| given.value),
        buffer_bytes,
        completion_queue,
    }
}

fn cores(item: &Item<'_>) -> Option<Cores> {
    let most = limits::CORES_MAX;
    if item.is_list() {
        let core = kind::whole(0..=most - 1);
        let items = item.list("a list of cores")?;
        check_length(item.report(), item.place(), items.len(), usize::from(most));
        let cores: Vec<_> = items.iter().filter_map(|item| item.read(&core)).collect();
        let mut distinct = Distinct::new("a core of its own");
        for core in &cores {
            distinct.admit(core, item.report());
        }
        return Some(Cores::List(
            cores.into_iter().map(|core| core.value).collect(),
        ));
    }
    let expected = format!("\"auto\", a count from 1 to {most} or a list of cores such as [0, 2]");
    let count = kind::whole(1..=most);
    let either = Kind::new(expected, move |value| match value.as_str() {
        Some("auto") => Some(Cores::Auto),
        _ => count.read(value).ok().map(Cores::Count),
    });
    item.read(&either).map(|given| given.value)
}

fn check_receive_memory(
    table: &Table<'_>,
    buffers: Option<&Given<Option<u16>>>,
    bytes: Option<u32>,
) {
    let given = buffers.and_then(|given| Some((&given.place, given.value?)));
    let (Some((place, buffers)), Some(bytes)) = (given, bytes) else {
        return;
    };
    if u64::from(buffers) * u64::from(bytes) > limits::RECEIVE_BYTES_MAX {
        let expected = format!(
            "{} of buffers in all at most",
            Size(limits::RECEIVE_BYTES_MAX)
        );
        let found = format!("{buffers} of {}", Size(bytes.into()));
        table.report().wrong(place, expected, found, "");
    }
}

/// Nothing if the address is wrong, which has then been noted.
pub(super) fn control(table: &mut Table<'_>) -> Option<ControlSettings> {
    let log = Kind::new(
        "\"off\", \"stdout\" or the path of a file",
        |value| match value.as_str()? {
            "" => None,
            "off" => Some(AccessLog::Off),
            "stdout" => Some(AccessLog::Stdout),
            path => Some(AccessLog::File(path.into())),
        },
    );
    let access_log = table.value("access_log", &log, AccessLog::default());
    let bind = table
        .item("bind")
        .map(|item| item.read(&kind::listen_address()));
    let file = table.item("token_file");
    if let Some(Some(bind)) = &bind
        && file.is_none()
        && !bind.value.ip().to_canonical().is_loopback()
    {
        let note = "whoever reaches it could take backends out";
        let expected = "a loopback address, or token_file beside it";
        table
            .report()
            .wrong(&bind.place, expected, bind.value, note);
    }
    let token = file.and_then(|file| token(&file));
    let bind = match bind {
        Some(bind) => bind?.value,
        None => limits::CONTROL_ADDRESS,
    };
    Some(ControlSettings {
        bind,
        access_log,
        token,
    })
}

fn token(file: &Item<'_>) -> Option<Token> {
    let (least, most) = limits::TOKEN_BYTES;
    let expected = format!("a file with {least} to {most} visible ASCII characters in one line");
    let given = file.read(&kind::file())?;
    from_secret_file(&given, &expected, file.report(), |content| {
        let found = || format!("{} of something else", Size(content.len() as u64));
        Token::in_file(content).ok_or_else(found)
    })
}

/// Notes a name that could not stand in a metric label or a path.
pub(super) fn check_name(name: &str, table: &Table<'_>) {
    if !kind::is_name(name) {
        let expected = format!(
            "a name of 1 to {} letters, digits, dots, dashes or underscores",
            limits::NAME_BYTES_MAX
        );
        table
            .report()
            .wrong(table.place(), expected, shown_text(name), "");
    }
}

pub(super) fn limits(table: &mut Table<'_>) -> LimitSettings {
    let bound = || kind::whole(1..=limits::PER_SOURCE_MAX).or_word("off");
    let usual = LimitSettings::default();
    let connections = table.value(
        "connections_per_source",
        &bound(),
        usual.connections_per_source,
    );
    let handshakes = table.value(
        "handshakes_per_source",
        &bound(),
        usual.handshakes_per_source,
    );
    let new_connections = table.value(
        "new_connections_per_source_per_second",
        &bound(),
        usual.new_connections_per_source_per_second,
    );
    let head_timeout = table.value(
        "head_timeout",
        &kind::duration(limits::HEAD_TIMEOUT),
        usual.head_timeout,
    );
    let proxies = table.item("trusted_proxies");
    let proxies = proxies.and_then(|item| item.list("a list of networks such as [\"10.0.0.0/8\"]"));
    let network = kind::network();
    let proxies: Vec<_> = proxies
        .into_iter()
        .flatten()
        .filter_map(|item| item.read(&network))
        .collect();
    let mut distinct = Distinct::new("a network of its own");
    for proxy in &proxies {
        distinct.admit(proxy, table.report());
    }
    LimitSettings {
        connections_per_source: connections,
        handshakes_per_source: handshakes,
        new_connections_per_source_per_second: new_connections,
        head_timeout,
        trusted_proxies: proxies.into_iter().map(|proxy| proxy.value).collect(),
    }
}

pub(super) fn drain(table: &mut Table<'_>) -> DrainSettings {
    let time = table.given("time", &kind::duration(limits::DRAIN_TIME));
    let deadline = table.given("deadline", &kind::duration(limits::DRAIN_DEADLINE));
    let usual = DrainSettings::default();
    let drain = DrainSettings {
        time: time.as_ref().map_or(usual.time, |given| given.value),
        deadline: deadline
            .as_ref()
            .map_or(usual.deadline, |given| given.value),
    };
    if drain.time > drain.deadline {
        let (spread, cut) = (Span(drain.time), Span(drain.deadline));
        match (&deadline, &time) {
            (Some(deadline), _) => {
                let expected = format!("at least drain.time, \"{spread}\"");
                table
                    .report()
                    .wrong(&deadline.place, expected, format_args!("\"{cut}\""), "");
            }
            (None, Some(time)) => {
                let expected = format!("at most drain.deadline, \"{cut}\"");
                table
                    .report()
                    .wrong(&time.place, expected, format_args!("\"{spread}\""), "");
            }
            (None, None) => {}
        }
    }
    drain
}
