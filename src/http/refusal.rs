//! [`Refusal`]: a question that has no answer, as JSON: `{"error", "kind", "line", "column"}`.
//!
//! Invariant (S1): the text is about the question. What the storage or a bug said is logged, not sent.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use query::{NameKind, Place, QueryError, WriteError};

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// For programs: one word for each thing they do differently.
    kind: &'static str,
    message: String,
    place: Option<Place>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), place: None }
    }

    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", message)
    }

    /// All statements that may run are running.
    pub(super) fn busy(waited: Duration) -> Self {
        let message = format!("too many statements are running: waited {} s", waited.as_secs());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let (status, kind, place) = match &error {
            QueryError::Syntax { spot, .. } => {
                (StatusCode::BAD_REQUEST, "syntax", Some(spot.place))
            }
            QueryError::Unknown { kind: NameKind::Event, .. } => {
                (StatusCode::NOT_FOUND, "unknown", None)
            }
            QueryError::Unknown { spot, .. } => {
                (StatusCode::BAD_REQUEST, "unknown", spot.as_ref().map(|spot| spot.place))
            }
            QueryError::Invalid { spot, .. } => {
                (StatusCode::BAD_REQUEST, "invalid", spot.as_ref().map(|spot| spot.place))
            }
            QueryError::ReadOnly { .. } => (StatusCode::FORBIDDEN, "read_only", None),
            QueryError::TooLarge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_large", None),
            QueryError::Resources { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "limit", None),
            QueryError::Timeout { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "timeout", None),
            QueryError::Lake(cause) => {
                tracing::warn!(%cause, "a question could not be answered from the lake");
                (StatusCode::SERVICE_UNAVAILABLE, "lake", None)
            }
            QueryError::Bug { message } => {
                tracing::error!(message, "a question met a bug");
                let text = "the statement met a bug: the service's log says which";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", text);
            }
        };
        // The first line: the lines after it draw the statement for a terminal.
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        Self { status, kind, message, place }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Query(error) => error.into(),
            error @ WriteError::Unwritable { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "format", error.to_string())
            }
            // Bytes are written to memory.
            WriteError::Io(error) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", error.to_string())
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({"error": self.message, "kind": self.kind});
        if let Some(place) = self.place {
            body["line"] = place.line.into();
            body["column"] = place.column.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
