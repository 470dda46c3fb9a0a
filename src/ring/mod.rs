//! One core's io_uring: its driver, its buffers and the operations that can be awaited on it. Unsafe code is allowed here.
