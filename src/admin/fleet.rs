//! `/backends` and `/reload`: the fleet as it is, and what operators order about it. Every order is logged with who
//! gave it.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use super::bounded::Peer;
use super::guard;
use super::problem::Problem;
use super::routes::{AdminState, is_draining};
use super::tunnels;
use crate::control::{BackendRow, Change};
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_BODY_DRAIN_BYTES_MAX, WEIGHT_MAX};
use crate::sync::Arc;

type Shared = State<Arc<AdminState>>;
type Named<T> = Result<Path<T>, PathRejection>;

/// The routes, those of tunnels included, behind their guard.
pub(super) fn router(state: &Arc<AdminState>) -> Router<Arc<AdminState>> {
    Router::new()
        .route("/backends", get(all))
        .route("/backends/{pool}", get(of_pool))
        .route("/backends/{pool}/{backend}", get(one))
        .route("/backends/{pool}/{backend}/{order}", post(order))
        .route("/reload", post(reload))
        .route("/tunnels", get(tunnels::list))
        .route("/tunnels/{id}/frames", get(tunnels::frames))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .layer(from_fn_with_state(Arc::clone(state), guarded))
}

async fn guarded(
    State(state): Shared,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match guard::admit(request.headers(), peer, state.token.as_ref()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn rows(state: &AdminState) -> Result<Vec<BackendRow>, Problem> {
    state.fleet.rows().await.ok_or_else(Problem::going_down)
}

async fn all(State(state): Shared) -> Result<Json<Vec<BackendRow>>, Problem> {
    rows(&state).await.map(Json)
}

async fn of_pool(
    State(state): Shared,
    name: Named<String>,
) -> Result<Json<Vec<BackendRow>>, Problem> {
    let Path(pool) = name?;
    let mut rows = rows(&state).await?;
    rows.retain(|row| row.pool == pool);
    // A pool whose names the DNS has not answered yet has no rows either; nobody misses it here.
    if rows.is_empty() {
        let words = format!("there is no pool {pool:?}, or it has no backends");
        return Err(Problem::new(StatusCode::NOT_FOUND, words));
    }
    Ok(Json(rows))
}

async fn one(
    State(state): Shared,
    names: Named<(String, String)>,
) -> Result<Json<BackendRow>, Problem> {
    let Path((pool, backend)) = names?;
    let mut rows = rows(&state).await?.into_iter();
    let row = rows.find(|row| row.pool == pool && row.backend == backend);
    row.map(Json).ok_or_else(|| {
        let words = format!("pool {pool:?} has no backend {backend:?}");
        Problem::new(StatusCode::NOT_FOUND, words)
    })
}

async fn order(
    State(state): Shared,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    names: Named<(String, String, String)>,
    body: Body,
) -> Result<Json<BackendRow>, Problem> {
    let body = read(body).await?;
    let Path((pool, backend, order)) = names?;
    let change = change(&order, &body)?;
    if is_draining(&state) {
        return Err(Problem::going_down());
    }
    let done = state.fleet.change(pool, backend, change).await;
    let row = done.ok_or_else(Problem::going_down)??;
    tracing::info!(
        pool = row.pool,
        backend = row.backend,
        %peer,
        "{order} by order, now {} with weight {}",
        row.state,
        row.weight
    );
    Ok(Json(row))
}

async fn reload(
    State(state): Shared,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    body: Body,
) -> Result<Response, Problem> {
    read(body).await?;
    let done = state.fleet.reload().await;
    match &done {
        Ok(_) => tracing::info!(%peer, "reloaded by order"),
        Err(refused) => tracing::warn!(%peer, "cannot reload by order: {refused}"),
    }
    let answer = serde_json::json!({ "needs_restart": done?.needs_restart });
    Ok(Json(answer).into_response())
}

/// The whole body, if it is small. Somewhat more is read and thrown away, so that a reset does not take the answer
/// from who sent it.
async fn read(body: Body) -> Result<String, Problem> {
    let too_large = || {
        let words = format!("expected at most {ADMIN_BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, words)
    };
    let bytes = axum::body::to_bytes(body, ADMIN_BODY_DRAIN_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| too_large())?;
    if bytes.len() > ADMIN_BODY_BYTES_MAX {
        return Err(too_large());
    }
    let text = String::from_utf8(bytes.into());
    text.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}

/// What the last part of the path orders.
fn change(order: &str, body: &str) -> Result<Change, Problem> {
    match order {
        "drain" => Ok(Change::Drain),
        "undrain" => Ok(Change::Undrain),
        "down" => Ok(Change::Down),
        "up" => Ok(Change::Up),
        "weight" => weight(body).map(Change::Weight),
        other => {
            let words = format!("expected drain, undrain, down, up or weight, found {other:?}");
            Err(Problem::new(StatusCode::NOT_FOUND, words))
        }
    }
}

/// A weight, as a plain number or as `{"weight": 3}`. Whether it is in range is for the fleet to say, as far as it
/// can be said at all.
fn weight(body: &str) -> Result<u16, Problem> {
    let written: Option<Value> = serde_json::from_str(body).ok();
    let number = match &written {
        Some(Value::Object(fields)) if fields.len() == 1 => fields.get("weight"),
        other => other.as_ref(),
    };
    let Some(weight) = number.and_then(Value::as_i64) else {
        let words = "expected a whole number such as 3, or {\"weight\": 3}";
        return Err(Problem::new(StatusCode::BAD_REQUEST, words));
    };
    u16::try_from(weight).map_err(|_| {
        let words = format!("expected a weight from 0 to {WEIGHT_MAX}, found {weight}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(body: &str) -> Result<u16, u16> {
        weight(body).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_weight_is_a_plain_number_or_a_field() {
        for (body, wanted) in [
            ("3", Ok(3)),
            (" 0\n", Ok(0)),
            ("{\"weight\": 65535}", Ok(65_535)),
            ("65536", Err(422)),
            ("-1", Err(422)),
            ("{\"weight\": -1}", Err(422)),
            ("", Err(400)),
            ("3.5", Err(400)),
            ("three", Err(400)),
            ("{\"weight\": \"3\"}", Err(400)),
            ("{\"weight\": 3, \"wait\": 4}", Err(400)),
            ("{\"weight\": 3", Err(400)),
            ("[3]", Err(400)),
            ("99999999999999999999", Err(400)),
        ] {
            assert_eq!(status(body), wanted, "{body}");
        }
    }

    #[test]
    fn an_unknown_order_is_told_the_known_ones() {
        assert_eq!(change("drain", "").unwrap(), Change::Drain);
        let problem = change("explode", "").unwrap_err();
        assert_eq!(problem.status, StatusCode::NOT_FOUND);
        assert!(problem.words.contains("undrain"), "{problem:?}");
    }
}
