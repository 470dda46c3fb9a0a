//! A GET against answers of every kind.

use super::*;
use crate::http::RequestHead;
use crate::limits::PROBE_BODY_BYTES_MAX;

/// Probes a backend that gives this answer; also what it was asked.
async fn answered(
    answer: &'static str,
    asked: HttpProbe,
) -> (Result<Probed, ProbeFailure>, String) {
    let backend = Backend::with(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        head
    })
    .await;
    let settings = settings(ProbeKind::Http(asked), PATIENT);
    let outcome = probe(backend.address, &settings).await;
    (outcome, backend.seen.await.unwrap())
}

#[tokio::test]
async fn a_get_says_who_asks_and_for_whom() {
    let ok = "HTTP/1.1 204 No Content\r\n\r\n";
    let (outcome, head) = answered(ok, http_probe(None)).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(
        head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
        "{head}"
    );
    let parsed = RequestHead::parse(head.as_bytes()).unwrap();
    let field = |name| str::from_utf8(parsed.header(name).unwrap()).unwrap();
    assert!(field("host").starts_with("127.0.0.1:"));
    assert_eq!(field("user-agent"), "ringway-probe");
    assert_eq!(field("connection"), "close");

    let host = Some("chat.test".to_owned());
    let (_, head) = answered(
        ok,
        HttpProbe {
            host,
            ..http_probe(None)
        },
    )
    .await;
    assert!(head.contains("\r\nhost: chat.test\r\n"), "{head}");
}

#[tokio::test]
async fn a_status_outside_the_range_is_bad_and_said() {
    for (answer, status) in [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", "503"),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "302",
        ),
        ("HTTP/1.1 300 Choose\r\nContent-Length: 0\r\n\r\n", "300"),
    ] {
        let why = bad(answered(answer, http_probe(None)).await.0);
        assert_eq!(why, format!("its status is {status}, expected 200 to 299"));
    }
    let narrow = HttpProbe {
        status: 503..=503,
        ..http_probe(None)
    };
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    assert!(answered(busy, narrow).await.0.is_ok());
}

#[tokio::test]
async fn the_body_may_come_in_every_framing() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nall is w\r\n3\r\nell\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nall is well",
        "HTTP/1.0 200 OK\r\n\r\nall is well",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
    ] {
        let (outcome, _) = answered(answer, http_probe(Some("is well"))).await;
        assert!(outcome.is_ok(), "{answer}: {outcome:?}");
        let why = bad(answered(answer, http_probe(Some("is ill"))).await.0);
        assert_eq!(why, "its body does not contain \"is ill\"");
    }
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall is well";
    assert!(answered(cut, http_probe(Some("is well"))).await.0.is_ok());
    let (outcome, _) = answered(cut, http_probe(Some("is ill"))).await;
    assert_eq!(outcome, Err(ProbeFailure::Closed));
}

#[tokio::test]
async fn a_body_without_end_is_left_at_its_bound() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let backend = Backend::with(move |mut stream| async move {
        let chunk = format!("400\r\n{}\r\n", "ab".repeat(512));
        pour(&mut stream, start, &chunk).await
    })
    .await;
    let asked = ProbeKind::Http(http_probe(Some("abba")));
    let why = bad(probe(backend.address, &settings(asked, PATIENT)).await);
    assert!(
        why.starts_with(&format!("the first {PROBE_BODY_BYTES_MAX} bytes")),
        "{why}"
    );
    assert!(backend.seen.await.unwrap() > PROBE_BODY_BYTES_MAX);
}

#[tokio::test]
async fn what_is_not_http_is_said_as_such() {
    let too_many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    for answer in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", String::leak(too_many)] {
        let why = bad(answered(answer, http_probe(None)).await.0);
        assert!(why.starts_with("its answer is not HTTP: "), "{why}");
    }
    let unaskable = HttpProbe {
        path: "/a b".to_owned(),
        ..http_probe(None)
    };
    let backend = Backend::with(|mut stream| async move { ended(&mut stream).await }).await;
    let outcome = probe(
        backend.address,
        &settings(ProbeKind::Http(unaskable), PATIENT),
    )
    .await;
    assert_eq!(outcome.unwrap_err().label(), "ours");
}
