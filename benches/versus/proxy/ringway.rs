//! Ringway's configuration: one worker, no access log, everything else as it comes.

use super::{Place, Shape};

pub(super) fn config(place: &Place<'_>, shape: Shape) -> String {
    let Place {
        listen,
        control,
        core,
        ..
    } = place;
    let backends: Vec<String> = place
        .backends
        .iter()
        .map(|backend| format!("\"{backend}\""))
        .collect();
    format!(
        r#"[workers]
cores = [{core}]
receive_buffers = "{shape}"

[control]
bind = "{control}"
access_log = "off"

[listeners.front]
bind = "{listen}"

# It goes down as soon as it is told to.
[drain]
time = "0s"
deadline = "1s"

[pools.echo]
policy = "round-robin"
backends = [{backends}]

[[routes]]
pool = "echo"
"#,
        shape = shape.setting(),
        backends = backends.join(", "),
    )
}
