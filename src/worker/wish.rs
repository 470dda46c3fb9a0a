//! What a request asks for, and whether its route grants it.

use std::borrow::Cow;

use super::greet::Stop;
use crate::fleet::{Route, Snapshot};
use crate::http::{Body, Expected, Method, Methods, RequestHead, check_upgrade, wants_upgrade};
use crate::metrics::Refusal;
use crate::ring::Leaving;

/// What a request asks of a backend.
pub(super) enum Wish {
    /// A tunnel, proven by this.
    Upgrade(Expected),
    /// One response.
    Plain { head_only: bool },
}

impl Wish {
    /// What the client may not do while it waits for its answer. A tunnel needs both halves of its stream.
    pub(super) const fn leaving(&self) -> Leaving {
        match self {
            Self::Upgrade(_) => Leaving::AtItsEnd,
            Self::Plain { .. } => Leaving::ByReset,
        }
    }
}

pub(super) fn find_route<'a>(
    snapshot: &'a Snapshot,
    head: &RequestHead<'_>,
) -> Result<&'a Route, Stop> {
    let host = Some(head.host_name()).filter(|host| !host.is_empty());
    snapshot
        .routes
        .find(host, head.path())
        .ok_or_else(|| Refusal::NoRoute.into())
}

pub(super) const fn methods_of(route: &Route) -> Methods {
    if route.plain_http {
        Methods::GetAndHead
    } else {
        Methods::Get
    }
}

/// What the request asks for, if the route grants it (security rules 2 and 5).
pub(super) fn wish_of(head: &RequestHead<'_>, route: &Route) -> Result<Wish, Stop> {
    if route.plain_http && !wants_upgrade(head) {
        return match (head.method(), head.body()) {
            (Method::Other, _) => Err(Stop::Refuse(
                Refusal::MethodNotAllowed,
                Cow::Borrowed("this route relays GET and HEAD only"),
            )),
            (_, Body::Length(1..) | Body::Chunked) => Err(Stop::Refuse(
                Refusal::BadRequest,
                Cow::Borrowed("this route takes no request body"),
            )),
            (method, _) => Ok(Wish::Plain {
                head_only: method == Method::Head,
            }),
        };
    }
    let upgrade = check_upgrade(head)
        .map_err(|refused| Stop::Refuse(refused.refusal, Cow::Borrowed(refused.detail)))?;
    if let Some(rules) = &route.origins
        && !rules.allows(head.header("origin"))
    {
        return Err(Refusal::OriginForbidden.into());
    }
    let expected = upgrade.expected();
    Ok(Wish::Upgrade(Expected {
        deflate_offered: expected.deflate_offered && route.offers_deflate,
        ..expected
    }))
}
