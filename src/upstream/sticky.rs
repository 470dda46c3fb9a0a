//! The value of the sticky cookie: who is meant and since when, signed.
//!
//! ```text
//!  0              8           12                              28
//! ┌──────────────┬───────────┬───────────────────────────────┐
//! │ alias        │ issued    │ code over cookie name, alias  │   base64url, 38 characters
//! │ of a backend │ unix secs │ and time, cut to 16 bytes     │
//! └──────────────┴───────────┴───────────────────────────────┘
//! ```

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::fleet::{Alias, BackendId, Pool, Sticky};
use crate::http::{RequestHead, cookie_values};
use crate::limits;

/// What a client's cookie says about it, once it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returning {
    /// Where it was.
    pub backend: BackendId,
    /// Its cookie has lived for more than half its time.
    pub aged: bool,
}

/// Where the client was before, by the first of its cookies that is ours, still valid and means a backend of this
/// pool.
pub fn returning(pool: &Pool, head: &RequestHead<'_>, unix_seconds: u64) -> Option<Returning> {
    let sticky = pool.sticky.as_deref()?;
    cookie_values(head, &sticky.cookie)
        .take(limits::STICKY_COOKIES_READ_MAX)
        .find_map(|value| {
            let (alias, age) = verify(sticky, value, unix_seconds)?;
            Some(Returning {
                backend: pool.member_called(alias)?.id,
                aged: sticky.lifetime.is_some_and(|lifetime| age > lifetime / 2),
            })
        })
}

/// The value of a `Set-Cookie` for this backend, unless the client has one that is fresh enough.
pub fn set_cookie(
    pool: &Pool,
    returning: Option<Returning>,
    (backend, address): (BackendId, SocketAddr),
    unix_seconds: u64,
) -> Option<String> {
    let sticky = pool.sticky.as_deref()?;
    if returning.is_some_and(|returning| returning.backend == backend && !returning.aged) {
        return None;
    }
    let alias = sticky.alias(&pool.name, address);
    Some(render(sticky, &sign(sticky, alias, unix_seconds)))
}

