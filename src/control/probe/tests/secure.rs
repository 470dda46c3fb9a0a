//! Probes over TLS: backends that are who they should be, and others.

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::*;
use crate::control::papers::Papers;
use crate::sync::Arc;
use crate::tls::{BackendTls, CertificateFiles, Connector, Roots, Suite, Version};

/// What a backend shows, and whether it wants to see something too.
pub(in crate::control) fn server(
    files: &CertificateFiles,
    clients: Option<&Papers>,
) -> TlsAcceptor {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.chain)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(papers) => {
            let mut roots = RootCertStore::empty();
            let authority = CertificateDer::from_pem_file(papers.authority()).unwrap();
            roots.add(authority).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    Arc::new(builder.with_single_cert(chain, key).unwrap()).into()
}

/// How Ringway speaks to backends that this authority vouches for.
fn secure(authority: &Papers, name: &str, more: impl FnOnce(&mut BackendTls)) -> Secure {
    let mut settings = BackendTls {
        roots: Roots::File(authority.authority()),
        server_name: Some(name.to_owned()),
        certificate: None,
        pins: Vec::new(),
        min_version: Version::Tls12,
        suites: Suite::ALL.to_vec(),
    };
    more(&mut settings);
    Secure::new(&Connector::load(&settings).unwrap(), "127.0.0.1")
}

/// Over TLS, from wherever the kernel likes.
fn over(secure: &Secure) -> Approach {
    Approach {
        secure: Some(secure.clone()),
        ..Approach::default()
    }
}

/// Probes a backend that greets over TLS; also what it had to say, if there was a handshake.
async fn probed<F>(
    acceptor: TlsAcceptor,
    secure: &Secure,
    kind: ProbeKind,
    serve: impl FnOnce(TlsStream<TcpStream>) -> F + Send + 'static,
) -> (Result<Probed, ProbeFailure>, Option<String>)
where
    F: Future<Output = String> + Send,
{
    let backend = Backend::with(|stream| async move {
        match acceptor.accept(stream).await {
            Ok(stream) => Some(serve(stream).await),
            Err(_) => None,
        }
    })
    .await;
    let settings = settings(kind, PATIENT);
    let outcome = super::super::probe(backend.address, &over(secure), &settings).await;
    (outcome, backend.seen.await.unwrap())
}

/// Reads to the end of the stream, which must be told as such.
async fn ended_well(mut stream: TlsStream<TcpStream>) -> String {
    let mut rest = String::new();
    let read = stream.read_to_string(&mut rest).await;
    let _ = stream.shutdown().await;
    read.map_or_else(|error| error.to_string(), |_| "ended well".to_owned())
}

async fn answers(mut stream: TlsStream<TcpStream>, answer: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
    String::from_utf8(head).unwrap()
}

fn broken(outcome: Result<Probed, ProbeFailure>) -> String {
    match outcome {
        Err(ProbeFailure::Tls(why)) => why,
        other => panic!("TLS that failed, not {other:?}"),
    }
}

#[tokio::test]
async fn a_tcp_probe_over_tls_is_a_handshake_and_a_goodbye() {
    let papers = Papers::new();
    let acceptor = server(&papers.certificate("chat", &["chat.internal"]), None);
    let secure = secure(&papers, "chat.internal", |_| {});
    let (outcome, seen) = probed(acceptor, &secure, ProbeKind::Tcp, ended_well).await;
    assert!(outcome.unwrap().took < PATIENT);
    assert_eq!(seen.as_deref(), Some("ended well"));
}

#[tokio::test]
async fn no_probe_resumes_the_session_of_the_one_before() {
    let papers = Papers::new();
    let acceptor = server(&papers.certificate("chat", &["chat.internal"]), None);
    let secure = secure(&papers, "chat.internal", |_| {});
    for _ in 0..2 {
        let serve = |stream: TlsStream<TcpStream>| async move {
            let kind = format!("{:?}", stream.get_ref().1.handshake_kind());
            ended_well(stream).await;
            kind
        };
        let (outcome, kind) = probed(acceptor.clone(), &secure, ProbeKind::Tcp, serve).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(kind.as_deref(), Some("Some(Full)"));
    }
}

