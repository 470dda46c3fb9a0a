//! The control listener: metrics and health over HTTP.
