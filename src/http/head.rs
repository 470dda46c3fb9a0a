//! Request heads, read strictly once so that nobody behind us can read them differently.

use super::fields::{Body, Fields, Occurrence, blame_name};
use super::target::{Authority, Target};
use super::{HeadError, HeadScan};

/// The methods that matter to us; the others are relayed by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The only method that can upgrade.
    Get,
    /// Its response has no body, whatever its head says.
    Head,
    /// Anything else.
    Other,
}

/// The version in a first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A request head that passed every check of security rule 6.
#[derive(Debug, Clone)]
pub struct RequestHead<'a> {
    method_text: &'a str,
    target: &'a str,
    path_and_query: &'a str,
    version: Version,
    /// Host, or the authority of an absolute target; HTTP/1.0 may have neither.
    authority: Option<Authority<'a>>,
    fields: Fields<'a>,
    body: Body,
}

impl<'a> RequestHead<'a> {
    /// Reads one whole head, from the request line to the empty line, as [`HeadScan`] measured it.
    pub fn parse(head: &'a [u8]) -> Result<Self, HeadError> {
        check_extent(head)?;
        let mut room = Fields::room();
        let mut request = httparse::Request::new(&mut []);
        let status = request
            .parse_with_uninit_headers(head, &mut room)
            .map_err(|error| explain(error, head, HeadError::RequestLine))?;
        let version = parsed_version(request.version)?;
        let (Some(method_text), Some(target), true) = (
            request.method,
            request.path,
            status == httparse::Status::Complete(head.len()),
        ) else {
            return Err(HeadError::NotOneHead);
        };
        let fields = Fields::new(request.headers)?;
        let parsed = Target::parse(target, method_text)?;
        if matches!(fields.only("origin"), Occurrence::Several) {
            return Err(HeadError::DoubledOrigin);
        }
        Ok(Self {
            method_text,
            target,
            path_and_query: parsed.path_and_query,
            version,
            authority: settle_authority(&fields, &parsed, version)?,
            body: fields.body(version)?,
            fields,
        })
    }

    /// The method, as far as it matters.
    pub fn method(&self) -> Method {
        match self.method_text {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        }
    }

    /// The method as it was sent. Methods are case-sensitive.
    pub fn method_text(&self) -> &'a str {
        self.method_text
    }

    /// The target as it was sent.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path of the target, without query; not decoded and not normalised.
    pub fn path(&self) -> &'a str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query, |(path, _)| path)
    }

    /// The path and the query, without scheme and authority.
    pub fn path_and_query(&self) -> &'a str {
        self.path_and_query
    }

    /// The host with its port, as it was sent; empty when an HTTP/1.0 request named none.
    pub fn host(&self) -> &'a str {
        self.authority.map_or("", |authority| authority.text)
    }

    /// The host without its port and without the dot of a fully qualified name, as it was sent.
    pub fn host_name(&self) -> &'a str {
        let name = self.authority.map_or("", |authority| authority.name);
        name.strip_suffix('.').unwrap_or(name)
    }

    /// Whether the request is for the host `name`, in any case and on any port.
    pub fn host_is(&self, name: &str) -> bool {
        self.host_name().eq_ignore_ascii_case(name)
    }

    /// The version in the request line.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value of the first field called `name`, in any case. `Host` and `Origin` are known to be single.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.first(name)
    }

    /// Every field in order: its name as sent, its value without the white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.fields.iter()
    }

    /// How the body is framed.
    pub fn body(&self) -> Body {
        self.body
    }

    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.fields
    }
}

/// The parser forgives bare line feeds and leading empty lines; the scan does not.
pub(super) fn check_extent(head: &[u8]) -> Result<(), HeadError> {
    match HeadScan::default().feed(head)? {
        Some(length) if length == head.len() => Ok(()),
        _ => Err(HeadError::NotOneHead),
    }
}

pub(super) fn parsed_version(minor: Option<u8>) -> Result<Version, HeadError> {
    match minor {
        Some(0) => Ok(Version::Http10),
        Some(1) => Ok(Version::Http11),
        _ => Err(HeadError::NotOneHead),
    }
}

/// Translates what the parser says; `first_line` is the blame for whatever is not about fields.
pub(super) fn explain(error: httparse::Error, head: &[u8], first_line: HeadError) -> HeadError {
    match error {
        httparse::Error::HeaderName => blame_name(head),
        httparse::Error::HeaderValue => HeadError::HeaderValue,
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::Version => HeadError::Version,
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => first_line,
    }
}

