//! What can be wrong with a head, in words an operator can act on.

use thiserror::Error;

use crate::limits::{CONNECTION_OPTIONS_MAX, HEAD_BYTES_MAX, HEAD_LINE_BYTES_MAX, HEADERS_MAX};
use crate::metrics::Refusal;

/// Why a head was refused. In a request the client broke the rule; in a response, the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The first line is over its bound.
    #[error("the first line is longer than {HEAD_LINE_BYTES_MAX} bytes")]
    FirstLineTooLong,
    /// A header line is over its bound.
    #[error("a header line is longer than {HEAD_LINE_BYTES_MAX} bytes")]
    HeaderLineTooLong,
    /// The head did not end within its bound.
    #[error("the head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// There are more header fields than the bound.
    #[error("the head has more than {HEADERS_MAX} header fields")]
    TooManyHeaders,
    /// `Connection` names more options than the bound.
    #[error("Connection names more than {CONNECTION_OPTIONS_MAX} options")]
    TooManyConnectionOptions,
    /// The head stops before its empty line, or goes on after it.
    #[error("the head does not end at its empty line")]
    NotOneHead,
    /// An empty line where the first line should be.
    #[error("an empty line stands before the first line")]
    LeadingEmptyLine,
    /// A line feed without a carriage return before it.
    #[error("a line ends in a bare line feed")]
    BareLineFeed,
    /// A carriage return without a line feed after it.
    #[error("a carriage return is not followed by a line feed")]
    BareCarriageReturn,
    /// A NUL or another control byte other than the tab.
    #[error("the head contains a control byte")]
    ControlByte,
    /// The request line is not a method, a target and a version with one space between them.
    #[error("the request line is malformed")]
    RequestLine,
    /// The status line is not a version, three digits and a reason.
    #[error("the status line is malformed")]
    StatusLine,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// The target is neither a path, nor an absolute URI, nor the asterisk of OPTIONS.
    #[error("the request target is malformed")]
    Target,
    /// The authority inside an absolute target and the Host field name different places.
    #[error("the authority of the target disagrees with Host")]
    TargetDisagreesWithHost,
    /// A header line that starts with white space (obs-fold, RFC 9112 section 5.2).
    #[error("a header line is folded")]
    FoldedLine,
    /// A header line without a colon.
    #[error("a header line has no colon")]
    NoColon,
    /// A header line that starts with the colon.
    #[error("a header name is empty")]
    EmptyName,
    /// White space between a header name and its colon.
    #[error("white space stands before the colon of a header")]
    SpaceBeforeColon,
    /// A header name with a byte that is no token character.
    #[error("a header name contains a forbidden byte")]
    HeaderName,
    /// A header value with a byte that may not be there.
    #[error("a header value contains a forbidden byte")]
    HeaderValue,
    /// HTTP/1.1 without Host.
    #[error("Host is missing")]
    MissingHost,
    /// More than one Host.
    #[error("Host is there twice")]
    DoubledHost,
    /// Host is no name or address with an optional port.
    #[error("Host is malformed")]
    BadHost,
    /// More than one Origin; which one a route should judge is anybody's guess.
    #[error("Origin is there twice")]
    DoubledOrigin,
    /// Both ways to frame a body at once, the root of request smuggling.
    #[error("Content-Length and Transfer-Encoding are there together")]
    LengthAndEncoding,
    /// Two lengths that differ.
    #[error("two Content-Length fields differ")]
    DifferingLengths,
    /// A length that is empty, signed, a list, or otherwise not only digits.
    #[error("Content-Length is not a plain number")]
    BadLength,
    /// A length over 64 bits.
    #[error("Content-Length is over 64 bits")]
    LengthOverflow,
    /// A transfer coding other than the one we read.
    #[error("Transfer-Encoding is not exactly chunked")]
    NotChunked,
    /// HTTP/1.0 has no transfer codings, so its two ends would disagree about the body.
    #[error("Transfer-Encoding on HTTP/1.0")]
    EncodingOnHttp10,
}

impl HeadError {
    /// The reply that this error deserves when a client caused it.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::FirstLineTooLong => Refusal::UriTooLong,
            Self::HeaderLineTooLong
            | Self::HeadTooLong
            | Self::TooManyHeaders
            | Self::TooManyConnectionOptions => Refusal::HeadTooLarge,
            _ => Refusal::BadRequest,
        }
    }
}
