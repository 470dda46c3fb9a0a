//! Sessions that are taken up again, and those that must not be.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rustls::server::ProducesTickets;
use rustls::{ClientConfig, version};

use super::pair::{BOTH, client, config, config_of, converse, greet};
use super::papers::Papers;
use crate::clock::Now;
use crate::tls::door::clients::Scope;
use crate::tls::door::{Acceptor, Facts, TicketKeys};
use crate::tls::{ClientAuth, ListenerTls, Tickets};

const DAY: Duration = Duration::from_hours(24);
const START: Now = Now::from_nanos(0);

fn own() -> Tickets {
    Tickets::Own { rotate_after: DAY }
}

fn with_tickets(papers: &Papers) -> ListenerTls {
    let mut listener = papers.listener();
    listener.tickets = own();
    listener
}

fn acceptor(listener: &ListenerTls, keys: &TicketKeys) -> Acceptor {
    Acceptor::load(listener, keys).unwrap().acceptor
}

/// Greets and speaks, so that the client has its ticket.
fn visit(acceptor: &Acceptor, config: &ClientConfig) -> Facts {
    let mut client = client(config, "example.com");
    let established = greet(acceptor, &mut client).unwrap();
    let facts = established.facts.clone();
    converse(established, &mut client);
    facts
}

#[test]
fn sessions_are_taken_up_at_every_acceptor_with_the_same_keys() {
    let papers = Papers::new();
    let listener = with_tickets(&papers);
    let keys = TicketKeys::load(&own(), START).unwrap();
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, None);
        let visits = [0, 1, 2].map(|_| visit(&acceptor(&listener, &keys), &config).resumed);
        assert_eq!(visits, [false, true, true]);
    }
}

#[test]
fn without_tickets_every_handshake_is_a_full_one() {
    let papers = Papers::new();
    let keys = TicketKeys::load(&Tickets::Off, START).unwrap();
    let acceptor = acceptor(&papers.listener(), &keys);
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, None);
        assert!(!visit(&acceptor, &config).resumed);
        assert!(!visit(&acceptor, &config).resumed);
    }
}

#[test]
fn a_key_opens_one_turn_after_it_sealed_and_then_never() {
    let papers = Papers::new();
    for version in BOTH {
        let keys = TicketKeys::load(&own(), START).unwrap();
        let acceptor = acceptor(&with_tickets(&papers), &keys);
        let mut now = START;
        let mut turn = || {
            assert!(!keys.rotate(now));
            now = now.after(DAY);
            assert!(keys.rotate(now));
        };
        let config = config_of(papers.roots(), &[version], None, None);
        assert!(!visit(&acceptor, &config).resumed);
        turn();
        assert!(visit(&acceptor, &config).resumed);
        turn();
        turn();
        assert!(!visit(&acceptor, &config).resumed);
        assert!(visit(&acceptor, &config).resumed);
    }
}

#[test]
fn a_ticket_of_other_keys_costs_a_full_handshake() {
    let papers = Papers::new();
    let listener = with_tickets(&papers);
    let [one, other] = [0, 1].map(|_| TicketKeys::load(&own(), START).unwrap());
    for version in BOTH {
        let config = config_of(papers.roots(), &[version], None, None);
        assert!(!visit(&acceptor(&listener, &one), &config).resumed);
        assert!(!visit(&acceptor(&listener, &other), &config).resumed);
    }
}

#[test]
fn hosts_share_the_keys_of_a_file() {
    let papers = Papers::new();
    let line = |seed: u8| format!("{}\n", STANDARD.encode([seed; 80]));
    let path = papers.file("keys", format!("# ours\n\n{}{}", line(1), line(2)));
    let mut listener = papers.listener();
    listener.tickets = Tickets::File(path.clone());
    let [one, other] = [0, 1].map(|_| TicketKeys::load(&listener.tickets, START).unwrap());
    let config = config(papers.roots());
    assert!(!visit(&acceptor(&listener, &one), &config).resumed);
    assert!(visit(&acceptor(&listener, &other), &config).resumed);
    // The old one still opens when it is no longer the first.
    assert!(!other.rotate(START.after(DAY)));
    papers.file("keys", line(3) + &line(1));
    assert!(other.reload(START).unwrap());
    assert!(!other.reload(START).unwrap());
    assert!(visit(&acceptor(&listener, &other), &config).resumed);
    papers.file("keys", line(4));
    assert!(other.reload(START).unwrap());
    assert!(!visit(&acceptor(&listener, &other), &config).resumed);
    // A mistake changes nothing.
    papers.file("keys", "not a key\n");
    assert!(other.reload(START).is_err());
    assert!(visit(&acceptor(&listener, &other), &config).resumed);
}