#[tokio::test]
async fn a_get_and_an_upgrade_go_over_tls() {
    let papers = Papers::new();
    let acceptor = server(&papers.certificate("chat", &["chat.internal"]), None);
    let secure = secure(&papers, "chat.internal", |_| {});
    let well = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell";
    let kind = ProbeKind::Http(http_probe(Some("well")));
    let serve = move |stream| answers(stream, well);
    let (outcome, head) = probed(acceptor.clone(), &secure, kind, serve).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(head.unwrap().starts_with("GET /health?deep=1 HTTP/1.1\r\n"));

    let serve = |stream| answers(stream, "HTTP/1.1 503 Busy\r\n\r\n");
    let kind = websocket_probe(None);
    let (outcome, head) = probed(acceptor, &secure, kind, serve).await;
    assert_eq!(bad(outcome), "its status is 503, expected 101");
    assert!(head.unwrap().starts_with("GET /live HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_backend_that_is_somebody_else_is_bad_for_every_kind() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let acceptor = server(&papers.certificate("chat", &["chat.internal"]), None);
    let pinned = |settings: &mut BackendTls| settings.pins = vec![[7; 32]];
    for (secure, why) in [
        (
            secure(&papers, "shop.internal", |_| {}),
            "not valid for name",
        ),
        (
            secure(&strangers, "chat.internal", |_| {}),
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            secure(&papers, "chat.internal", pinned),
            "its key is none of the pinned ones",
        ),
    ] {
        for kind in [
            ProbeKind::Tcp,
            ProbeKind::Http(http_probe(None)),
            websocket_probe(None),
        ] {
            let (outcome, seen) = probed(acceptor.clone(), &secure, kind, ended_well).await;
            let said = broken(outcome);
            assert!(said.contains(why), "{said}");
            assert_eq!(seen, None, "nothing was asked");
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_is_bad() {
    let papers = Papers::new();
    let old = papers.certificate_in("old", &["chat.internal"], (2020, 2021));
    let secure = secure(&papers, "chat.internal", |_| {});
    let (outcome, _) = probed(server(&old, None), &secure, ProbeKind::Tcp, ended_well).await;
    let said = broken(outcome);
    assert!(said.contains("expired"), "{said}");
}

#[tokio::test]
async fn a_refusal_of_our_certificate_that_comes_late_is_heard() {
    let (papers, devices) = (Papers::new(), Papers::new());
    let files = papers.certificate("chat", &["chat.internal"]);
    let acceptor = server(&files, Some(&devices));
    let without = secure(&papers, "chat.internal", |_| {});
    for kind in [
        ProbeKind::Tcp,
        ProbeKind::Http(http_probe(None)),
        websocket_probe(None),
    ] {
        let (outcome, _) = probed(acceptor.clone(), &without, kind, ended_well).await;
        let said = broken(outcome);
        assert!(said.contains("CertificateRequired"), "{said}");
    }
    let ours = devices.certificate("ours", &["ringway.internal"]);
    let with = secure(&papers, "chat.internal", |settings| {
        settings.certificate = Some(ours);
    });
    let (outcome, _) = probed(acceptor, &with, ProbeKind::Tcp, ended_well).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test]
async fn a_backend_that_speaks_in_the_clear_or_hangs_up_is_said_as_such() {
    let papers = Papers::new();
    let secure = secure(&papers, "chat.internal", |_| {});
    for (answer, why) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "what it says is no TLS",
        ),
        (
            &b""[..],
            "it closed the connection before the handshake was over",
        ),
    ] {
        let backend = Backend::with(move |mut stream| async move {
            // Somewhere in the first flight.
            stream.read_u8().await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            ended(&mut stream).await
        })
        .await;
        let settings = settings(ProbeKind::Tcp, PATIENT);
        let outcome = super::super::probe(backend.address, &over(&secure), &settings).await;
        let said = broken(outcome);
        assert!(said.starts_with(why), "{said}");
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_left_in_time() {
    let papers = Papers::new();
    let secure = secure(&papers, "chat.internal", |_| {});
    let backend = Backend::with(|mut stream| async move { ended(&mut stream).await }).await;
    let settings = settings(ProbeKind::Tcp, SHORT);
    let outcome = super::super::probe(backend.address, &over(&secure), &settings).await;
    assert_eq!(outcome, Err(ProbeFailure::Timeout));
    assert!(backend.seen.await.unwrap());
}
