//! One core's life: accept, greet, relay, drain.
