//! Queues, ports and what is set for each TCP socket.

use super::{Finding, Scene, UNKNOWN, number, size};
use crate::cli::doctor::tuning::{Profile, Script};
use crate::limits::{PORTS_BUSY_PERCENT, QUEUE_WANTED, SOCKET_BUFFER_WANTED, WIDEST_PORTS};

pub(super) fn accept_queue(scene: &Scene<'_>) -> Finding {
    let found = scene.host.accept_queue_max;
    Finding::ok(
        "accept queue",
        number(found),
        format!("{QUEUE_WANTED} (net.core.somaxconn)"),
    )
    .because("a storm of reconnects waits there; what does not fit is dropped and comes back a second later")
    .or_warn(found.is_none_or(|found| found >= QUEUE_WANTED), || {
        scene.apply(Script::Sockets)
    })
}

/// With cookies the queue of half-open connections is as long as the accept queue, whatever its own setting says, and
/// what does not fit is answered all the same.
pub(super) fn syn_queue(scene: &Scene<'_>) -> Finding {
    let queue = scene.host.syn_queue_max;
    let cookies = match scene.host.tcp.syn_cookies {
        None => String::new(),
        Some(0) => ", without cookies".to_owned(),
        Some(_) => ", with cookies".to_owned(),
    };
    let good =
        scene.host.tcp.syn_cookies != Some(0) || queue.is_none_or(|length| length >= QUEUE_WANTED);
    Finding::ok(
        "SYN queue",
        number(queue) + &cookies,
        format!("cookies (net.ipv4.tcp_syncookies = 1), or {QUEUE_WANTED} (tcp_max_syn_backlog)"),
    )
    .because("a flood of half-open connections would keep clients out")
    .or_warn(good, || scene.apply(Script::Sockets))
}

/// A tunnel needs a local port of its own for each backend address and each source address.
pub(super) fn ports(scene: &Scene<'_>) -> Finding {
    let per_backend = scene.tunnels_per_backend();
    let whose = match scene.backends {
        1 => "one backend".to_owned(),
        count => format!("each of {count} backends"),
    };
    let wants = format!("{per_backend} for {whose} (net.ipv4.ip_local_port_range)");
    let Some(ports) = &scene.host.ports else {
        return Finding::ok("local ports", UNKNOWN, wants);
    };
    let count = ports.len() as u64 * scene.sources;
    let from = match scene.sources {
        1 => String::new(),
        sources => format!(", from {sources} source addresses"),
    };
    let found = format!("{count} ({} to {}{from})", ports.start(), ports.end());
    Finding::ok("local ports", found, wants)
        .because("a tunnel takes a port for each backend and source address; without one a client gets 503")
        .or_warn(count >= per_backend, || {
            let widest = u64::from(WIDEST_PORTS) * scene.sources;
            let widen = scene.apply_as_one_of(Script::Ports, &[Profile::ManyIdle]);
            if per_backend <= widest {
                return widen;
            }
            let sources = per_backend.div_ceil(WIDEST_PORTS.into());
            let backends = scene.tunnels.div_ceil(widest);
            format!(
                "{widen}   # and dial from {sources} source addresses, or spread the tunnels over {backends} backend addresses or ports"
            )
        })
}

pub(super) fn time_wait(scene: &Scene<'_>) -> Finding {
    let found = match scene.host.tcp.reuse_time_wait {
        None => UNKNOWN,
        Some(0) => "never used again",
        Some(1) => "used again",
        Some(_) => "used again on loopback only",
    };
    let busy = scene.host.ports.as_ref().is_some_and(|ports| {
        scene.tunnels_per_backend() * 100 > ports.len() as u64 * scene.sources * PORTS_BUSY_PERCENT
    });
    let good = match scene.host.tcp.reuse_time_wait {
        None | Some(1) => true,
        Some(0) => false,
        Some(_) => !busy,
    };
    Finding::ok(
        "TIME_WAIT",
        found,
        "used again, where tunnels take over half of the ports (net.ipv4.tcp_tw_reuse = 1)",
    )
    .because("a port that Ringway closed first is out of use for a minute")
    .or_warn(good, || scene.apply(Script::Ports))
}

/// The most that the buffers of one socket may grow to.
pub(super) fn buffers(scene: &Scene<'_>) -> Finding {
    let tcp = &scene.host.tcp;
    let most = |values: Option<[u64; 3]>| values.map(|[_, _, most]| most);
    let (receive, send) = (most(tcp.receive_bytes), most(tcp.send_bytes));
    let text = |bytes: Option<u64>| bytes.map_or_else(|| UNKNOWN.to_owned(), size);
    let enough = |bytes: Option<u64>| bytes.is_none_or(|bytes| bytes >= SOCKET_BUFFER_WANTED);
    Finding::ok(
        "socket buffers",
        format!("receive {}, send {}", text(receive), text(send)),
        format!(
            "{} (net.ipv4.tcp_rmem, tcp_wmem)",
            size(SOCKET_BUFFER_WANTED)
        ),
    )
    .because("on a long way the buffer bounds the rate of one connection")
    .or_warn(enough(receive) && enough(send), || {
        // The others keep what is there, or only lower it.
        scene.apply_as_one_of(Script::TcpMemory, &[Profile::Throughput])
    })
}

pub(super) fn congestion_control(scene: &Scene<'_>) -> Finding {
    let found = scene.host.tcp.congestion_control.as_deref();
    let good = ["bbr", "cubic", "dctcp"];
    Finding::ok(
        "congestion control",
        found.unwrap_or(UNKNOWN),
        "bbr, cubic or dctcp (net.ipv4.tcp_congestion_control)",
    )
    .because("the older ones take minutes to fill a long, fast way again after a loss")
    .or_warn(found.is_none_or(|found| good.contains(&found)), || {
        scene.apply_as_one_of(
            Script::Congestion,
            &[Profile::Throughput, Profile::LowLatency],
        )
    })
}

/// A ring polls only for programs that register for it, so these settings only cost.
pub(super) fn busy_polling(scene: &Scene<'_>) -> Finding {
    let found = scene.host.tcp.busy_read_us;
    let text = match found {
        None => UNKNOWN.to_owned(),
        Some(0) => "off".to_owned(),
        Some(micros) => format!("{micros} µs"),
    };
    Finding::ok("busy polling", text, "off (net.core.busy_read = 0)")
        .because("each receive that is armed on a quiet socket would poll the card first")
        .or_warn(found.is_none_or(|micros| micros == 0), || {
            scene.apply(Script::BusyPoll)
        })
}
