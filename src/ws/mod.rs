//! RFC 6455 frames as pure bytes: slices in, verdicts out. Knows no socket and no clock.
