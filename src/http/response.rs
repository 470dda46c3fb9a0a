//! Response heads from backends, read as strictly as requests where two readers could disagree.

use super::fields::{Body, Fields};
use super::head::{check_extent, explain, parsed_version};
use super::{HeadError, Version};

/// A response head that passed the checks of security rule 6 that concern responses.
#[derive(Debug, Clone)]
pub struct ResponseHead<'a> {
    status: u16,
    reason: &'a str,
    version: Version,
    fields: Fields<'a>,
    body: Body,
}

impl<'a> ResponseHead<'a> {
    /// Reads one whole head, from the status line to the empty line, as [`HeadScan`] measured it.
    pub fn parse(head: &'a [u8]) -> Result<Self, HeadError> {
        check_extent(head)?;
        let mut room = Fields::room();
        let mut response = httparse::Response::new(&mut []);
        let outcome = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, head, &mut room)
            .map_err(|error| explain(error, head, HeadError::StatusLine))?;
        let version = parsed_version(response.version)?;
        let (Some(status), true) = (
            response.code,
            outcome == httparse::Status::Complete(head.len()),
        ) else {
            return Err(HeadError::NotOneHead);
        };
        if status < 100 {
            return Err(HeadError::StatusLine);
        }
        let fields = Fields::new(response.headers)?;
        let body = fields.body(version)?;
        Ok(Self {
            status,
            reason: response.reason.unwrap_or(""),
            version,
            fields,
            body,
        })
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The words after the status code; empty when there are none or they are not ASCII.
    pub fn reason(&self) -> &'a str {
        self.reason
    }

    /// The version in the status line.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value of the first field called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.first(name)
    }

    /// Every field in order: its name as sent, its value without the white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.fields.iter()
    }

    /// What the head says of its body; [`super::response_framing`] knows when that is meaningless.
    pub fn body(&self) -> Body {
        self.body
    }

    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_as_it_was_sent() {
        let bytes = b"HTTP/1.1 404 Not Here\r\nContent-Length: 3\r\n\r\n";
        let head = ResponseHead::parse(bytes).unwrap();
        assert_eq!((head.status(), head.reason()), (404, "Not Here"));
        assert_eq!(
            (head.version(), head.body()),
            (Version::Http11, Body::Length(3))
        );
        assert_eq!(head.header("content-length"), Some(&b"3"[..]));
        assert_eq!(
            ResponseHead::parse(b"HTTP/1.0 200\r\n\r\n")
                .unwrap()
                .reason(),
            ""
        );
    }

    #[test]
    fn a_response_that_is_unclear_is_refused() {
        for (head, error) in [
            ("HTTP/1.1 20 OK\r\n", HeadError::StatusLine),
            ("HTTP/1.1 2000 OK\r\n", HeadError::StatusLine),
            ("HTTP/1.1 099 OK\r\n", HeadError::StatusLine),
            ("HTTP/1.1  200 OK\r\n", HeadError::StatusLine),
            ("HTTP/2 200 OK\r\n", HeadError::Version),
            ("SSH-2.0-x\r\n", HeadError::Version),
            ("HTTP/1.1 200 OK\r\nA : b\r\n", HeadError::SpaceBeforeColon),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", HeadError::FoldedLine),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
                HeadError::DifferingLengths,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                HeadError::LengthAndEncoding,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
                HeadError::NotChunked,
            ),
            (
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n",
                HeadError::EncodingOnHttp10,
            ),
        ] {
            let parsed = ResponseHead::parse(format!("{head}\r\n").as_bytes()).map(|_| ());
            assert_eq!(parsed, Err(error), "{head}");
        }
    }
}
