//! `/tunnels`: which tunnels are open, and the latest frames of one, of whose payloads at most the shape is shown.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::StatusCode;

use super::bounded::Peer;
use super::parameters::Parameters;
use super::problem::Problem;
use super::routes::AdminState;
use crate::control::{TunnelId, TunnelList, TunnelQuery, TunnelTail};
use crate::limits::{TAIL_EVERY_MAX, TAIL_WAIT_MAX, TUNNELS_LIMIT};
use crate::relay::TailOptions;
use crate::sync::Arc;

/// `GET /tunnels`.
pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
) -> Result<Json<TunnelList>, Problem> {
    let known = &["worker", "route", "backend", "limit"];
    let parameters = Parameters::read(query.as_deref(), known)?;
    let text = |name| parameters.text(name).map(str::to_owned);
    let worker = parameters.number("worker", 0..=u16::MAX.into())?;
    let limits = TUNNELS_LIMIT.least..=TUNNELS_LIMIT.most;
    let limit = parameters.number("limit", limits)?;
    let wanted = TunnelQuery {
        worker: worker.and_then(|worker| u16::try_from(worker).ok()),
        route: text("route"),
        backend: text("backend"),
        limit: limit.unwrap_or(TUNNELS_LIMIT.default) as usize,
    };
    Ok(Json(state.fleet.tunnels(&wanted).await?))
}

/// `GET /tunnels/{id}/frames`.
pub(super) async fn frames(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<TunnelTail>, Problem> {
    let Path(id) = id?;
    let id = id.parse::<TunnelId>();
    let id = id.map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))?;
    let parameters = Parameters::read(query.as_deref(), &["every", "payload", "wait"])?;
    let every = parameters.number("every", 1..=TAIL_EVERY_MAX)?;
    let options = TailOptions {
        every: every.unwrap_or(1),
        payload: parameters.word("payload", &["none", "shape"])? == 1,
    };
    let wait = parameters.time("wait", TAIL_WAIT_MAX)?;
    let tail = state.fleet.tail(id, options, wait).await?;
    if options.payload {
        tracing::info!(%peer, tunnel = %id, "the shape of payloads was shown");
    }
    Ok(Json(tail))
}