/// The signed value.
fn sign(sticky: &Sticky, alias: Alias, unix_seconds: u64) -> String {
    let issued = u32::try_from(unix_seconds).unwrap_or(u32::MAX);
    let mut bytes = [0; VALUE_BYTES];
    bytes[..8].copy_from_slice(&alias.0.to_be_bytes());
    bytes[8..SIGNED_BYTES].copy_from_slice(&issued.to_be_bytes());
    let code = code_of(sticky, &bytes[..SIGNED_BYTES]);
    bytes[SIGNED_BYTES..].copy_from_slice(&code);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Who a value means and how old it is, if we signed it for this cookie and its time is not over. A time that has
/// not come yet is that of a host whose clock is ahead.
fn verify(sticky: &Sticky, value: &[u8], unix_seconds: u64) -> Option<(Alias, Duration)> {
    // The decoder wants room for whole groups of three.
    let mut room = [0; VALUE_BYTES.next_multiple_of(3)];
    let length = URL_SAFE_NO_PAD.decode_slice(value, &mut room).ok()?;
    let bytes = room[..length].first_chunk::<VALUE_BYTES>()?;
    let (signed, code) = bytes.split_at(SIGNED_BYTES);
    if length != VALUE_BYTES || !bool::from(code_of(sticky, signed).ct_eq(code)) {
        return None;
    }
    let (alias, issued) = signed.split_first_chunk()?;
    let issued = u32::from_be_bytes(issued.try_into().ok()?);
    let age = Duration::from_secs(unix_seconds.saturating_sub(issued.into()));
    let lives = sticky.lifetime.is_none_or(|lifetime| age <= lifetime);
    lives.then_some((Alias(u64::from_be_bytes(*alias)), age))
}

fn code_of(sticky: &Sticky, signed: &[u8]) -> [u8; CODE_BYTES] {
    let code = sticky
        .secret
        .code(&[b"cookie", sticky.cookie.as_bytes(), signed]);
    std::array::from_fn(|place| code[place])
}

/// The cookie with its attributes (RFC 6265 section 4.1).
fn render(sticky: &Sticky, value: &str) -> String {
    let site = sticky.same_site.attribute();
    let mut text = format!(
        "{}={value}; Path=/; HttpOnly; SameSite={site}",
        sticky.cookie
    );
    if sticky.secure {
        text.push_str("; Secure");
    }
    if let Some(lifetime) = sticky.lifetime {
        // Writing to a String never fails.
        let _ = write!(text, "; Max-Age={}", lifetime.as_secs());
    }
    text
}

/// The alias and the time.
const SIGNED_BYTES: usize = 8 + 4;
/// 128 bits: nobody guesses them, and the cookie stays short.
const CODE_BYTES: usize = 16;
const VALUE_BYTES: usize = SIGNED_BYTES + CODE_BYTES;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{Member, PolicyKind, PoolId, SameSite, Secret, Weight};
    use crate::sync::Arc;

    const NOW: u64 = 1_800_000_000;

    fn sticky() -> Sticky {
        Sticky {
            cookie: "ringway".into(),
            secret: Secret([7; 32]),
            same_site: SameSite::Lax,
            secure: false,
            lifetime: Some(Duration::from_hours(1)),
        }
    }

    fn pool(name: &str, sticky: Sticky) -> Pool {
        let member = |port| {
            let address = SocketAddr::from(([10, 0, 0, 1], port));
            Member::new(BackendId(port), address, Weight::ONE)
        };
        let members = (1..=3).map(member).collect();
        let mut pool = Pool::new(PoolId(0), name, PolicyKind::RoundRobin, members);
        pool.sticky = Some(Arc::new(sticky));
        pool.with_aliases()
    }

    fn two() -> (BackendId, SocketAddr) {
        (BackendId(2), SocketAddr::from(([10, 0, 0, 1], 2)))
    }

    /// The cookie a client of this pool has got for backend 2, and when it comes back.
    fn given(pool: &Pool) -> String {
        let text = set_cookie(pool, None, two(), NOW).unwrap();
        text.split_once(';').unwrap().0.to_owned()
    }

    fn shown(pool: &Pool, cookies: &str, later: u64) -> Option<Returning> {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookies}\r\n\r\n");
        returning(
            pool,
            &RequestHead::parse(bytes.as_bytes()).unwrap(),
            NOW + later,
        )
    }

    #[test]
    fn a_client_comes_back_to_where_it_was() {
        let pool = pool("chat", sticky());
        let cookie = given(&pool);
        for (later, aged) in [(0, false), (1800, false), (1801, true), (3600, true)] {
            let back = shown(&pool, &format!("a=b; {cookie}"), later).unwrap();
            assert_eq!((back.backend, back.aged), (BackendId(2), aged), "{later}");
            assert_eq!(set_cookie(&pool, Some(back), two(), NOW).is_some(), aged);
            let three = (BackendId(3), two().1);
            assert!(set_cookie(&pool, Some(back), three, NOW).is_some());
        }
        assert_eq!(shown(&pool, &cookie, 3601), None, "its time is over");
    }

    #[test]
    fn a_cookie_without_a_lifetime_neither_ends_nor_ages() {
        let mut session = sticky();
        session.lifetime = None;
        let pool = pool("chat", session);
        let back = shown(&pool, &given(&pool), 100 * 365 * 24 * 3600 / 2).unwrap();
        assert_eq!((back.backend, back.aged), (BackendId(2), false));
    }

    #[test]
    fn only_the_cookie_of_this_pool_name_secret_and_length_counts() {
        let own = pool("chat", sticky());
        let cookie = given(&own);
        let (_, value) = cookie.split_once('=').unwrap();
        assert_eq!(value.len(), 38);
        assert!(shown(&own, &cookie, 0).is_some());
        let mut named = sticky();
        named.cookie = "other".into();
        assert_eq!(
            shown(&pool("chat", named), &format!("other={value}"), 0),
            None
        );
        let mut secret = sticky();
        secret.secret = Secret([8; 32]);
        assert_eq!(shown(&pool("chat", secret), &cookie, 0), None);
        assert_eq!(shown(&pool("games", sticky()), &cookie, 0), None);
        for length in 0..value.len() {
            assert_eq!(
                shown(&own, &format!("ringway={}", &value[..length]), 0),
                None
            );
        }
        for changed in [
            format!("{value}A"),
            format!("{value}="),
            format!("\"{value}\""),
        ] {
            assert_eq!(shown(&own, &format!("ringway={changed}"), 0), None);
        }
    }

    #[test]
    fn a_forged_cookie_before_ours_does_not_hide_it_but_too_many_do() {
        let pool = pool("chat", sticky());
        let cookie = given(&pool);
        assert!(shown(&pool, &format!("ringway=x; {cookie}"), 0).is_some());
        let many = "ringway=x; ".repeat(limits::STICKY_COOKIES_READ_MAX);
        assert_eq!(shown(&pool, &format!("{many}{cookie}"), 0), None);
    }

    #[test]
    fn a_backend_that_left_the_pool_is_nobodys_home() {
        let full = pool("chat", sticky());
        let cookie = given(&full);
        let members = full
            .backends
            .iter()
            .filter(|member| member.id != BackendId(2));
        let mut smaller = full.clone();
        smaller.backends = members.cloned().collect::<Vec<_>>().into();
        assert_eq!(shown(&smaller.with_aliases(), &cookie, 0), None);
    }

    #[test]
    fn the_attributes_follow_the_settings() {
        let mut sticky = sticky();
        assert_eq!(
            render(&sticky, "v"),
            "ringway=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"
        );
        (sticky.same_site, sticky.secure, sticky.lifetime) = (SameSite::None, true, None);
        assert_eq!(
            render(&sticky, "v"),
            "ringway=v; Path=/; HttpOnly; SameSite=None; Secure"
        );
    }

    proptest! {
        /// One changed character, anywhere, and the value is a stranger's.
        #[test]
        fn no_value_is_forged(place in 0_usize..38, letter in "[A-Za-z0-9_-]") {
            let sticky = sticky();
            let value = sign(&sticky, Alias(42), NOW);
            let mut forged = value.clone();
            forged.replace_range(place..=place, &letter);
            prop_assert_eq!(verify(&sticky, forged.as_bytes(), NOW).is_some(), forged == value);
        }

        /// No bytes of a stranger are a valid value, and none is too odd to be looked at.
        #[test]
        fn no_noise_is_taken(noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(verify(&sticky(), &noise, NOW), None);
        }

        /// What was signed is read back, at any time.
        #[test]
        fn a_value_survives(alias: u64, issued: u32, later in 0_u64..3600) {
            let now = u64::from(issued) + later;
            let value = sign(&sticky(), Alias(alias), issued.into());
            let read = verify(&sticky(), value.as_bytes(), now);
            prop_assert_eq!(read, Some((Alias(alias), Duration::from_secs(later))));
        }
    }
}
