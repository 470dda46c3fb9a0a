//! A warm reader of first messages allocates nothing: an allocator counts what this thread asks for.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ringway::fleet::JsonPointer;
use ringway::upstream::{JsonReader, NoKey};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_reader_allocates_nothing() {
    let pointer = JsonPointer::parse("/a/1").unwrap();
    let filler = ",0".repeat(2000);
    let messages = [
        (format!(r#"{{"b":[0{filler}],"a":[1,"\u0078"]}}"#), Ok("x")),
        (
            format!(r#"{{"b":[0{filler}],"a":[1,-12345]}}"#),
            Ok("-12345"),
        ),
        (
            format!(r#"{{"a":[1,null],"b":[0{filler}]}}"#),
            Err(NoKey::NotAKey),
        ),
        (
            format!(r#"{{"a":[1,2],"b":[0{filler}]"#),
            Err(NoKey::NotJson),
        ),
        ("[".repeat(1000), Err(NoKey::TooDeep)),
        ("{}".to_owned(), Err(NoKey::Missing)),
    ];
    let mut reader = JsonReader::default();
    let mut copy = Vec::with_capacity(16 * 1024);
    let mut read_all = || {
        let before = ALLOCATIONS.get();
        for (message, expected) in &messages {
            copy.clear();
            copy.extend_from_slice(message.as_bytes());
            assert_eq!(reader.read(&mut copy, &pointer), *expected);
        }
        ALLOCATIONS.get() - before
    };
    let cold = read_all();
    assert!(cold > 0, "an allocator that sees nothing proves nothing");
    for _ in 0..100 {
        assert_eq!(read_all(), 0);
    }
}
