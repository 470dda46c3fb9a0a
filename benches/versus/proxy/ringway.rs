//! Ringway's configuration: one worker, no access log, everything else as it comes.

use super::{Level, Place, Shape};

pub(super) fn config(place: &Place<'_>, shape: Shape, levels: &[Level]) -> String {
    let Place {
        listen,
        control,
        core,
        papers,
        ..
    } = place;
    let backends: Vec<String> = place
        .backends
        .iter()
        .map(|backend| format!("\"{backend}\""))
        .collect();
    let tls = papers.map_or_else(String::new, |papers| {
        let (chain, key) = (papers.chain(), papers.key());
        let (chain, key) = (chain.display(), key.display());
        let files = format!(r#"certificates = [{{ chain = "{chain}", key = "{key}" }}]"#);
        format!("\n[listeners.front.tls]\n{files}\n{TLS}")
    });
    format!(
        r#"[workers]
cores = [{core}]
receive_buffers = "{shape}"

[control]
bind = "{control}"
access_log = "off"

[listeners.front]
bind = "{listen}"
{tls}
# It goes down as soon as it is told to.
[drain]
time = "0s"
deadline = "1s"

[pools.echo]
policy = "round-robin"
backends = [{backends}]

{routes}"#,
        shape = shape.setting(),
        routes = levels.iter().copied().map(route).collect::<String>(),
        backends = backends.join(", "),
    )
}

pub(super) const TLS: &str = r#"min_version = "1.3"
ciphers = ["aes-128-gcm"]
tickets = "own"
"#;

/// A route, and what it says of frames: with room for the longest message of any case.
fn route(level: Level) -> String {
    let (path, setting) = (level.path(), level.setting());
    let limits = match level {
        Level::Messages => {
            r#"
[routes.client_frames]
max_message = "1MiB"

[routes.backend_frames]
max_message = "1MiB"

"#
        }
        _ => "",
    };
    format!("[[routes]]\npath = \"{path}\"\npool = \"echo\"\n{setting}\n{limits}")
}
