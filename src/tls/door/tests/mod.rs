//! What the door promises, proved with certificates made on the spot and rustls as the other side.

mod backends;
mod bent;
mod clients;
mod failures;
mod files;
mod names;
mod pair;
mod papers;
mod resumption;
mod server;
