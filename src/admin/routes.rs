//! What the control listener answers everybody: metrics, health and version, each read-only and short.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::bounded::{Bounded, Peer};
use super::fleet;
use crate::config::Token;
use crate::control::FleetHandle;
use crate::limits::{ADMIN_CONNECTION_MAX, ADMIN_CONNECTIONS_MAX};
use crate::metrics::{self, ControlCounters, Extra, RULES, Samples, WorkerCounters};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::proc::ProcessUsage;
use crate::ws::Rule;

/// What the answers are read from.
pub struct AdminState {
    /// Each worker's counters; the place is the worker's number.
    pub workers: Vec<Arc<WorkerCounters>>,
    /// Reads a row for each backend and each certificate.
    pub samples: Box<dyn Fn() -> Samples + Send + Sync>,
    /// What the control thread counts; scrapes are counted here.
    pub control: Arc<ControlCounters>,
    /// Raised by the supervisor when Ringway goes down, and never lowered.
    pub draining: Arc<AtomicBool>,
    /// Questions and orders about backends.
    pub fleet: FleetHandle,
    /// What who asks about the fleet has to show; nothing lets in this machine alone.
    pub token: Option<Token>,
}

/// Answers on `listener` until the task is dropped. Runs on the control thread.
pub async fn serve(listener: TcpListener, state: AdminState) -> io::Result<()> {
    let bounded = Bounded::new(listener, ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTION_MAX);
    serve_bounded(bounded, state).await
}

async fn serve_bounded(listener: Bounded, state: AdminState) -> io::Result<()> {
    let state = Arc::new(state);
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(health))
        .route("/version", get(version))
        .fallback(async || (StatusCode::NOT_FOUND, "not found\n"))
        .method_not_allowed_fallback(async || {
            (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n")
        })
        .merge(fleet::router(&state))
        .layer(map_response(close_after))
        .with_state(state);
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).await
}

async fn metrics_text(State(state): State<Arc<AdminState>>) -> Response {
    let samples = (state.samples)();
    let process = ProcessUsage::read().ok();
    let rules: Vec<&str> = Rule::ALL.iter().map(|rule| rule.label()).collect();
    let extra = Extra {
        rules: &rules,
        backends: &samples.backends,
        certificates: &samples.certificates,
        control: Some(&state.control),
        process: process.as_ref(),
        draining: is_draining(&state),
    };
    let page = metrics::render(&state.workers, &extra);
    state.control.scrapes.add(1);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response()
}

const _: () = assert!(Rule::ALL.len() <= RULES, "every frame rule has a cell");

/// 503 during a drain, so that whoever sends us clients stops before we refuse them.
async fn health(State(state): State<Arc<AdminState>>) -> (StatusCode, &'static str) {
    if is_draining(&state) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn version() -> &'static str {
    concat!("ringway ", env!("CARGO_PKG_VERSION"), "\n")
}