#[test]
fn a_ticket_opens_only_where_the_same_clients_are_let_in() {
    let papers = Papers::new();
    let keys = TicketKeys::load(&own(), START).unwrap();
    let certificate = papers.certificate(&["sensor.test"]);
    let mut optional = with_tickets(&papers);
    optional.clients = Some(papers.clients(ClientAuth::Optional));
    let mut required = optional.clone();
    required.clients = Some(papers.clients(ClientAuth::Required));
    let mut revoking = required.clone();
    let list = Some(papers.revoked(&[200], 4000));
    revoking.clients.as_mut().unwrap().revoked = list;
    let open = with_tickets(&papers);
    let doors = [open, optional, required, revoking].map(|listener| acceptor(&listener, &keys));
    for version in BOTH {
        for from in &doors {
            for to in &doors {
                let shown = Some(&certificate);
                let config = config_of(papers.roots(), &[version], None, shown);
                assert!(!visit(from, &config).resumed);
                let facts = visit(to, &config);
                assert_eq!(facts.resumed, std::ptr::eq(from, to));
            }
        }
    }
    // Who was let in is still known when the session is taken up.
    let config = config_of(papers.roots(), &BOTH, None, Some(&certificate));
    let [first, second] = [0, 1].map(|_| visit(&doors[2], &config));
    assert!(second.resumed && second.client.is_some());
    assert_eq!(first.client, second.client);
}

#[test]
fn data_before_the_handshake_is_over_is_never_accepted() {
    let papers = Papers::new();
    let keys = TicketKeys::load(&own(), START).unwrap();
    let acceptor = acceptor(&with_tickets(&papers), &keys);
    let mut config = config_of(papers.roots(), &[&version::TLS13], None, None);
    config.enable_early_data = true;
    assert!(!visit(&acceptor, &config).resumed);
    let mut client = client(&config, "example.com");
    assert!(client.early_data().is_none());
    let established = greet(&acceptor, &mut client).unwrap();
    assert!(established.facts.resumed && !client.is_early_data_accepted());
    converse(established, &mut client);
}

#[test]
fn what_is_sealed_opens_and_nothing_else_does() {
    let keys = TicketKeys::load(&own(), START).unwrap();
    let sealer = keys.sealer(Scope::ANYBODY).unwrap();
    assert!(sealer.enabled());
    assert_eq!(sealer.lifetime(), 12 * 60 * 60);
    let ticket = sealer.encrypt(b"a session").unwrap();
    assert_ne!(ticket, sealer.encrypt(b"a session").unwrap());
    assert_eq!(sealer.decrypt(&ticket).unwrap(), b"a session");
    for at in 0..ticket.len() {
        let mut bent = ticket.clone();
        bent[at] ^= 1;
        assert_eq!(sealer.decrypt(&bent), None);
        assert_eq!(sealer.decrypt(&ticket[..at]), None);
    }
    assert!(!format!("{keys:?} {sealer:?}").contains("sealing"));
}

proptest! {
    #[test]
    fn garbage_is_no_ticket(garbage: Vec<u8>, sealed: Vec<u8>) {
        let keys = TicketKeys::load(&own(), START).unwrap();
        let sealer = keys.sealer(Scope::ANYBODY).unwrap();
        prop_assert_eq!(sealer.decrypt(&garbage), None);
        let ticket = sealer.encrypt(&sealed).unwrap();
        let named = [&ticket[..16], &garbage].concat();
        prop_assert_eq!(sealer.decrypt(&named), None);
        prop_assert_eq!(sealer.decrypt(&ticket), Some(sealed));
    }
}
