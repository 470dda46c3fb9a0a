//! HTTP/1.1 heads and bodies as pure text: slices in, verdicts out. Knows no socket and no clock.

mod error;
mod fields;
mod head;
mod response;
mod scan;
mod target;

pub use error::HeadError;
pub use fields::Body;
pub use head::{Method, RequestHead, Version};
pub use response::ResponseHead;
pub use scan::HeadScan;