/// One request a connection: a client then holds a place for one answer, and none is lost to the deadline.
async fn close_after(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn is_draining(state: &AdminState) -> bool {
    // Relaxed: the flag stands alone; an answer a moment late is as good.
    state.draining.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::metrics::BackendSample;

    struct Fixture {
        address: SocketAddr,
        draining: Arc<AtomicBool>,
    }

    async fn start(connections_max: usize, lifetime: Duration) -> Fixture {
        start_with(connections_max, lifetime, None).await
    }

    async fn start_with(
        connections_max: usize,
        lifetime: Duration,
        token: Option<&str>,
    ) -> Fixture {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let draining = Arc::new(AtomicBool::new(false));
        let worker = Arc::new(WorkerCounters::default());
        worker.accepted.add(3);
        let state = AdminState {
            workers: vec![worker],
            samples: Box::new(|| Samples {
                backends: vec![BackendSample {
                    pool: "chat".into(),
                    backend: "10.0.0.11:9000".into(),
                    established: 4,
                    ..BackendSample::default()
                }],
                ..Samples::default()
            }),
            control: Arc::default(),
            draining: Arc::clone(&draining),
            fleet: FleetHandle::to_nobody(),
            token: token.map(|token| Token::of(token.as_bytes())),
        };
        let bounded = Bounded::new(listener, connections_max, lifetime);
        tokio::spawn(serve_bounded(bounded, state));
        Fixture { address, draining }
    }

    impl Fixture {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn ask(&self, method: &str, path: &str) -> String {
            self.say(method, path, "Host: ringway\r\n").await
        }

        async fn say(&self, method: &str, path: &str, fields: &str) -> String {
            let mut stream = self.connect().await;
            let head = format!("{method} {path} HTTP/1.1\r\n{fields}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            read_all(&mut stream).await
        }
    }

    async fn read_all(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        // A cut connection may end in a reset; what came before it counts.
        let _ = tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_show_workers_and_backends() {
        let admin = start(4, Duration::from_secs(5)).await;
        let answer = admin.ask("GET", "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(answer.contains("\nringway_connections_accepted_total{worker=\"0\"} 3\n"));
        assert!(answer.contains(
            "\nringway_backend_tunnels_open{pool=\"chat\",backend=\"10.0.0.11:9000\"} 4\n"
        ));
        assert!(
            answer
                .contains("\nringway_frame_violations_total{worker=\"0\",rule=\"close_code\"} 0\n")
        );
        assert!(answer.contains("\nprocess_resident_memory_bytes "));
    }

    #[tokio::test]
    async fn health_turns_to_503_during_a_drain() {
        let admin = start(4, Duration::from_secs(5)).await;
        let answer = admin.ask("GET", "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        admin.draining.store(true, Ordering::Relaxed);
        let answer = admin.ask("GET", "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\ndraining\n"), "{answer}");
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused_in_plain_text() {
        let admin = start(4, Duration::from_secs(5)).await;
        let answer = admin.ask("GET", "/secret").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.contains("content-type: text/plain"), "{answer}");
        let answer = admin.ask("POST", "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("allow: GET,HEAD\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain"), "{answer}");
    }

    #[tokio::test]
    async fn the_fleet_takes_the_token_and_metrics_do_not() {
        let admin = start_with(4, Duration::from_secs(5), Some("s3cret")).await;
        for (method, path) in [
            ("GET", "/backends"),
            ("GET", "/backends/chat"),
            ("POST", "/backends/chat/10.0.0.11:9000/drain"),
            ("POST", "/reload"),
            ("GET", "/tunnels"),
            ("GET", "/tunnels/0-0-1/frames?payload=shape"),
            // Not even what there is to ask.
            ("DELETE", "/backends"),
        ] {
            let answer = admin.say(method, path, "Host: localhost\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
            let challenge = "\r\nwww-authenticate: Bearer realm=\"ringway\"\r\n";
            assert!(answer.contains(challenge), "{answer}");
            assert!(
                answer.contains("{\"error\":\"this takes a token"),
                "{answer}"
            );
        }
        let fields = "Host: r.example\r\nAuthorization: Bearer s3cret\r\n";
        let answer = admin.say("GET", "/backends", fields).await;
        // Through the guard, and to a fleet that is not there any more.
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        for path in ["/metrics", "/healthz", "/version"] {
            let answer = admin.ask("GET", path).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn orders_are_a_503_when_ringway_is_going_down() {
        let admin = start(4, Duration::from_secs(5)).await;
        for path in ["/backends/chat/10.0.0.11:9000/drain", "/reload"] {
            let answer = admin.say("POST", path, "Host: localhost\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(
                answer.ends_with("{\"error\":\"Ringway is going down\"}"),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_by_the_deadline() {
        let admin = start(4, Duration::from_millis(100)).await;
        let mut stream = admin.connect().await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\n")
            .await
            .unwrap();
        assert_eq!(read_all(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_client_beyond_the_last_place_waits_for_one_and_is_then_answered() {
        let admin = start(1, Duration::from_millis(200)).await;
        let mut idle = admin.connect().await;
        let answer = admin.ask("GET", "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(read_all(&mut idle).await, "", "the idle one was cut first");
    }
}
