//! The control listener: metrics and health over HTTP.

mod bounded;
mod routes;

pub use routes::{AdminState, serve};

/// The service that [`crate::control::Running`] runs on its control listener.
pub fn service() -> crate::control::Service {
    |listener, parts| {
        let crate::control::ControlParts {
            workers,
            backends,
            control,
            draining,
            fleet: _fleet,
        } = parts;
        Box::pin(serve(
            listener,
            AdminState {
                workers,
                backends,
                control,
                draining,
            },
        ))
    }
}
