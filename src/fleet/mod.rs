//! The backends every core shares: ids, slots, and the immutable snapshot of pools and routes.
