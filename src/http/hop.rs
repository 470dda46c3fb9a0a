//! The hop that a request came over, as its backend is told of it.

use std::net::{IpAddr, SocketAddr};

/// What we know about the hop a request came over.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// Who is connected to us.
    pub peer: IpAddr,
    /// Whether `peer` is one of the trusted proxies.
    pub trusted: bool,
    /// `http` or `https`, as the listener speaks it.
    pub scheme: &'a str,
    /// The address the peer connected to.
    pub local: SocketAddr,
    /// A cookie that is between the client and us, kept from the backend.
    pub hidden_cookie: Option<&'a str>,
    /// Fields that only we may set, in lower case with dashes for underscores, as they tell of the client's certificate.
    pub claimed: &'a [Box<str>],
    /// Whether the backend is offered the permessage-deflate that the client offers.
    pub offers_deflate: bool,
}
