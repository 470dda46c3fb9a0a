//! What a process may have: descriptors and locked memory.

use super::{Finding, Scene, UNKNOWN, number, size};
use crate::cli::doctor::tuning::Script;
use crate::limits;
use crate::sys::proc::Limit;

pub(super) fn open_files(scene: &Scene<'_>) -> Finding {
    let host = scene.host;
    let wants = files_wanted(scene);
    let fix = || {
        let limit = by_hand("nofile", wants);
        let by_hand = match host.files_ceiling {
            Some(ceiling) if ceiling < wants => {
                format!("sudo sysctl -w fs.nr_open={wants} && {limit}")
            }
            _ => limit,
        };
        format!(
            "{}   # or, for this shell: {by_hand}",
            scene.apply_for_tunnels(Script::Limits)
        )
    };
    Finding::ok(
        "open files",
        limit_text(host.files, |count| count.to_string()),
        format!("{wants} for {} tunnels (LimitNOFILE)", scene.tunnels),
    )
    .because("a tunnel is two sockets; over the limit clients get 503")
    // `run` raises the soft limit by itself, so the hard one decides.
    .or_fail(reaches(host.files, FILES_SPARE), fix)
    .or_warn(reaches(host.files, wants), fix)
}

/// The limit of a process, and what all of them may have together.
pub(super) fn files_of_all(scene: &Scene<'_>) -> Finding {
    let host = scene.host;
    let wants = files_wanted(scene);
    let least = host
        .files_of_all
        .into_iter()
        .chain(host.files_ceiling)
        .min();
    Finding::ok(
        "files of the system",
        format!(
            "fs.file-max {}, fs.nr_open {}",
            number(host.files_of_all),
            number(host.files_ceiling)
        ),
        format!("{wants} for {} tunnels, both", scene.tunnels),
    )
    .because("no limit of a process can go beyond them")
    .or_warn(least.is_none_or(|least| least >= wants), || {
        scene.apply_for_tunnels(Script::Limits)
    })
}

pub(super) fn locked_memory(scene: &Scene<'_>) -> Finding {
    let host = scene.host;
    let workers = scene.cores.len().max(1);
    let wants = limits::locked_bytes(workers, host.may_lock_memory);
    let needs = if host.may_lock_memory {
        "whatever the workers (CAP_IPC_LOCK)".to_owned()
    } else {
        format!("for {workers} workers (LimitMEMLOCK)")
    };
    Finding::ok(
        "locked memory",
        limit_text(host.locked_memory, size),
        format!("{} {needs}", size(wants)),
    )
    .because("the rings of each worker count against it")
    // `run` raises the soft limit by itself, so the hard one decides.
    .or_fail(reaches(host.locked_memory, wants), || {
        let by_hand = by_hand("memlock", wants);
        format!(
            "{}   # or, for this shell: {by_hand}",
            scene.apply_for_tunnels(Script::Limits)
        )
    })
}

const fn files_wanted(scene: &Scene<'_>) -> u64 {
    scene.tunnels * limits::FILES_PER_TUNNEL + FILES_SPARE
}

/// Raises both values of a limit for the shell that starts Ringway; it needs no restart of the session.
fn by_hand(name: &str, wants: u64) -> String {
    format!("sudo prlimit --pid $$ --{name}={wants}:{wants}")
}

fn reaches(limit: Option<Limit>, wants: u64) -> bool {
    limit.is_none_or(|limit| limit.hard.is_none_or(|hard| hard >= wants))
}

fn limit_text(limit: Option<Limit>, show: impl Fn(u64) -> String) -> String {
    let Some(limit) = limit else {
        return UNKNOWN.to_owned();
    };
    let one = |value: Option<u64>| value.map_or_else(|| "no limit".to_owned(), &show);
    if limit.soft == limit.hard {
        one(limit.hard)
    } else {
        format!("{}, may rise to {}", one(limit.soft), one(limit.hard))
    }
}

/// Rings, listeners, logs, the control thread, and handshakes under way.
const FILES_SPARE: u64 = 1_024;
