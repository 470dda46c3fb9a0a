//! A client that asks rightly gets a tunnel to a backend that proved itself.

mod support;

use std::io::Write as _;

use support::{Fixture, client_frame, open_tunnel, read_frame};

#[test]
fn an_upgrade_becomes_a_tunnel_that_echoes() {
    let fixture = Fixture::echo(1, "");
    let mut client = open_tunnel(fixture.address());
    client.write_all(&client_frame(1, b"hello")).unwrap();
    assert_eq!(read_frame(&mut client).unwrap(), (0x81, b"hello".to_vec()));
}

#[test]
fn a_drain_says_1001_to_both_sides_and_counts_the_clean_ones() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"100ms\"\ndeadline = \"5s\"\n");
    let mut client = open_tunnel(fixture.address());
    fixture.ringway.stop();
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    client
        .write_all(&client_frame(8, &1001_u16.to_be_bytes()))
        .unwrap();
    let outcome = fixture.ringway.wait();
    assert_eq!((outcome.clean, outcome.cut, outcome.at_once), (1, 0, false));
}
