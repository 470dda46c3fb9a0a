//! What went wrong with a request about the fleet or its tunnels: a status, and the reason in words as JSON.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::control::{AskRefused, ChangeRefused, ReloadRefused};

/// An answer that is not 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) words: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
        }
    }

    pub(super) fn going_down() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Ringway is going down")
    }
}

impl From<ChangeRefused> for Problem {
    fn from(refused: ChangeRefused) -> Self {
        let status = match refused {
            ChangeRefused::NoPool(_) | ChangeRefused::NoBackend { .. } => StatusCode::NOT_FOUND,
            ChangeRefused::Weight(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ChangeRefused::NoWeights(_) => StatusCode::CONFLICT,
        };
        Self::new(status, refused.to_string())
    }
}

impl From<ReloadRefused> for Problem {
    fn from(refused: ReloadRefused) -> Self {
        let status = match refused {
            ReloadRefused::NoFile => StatusCode::CONFLICT,
            ReloadRefused::Mistakes(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ReloadRefused::Gone => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}

impl From<AskRefused> for Problem {
    fn from(refused: AskRefused) -> Self {
        let status = match refused {
            AskRefused::NoWorker(..) => StatusCode::BAD_REQUEST,
            AskRefused::NoTunnel(_) => StatusCode::NOT_FOUND,
            AskRefused::TooManyTails(_) | AskRefused::Unanswered(_) | AskRefused::Gone => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, refused.to_string())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let words = serde_json::json!({ "error": self.words });
        let mut response = (self.status, Json(words)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"ringway\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