/// Which host a request is for. An absolute target must agree with Host, so both ways to route are the same.
fn settle_authority<'a>(
    fields: &Fields<'a>,
    target: &Target<'a>,
    version: Version,
) -> Result<Option<Authority<'a>>, HeadError> {
    let host = match fields.only("host") {
        Occurrence::Several => return Err(HeadError::DoubledHost),
        Occurrence::Missing if version == Version::Http11 => return Err(HeadError::MissingHost),
        Occurrence::Missing => return Ok(target.origin.map(|(_, authority)| authority)),
        Occurrence::Once(value) => {
            let text = str::from_utf8(value).map_err(|_| HeadError::BadHost)?;
            Authority::parse(text).ok_or(HeadError::BadHost)?
        }
    };
    match target.origin {
        Some((scheme, authority)) if !authority.agrees(&host, scheme) => {
            Err(HeadError::TargetDisagreesWithHost)
        }
        _ => Ok(Some(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Refusal;

    fn refused(head: &[u8]) -> HeadError {
        match RequestHead::parse(head) {
            Ok(parsed) => panic!("{} was read as {parsed:?}", head.escape_ascii()),
            Err(error) => error,
        }
    }

    /// A request with one more header line, or several with line ends between them.
    fn with(lines: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
    }

    #[test]
    fn a_request_is_read_as_it_was_sent() {
        let bytes = b"GET /chat/%2e?room=1 HTTP/1.1\r\nHost: Chat.Example.:8080\r\nX-A: \t b \xff \r\nX-A: c\r\n\r\n";
        let head = RequestHead::parse(bytes).unwrap();
        assert_eq!((head.method(), head.method_text()), (Method::Get, "GET"));
        assert_eq!(head.target(), "/chat/%2e?room=1");
        assert_eq!(
            (head.path(), head.path_and_query()),
            ("/chat/%2e", "/chat/%2e?room=1")
        );
        assert_eq!(
            (head.host(), head.host_name()),
            ("Chat.Example.:8080", "Chat.Example")
        );
        assert!(head.host_is("chat.example"));
        assert_eq!((head.version(), head.body()), (Version::Http11, Body::None));
        assert_eq!(head.header("x-a"), Some(&b"b \xff"[..]));
        assert_eq!(head.headers().last(), Some(("X-A", &b"c"[..])));
    }

    #[test]
    fn an_absolute_target_is_reduced_to_its_path() {
        let head =
            RequestHead::parse(b"GET http://A.example:80?x HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(head.map(|_| ()), Err(HeadError::Target));
        let bytes = b"GET http://A.example:80/b?c HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let head = RequestHead::parse(bytes).unwrap();
        assert_eq!(head.target(), "http://A.example:80/b?c");
        assert_eq!((head.path(), head.path_and_query()), ("/b", "/b?c"));
        assert_eq!(head.host(), "a.example");
    }

    #[test]
    fn an_old_request_may_name_no_host() {
        let head = RequestHead::parse(b"HEAD / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(
            (head.method(), head.version()),
            (Method::Head, Version::Http10)
        );
        assert_eq!((head.host(), head.host_name()), ("", ""));
        let head = RequestHead::parse(b"GET http://a/ HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(head.host(), "a");
    }

    #[test]
    fn a_malformed_first_line_is_refused() {
        for (line, error) in [
            ("GET  / HTTP/1.1", HeadError::RequestLine),
            (" GET / HTTP/1.1", HeadError::RequestLine),
            ("GET /a b HTTP/1.1", HeadError::Version),
            ("GET / HTTP/1.1 ", HeadError::RequestLine),
            ("GET /", HeadError::RequestLine),
            ("G(T / HTTP/1.1", HeadError::RequestLine),
            ("GET\t/ HTTP/1.1", HeadError::RequestLine),
            ("GET / HTTP/2.0", HeadError::Version),
            ("GET / http/1.1", HeadError::Version),
            ("GET / HTTP/1.10", HeadError::RequestLine),
            ("GET /\u{e9} HTTP/1.1", HeadError::Target),
            ("GET a HTTP/1.1", HeadError::Target),
            ("CONNECT a:443 HTTP/1.1", HeadError::Target),
        ] {
            assert_eq!(
                refused(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()),
                error,
                "{line}"
            );
        }
    }

    #[test]
    fn a_malformed_header_line_is_refused_by_its_name() {
        for (line, error) in [
            ("Name : value", HeadError::SpaceBeforeColon),
            ("Name\t: value", HeadError::SpaceBeforeColon),
            ("Name: value\r\n folded", HeadError::FoldedLine),
            ("Name: value\r\n\tfolded", HeadError::FoldedLine),
            ("Name:\r\n folded", HeadError::FoldedLine),
            (": value", HeadError::EmptyName),
            (":", HeadError::EmptyName),
            ("Name", HeadError::NoColon),
            ("Na me: value", HeadError::HeaderName),
            ("N\u{e4}me: value", HeadError::HeaderName),
            ("\"Name\": value", HeadError::HeaderName),
            ("Name: a\0b", HeadError::ControlByte),
            ("Name: a\u{1}b", HeadError::ControlByte),
            ("Name: a\u{b}b", HeadError::ControlByte),
            ("Name: a\u{7f}b", HeadError::ControlByte),
            ("Name: a\rb", HeadError::BareCarriageReturn),
            ("Name: a\nB: c", HeadError::BareLineFeed),
        ] {
            assert_eq!(refused(&with(line)), error, "{line:?}");
            assert_eq!(error.refusal(), Refusal::BadRequest);
        }
        let first = refused(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n");
        assert_eq!(first, HeadError::FoldedLine);
    }

    #[test]
    fn a_body_that_two_readers_could_frame_differently_is_refused() {
        for (lines, error) in [
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked",
                HeadError::LengthAndEncoding,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 0",
                HeadError::LengthAndEncoding,
            ),
            (
                "Content-Length: 1\r\nContent-Length: 2",
                HeadError::DifferingLengths,
            ),
            ("Content-Length: 1, 1", HeadError::BadLength),
            ("Content-Length:", HeadError::BadLength),
            ("Content-Length: +1", HeadError::BadLength),
            ("Content-Length: -1", HeadError::BadLength),
            ("Content-Length: 1 1", HeadError::BadLength),
            (
                "Content-Length: 18446744073709551616",
                HeadError::LengthOverflow,
            ),
            ("Transfer-Encoding: gzip, chunked", HeadError::NotChunked),
            ("Transfer-Encoding: chunked, chunked", HeadError::NotChunked),
            ("Transfer-Encoding: chunked;q=1", HeadError::NotChunked),
            ("Transfer-Encoding: xchunked", HeadError::NotChunked),
            ("Transfer-Encoding: identity", HeadError::NotChunked),
            ("Transfer-Encoding:", HeadError::NotChunked),
            ("Transfer-Encoding: \u{c}chunked", HeadError::ControlByte),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                HeadError::NotChunked,
            ),
            ("Transfer-Encoding : chunked", HeadError::SpaceBeforeColon),
        ] {
            assert_eq!(refused(&with(lines)), error, "{lines:?}");
        }
        let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(refused(old), HeadError::EncodingOnHttp10);
    }

    #[test]
    fn a_clear_body_is_framed() {
        for (lines, body) in [
            ("Content-Length: 0", Body::Length(0)),
            ("Content-Length: 007", Body::Length(7)),
            ("Content-Length: 5\r\ncontent-length: 5", Body::Length(5)),
            ("transfer-encoding: Chunked", Body::Chunked),
            ("X: y", Body::None),
        ] {
            assert_eq!(
                RequestHead::parse(&with(lines)).unwrap().body(),
                body,
                "{lines}"
            );
        }
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        for (lines, error) in [
            ("", HeadError::MissingHost),
            ("Host: a\r\nHost: a\r\n", HeadError::DoubledHost),
            ("Host: a\r\nhOST: b\r\n", HeadError::DoubledHost),
            ("Host:\r\n", HeadError::BadHost),
            ("Host: a, b\r\n", HeadError::BadHost),
            ("Host: a/b\r\n", HeadError::BadHost),
            ("Host: u@a\r\n", HeadError::BadHost),
            ("Host: a:b\r\n", HeadError::BadHost),
            ("Host: a:99999\r\n", HeadError::BadHost),
            ("Host: \u{e9}\r\n", HeadError::BadHost),
        ] {
            let head = format!("GET / HTTP/1.1\r\n{lines}\r\n");
            assert_eq!(refused(head.as_bytes()), error, "{lines:?}");
        }
        for target in ["http://b/", "http://a:81/", "https://a:80/"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(
                refused(head.as_bytes()),
                HeadError::TargetDisagreesWithHost,
                "{target}"
            );
        }
        assert_eq!(
            refused(&with("Origin: null\r\nOrigin: https://a")),
            HeadError::DoubledOrigin
        );
    }

    #[test]
    fn a_head_within_its_bounds_passes_and_one_field_more_does_not() {
        let lines = |count: usize| with(&vec!["A: b"; count].join("\r\n"));
        assert!(RequestHead::parse(&lines(99)).is_ok());
        assert_eq!(refused(&lines(100)), HeadError::TooManyHeaders);
        assert_eq!(HeadError::TooManyHeaders.refusal(), Refusal::HeadTooLarge);
        let options = |count: usize| with(&format!("Connection: {}", vec!["a"; count].join(",")));
        assert!(RequestHead::parse(&options(16)).is_ok());
        assert_eq!(refused(&options(17)), HeadError::TooManyConnectionOptions);
        let line = |length: usize| with(&format!("A: {}", "b".repeat(length)));
        assert!(RequestHead::parse(&line(8187)).is_ok());
        assert_eq!(refused(&line(8188)), HeadError::HeaderLineTooLong);
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "b".repeat(9000));
        assert_eq!(refused(target.as_bytes()).refusal(), Refusal::UriTooLong);
    }

    #[test]
    fn only_one_whole_head_is_read() {
        assert_eq!(refused(b""), HeadError::NotOneHead);
        assert_eq!(
            refused(b"GET / HTTP/1.1\r\nHost: a\r\n"),
            HeadError::NotOneHead
        );
        assert_eq!(
            refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx"),
            HeadError::NotOneHead
        );
    }

    #[test]
    fn a_log_of_a_head_holds_no_secret() {
        let head = with("Authorization: Bearer hunter2");
        let text = format!("{:?}", RequestHead::parse(&head).unwrap());
        assert!(
            text.contains("Authorization") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
