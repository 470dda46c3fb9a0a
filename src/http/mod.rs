//! HTTP/1.1 heads and bodies as pure text: slices in, verdicts out. Knows no socket and no clock.

mod body;
mod chunks;
mod client;
mod confirm;
mod cookie;
mod error;
mod fields;
mod forward;
mod fuzz;
mod head;
mod hop;
mod origin;
mod reply;
mod response;
mod scan;
mod target;
mod upgrade;

pub use body::{BodyError, BodyReader, Framing, Progress, is_interim, response_framing};
pub use client::client_address;
pub use confirm::{BadUpgrade, Confirmed, Expected, verify_101};
pub use cookie::cookie_values;
pub use error::HeadError;
pub use fields::{Body, is_token};
pub use forward::{add_field, render_plain, render_response, render_upgrade};
#[doc(hidden)]
pub use fuzz::fuzz_head;
pub use head::{Method, RequestHead, Version};
pub use hop::Hop;
pub use origin::OriginRules;
pub use reply::{Methods, meaning, render_own_101, render_refusal, render_refusal_with, status};
pub use response::ResponseHead;
pub use scan::HeadScan;
pub use upgrade::{Refused, UpgradeRequest, accept_key, check_upgrade, wants_upgrade};
