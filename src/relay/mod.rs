//! Tunnels: bytes that arrive on one side leave on the other, with bounded queues between.
