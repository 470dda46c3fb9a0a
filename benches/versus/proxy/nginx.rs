//! nginx's configuration: one pinned worker, no access log, WebSocket upgrades, long timeouts.

use super::{Place, lines};

#[expect(clippy::too_many_lines, reason = "one file, from top to bottom")]
pub(super) fn config(place: &Place<'_>) -> String {
    let Place {
        folder,
        listen,
        core,
        files,
        papers,
        ..
    } = place;
    let folder = folder.display();
    // One bit for each core, the first at the right.
    let affinity = format!("1{}", "0".repeat(*core));
    let servers = lines(place.backends, |_, backend| {
        format!("        server {backend} max_fails=0;")
    });
    let (ssl, tls) = papers.map_or_else(Default::default, |papers| {
        let (chain, key) = (papers.chain(), papers.key());
        let (chain, key) = (chain.display(), key.display());
        let files =
            format!("        ssl_certificate {chain};\n        ssl_certificate_key {key};\n");
        (" ssl", files + TLS)
    });
    format!(
        r"daemon off;
worker_processes 1;
worker_cpu_affinity {affinity};
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr error;
events {{
    worker_connections {CONNECTIONS};
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}
    upstream echo {{
{servers}
        keepalive 64;
    }}
    server {{
        listen {listen}{ssl} reuseport backlog=4096;
{tls}        location / {{
            proxy_pass http://echo;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"
    )
}

/// Tickets hold all of a session; without a cache beside them, as it comes.
pub(super) const TLS: &str = "        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_tickets on;
";
/// Far more than there are: with less than a sixteenth of them free, nginx drops connections that wait for their request.
const CONNECTIONS: u32 = 65_536;
