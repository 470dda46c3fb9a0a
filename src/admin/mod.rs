//! The control listener: metrics and health over HTTP, and the questions and orders of operators.

mod bounded;
mod fleet;
mod guard;
mod parameters;
mod problem;
mod routes;
mod tunnels;

pub use routes::{AdminState, serve};

/// The service that [`crate::control::Running`] runs on its control listener.
pub fn service() -> crate::control::Service {
    |listener, parts| {
        let crate::control::ControlParts {
            workers,
            samples,
            control,
            draining,
            fleet,
            token,
        } = parts;
        Box::pin(serve(
            listener,
            AdminState {
                workers,
                samples,
                control,
                draining,
                fleet,
                token,
            },
        ))
    }
}
