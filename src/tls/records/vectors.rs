//! The records of RFC 8448 section 3, byte for byte.

use super::*;
use crate::tls::{Suite, Version};

const CLIENT_SECRET: &str = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
const CLIENT_KEY: &str = "17422dda596ed5d9acd890e3c63f5051";
const CLIENT_IV: &str = "5b78923dee08579033e523d9";
const CLIENT_DATA: &str = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b\
    9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
const CLIENT_CLOSE: &str = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";

const SERVER_SECRET: &str = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
const SERVER_KEY: &str = "9f02283b6c9c07efc26bb9f2ac92e356";
const SERVER_IV: &str = "cf782b88dd83549aadf1e984";
const SERVER_TICKET: &str = "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d\
    6af8f6b580dcf3d11d63c758db289a015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9d\
    a773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be63439b2999ce1306461513989\
    1d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d1\
    43f9605d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c\
    6779b37bf15985684f";
const SERVER_DATA: &str = "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e3\
    0efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
const SERVER_CLOSE: &str = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn half(secret: &str) -> Half {
    Half::of_secret(Suite::Aes128Gcm, &bytes(secret), 0).unwrap()
}

fn session(role: Role, tx: &str, rx: &str) -> Session {
    Session::new(Version::Tls13, Suite::Aes128Gcm, role, half(tx), half(rx))
}

#[test]
fn keys_come_from_secrets_as_in_the_rfc() {
    for (secret, key, iv) in [
        (CLIENT_SECRET, CLIENT_KEY, CLIENT_IV),
        (SERVER_SECRET, SERVER_KEY, SERVER_IV),
    ] {
        let iv = bytes(iv).try_into().unwrap();
        assert!(half(secret).agrees(&bytes(key), iv, 0));
    }
}

#[test]
fn the_client_of_the_rfc_seals_and_opens_the_same() {
    let mut session = session(Role::Client, CLIENT_SECRET, SERVER_SECRET);
    let (mut keys, mut out) = (Keys::new(), [0; 200]);
    let data: Vec<u8> = (0..50).collect();
    let sealed = session.seal(&mut keys, &data, &mut out).unwrap();
    assert_eq!(out[..sealed], bytes(CLIENT_DATA));
    let sealed = session.close(&mut keys, &mut out);
    assert_eq!(out[..sealed], bytes(CLIENT_CLOSE));

    let mut wire = bytes(SERVER_TICKET);
    let Verdict::Ticket { at, used } = session.open(&mut keys, &mut wire) else {
        panic!("the ticket is whole");
    };
    assert_eq!((used, at.len()), (227, 205 - 4 + 4));
    let lifetime = tickets(&wire[at]).next().unwrap()[..4].to_vec();
    assert_eq!(lifetime, 30_u32.to_be_bytes());
    let mut wire = bytes(SERVER_DATA);
    let verdict = session.open(&mut keys, &mut wire);
    assert_eq!(
        verdict,
        Verdict::Data {
            at: 5..55,
            used: 72
        }
    );
    assert_eq!(wire[5..55], data);
    let verdict = session.open(&mut keys, &mut bytes(SERVER_CLOSE));
    assert_eq!(verdict, Verdict::Closed { used: 24 });
}

#[test]
fn the_server_of_the_rfc_seals_and_opens_the_same() {
    let mut session = session(Role::Server, SERVER_SECRET, CLIENT_SECRET);
    session.tx.sequence = 1; // The ticket was the first.
    let (mut keys, mut out) = (Keys::new(), [0; 200]);
    let data: Vec<u8> = (0..50).collect();
    let pieces = [&data[..7], &data[7..]];
    let sealed = session.seal_gathered(&mut keys, pieces, &mut out).unwrap();
    assert_eq!(out[..sealed], bytes(SERVER_DATA));
    let sealed = session.close(&mut keys, &mut out);
    assert_eq!(out[..sealed], bytes(SERVER_CLOSE));

    let mut wire = [bytes(CLIENT_DATA), bytes(CLIENT_CLOSE)].concat();
    let verdict = session.open(&mut keys, &mut wire);
    assert_eq!(
        verdict,
        Verdict::Data {
            at: 5..55,
            used: 72
        }
    );
    assert_eq!(wire[5..55], data);
    let verdict = session.open(&mut keys, &mut wire[72..]);
    assert_eq!(verdict, Verdict::Closed { used: 24 });
}
