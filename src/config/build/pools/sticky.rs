//! `[pools.NAME.sticky]`: the cookie that brings a client back.

use super::from_secret_file;
use crate::config::kind::{self, Kind};
use crate::config::raw::{Place, Table};
use crate::config::secret;
use crate::config::units::Size;
use crate::fleet::{SameSite, Secret, Sticky};
use crate::limits;
use crate::sync::Arc;

/// Nothing if it has no secret, which has then been noted.
pub(super) fn sticky(table: &mut Table<'_>) -> Option<Arc<Sticky>> {
    let cookie = table.given("cookie", &kind::token("the name of a cookie"));
    let secret = secret(table);
    let same_site = kind::word(SameSite::ALL.map(|site| (site.label(), site)));
    let same_site = table.given("same_site", &same_site);
    let secure = table.value("secure", &kind::flag(), false);
    let lifetime = kind::seconds(limits::STICKY_LIFETIME).or_word("session");
    let lifetime = table.value("lifetime", &lifetime, None);
    if !secure {
        let everywhere = same_site
            .as_ref()
            .filter(|given| given.value == SameSite::None);
        let prefixed = cookie
            .as_ref()
            .filter(|given| is_for_tls_only(&given.value));
        refused_by_browsers(table, everywhere.map(|given| &given.place));
        refused_by_browsers(table, prefixed.map(|given| &given.place));
    }
    let cookie = cookie.map_or(limits::STICKY_COOKIE.into(), |given| given.value.into());
    Some(Arc::new(Sticky {
        cookie,
        secret: secret?,
        same_site: same_site.map_or(SameSite::default(), |given| given.value),
        secure,
        lifetime,
    }))
}

/// The key, from a file or from the setting beside it. Neither is ever shown.
fn secret(table: &mut Table<'_>) -> Option<Secret> {
    let file = table.item("secret_file");
    let inline = table.item("secret");
    let report = table.report();
    match (&file, &inline) {
        (Some(file), Some(_)) => {
            let expected = "either secret_file or secret";
            report.wrong(file.place(), expected, "both", "");
        }
        (None, None) => {
            let note = "head -c 32 /dev/urandom > sticky.key && chmod 600 sticky.key";
            let expected = "secret_file or secret";
            report.wrong(table.place(), expected, "neither", note);
        }
        _ => {}
    }
    let inline = inline.map(|item| item.read_hidden(&hex()));
    let file = file.map(|item| item.read(&kind::file()));
    if let Some(inline) = inline {
        return inline.map(|given| given.value);
    }
    let (least, most) = (
        limits::STICKY_SECRET_BYTES_LEAST,
        limits::SECRET_FILE_BYTES_MAX,
    );
    let size = |bytes: usize| Size(bytes as u64);
    let expected = format!("a file of {} to {}", size(least), size(most));
    from_secret_file(&file??, &expected, report, |content| {
        if content.len() < least {
            return Err(size(content.len()).to_string());
        }
        Ok(Secret(secret::digest(content)))
    })
}

/// A key of 32 bytes.
fn hex() -> Kind<Secret> {
    Kind::new("64 hexadecimal digits", |value| {
        let text = value.as_str()?;
        let mut key = [0; 32];
        if text.len() != 2 * key.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Secret(key))
    })
}

/// Whether browsers take a cookie of this name over TLS only (RFC 6265bis section 4.1.3).
fn is_for_tls_only(cookie: &str) -> bool {
    let lower = cookie.to_ascii_lowercase();
    lower.starts_with("__secure-") || lower.starts_with("__host-")
}

fn refused_by_browsers(table: &Table<'_>, place: Option<&Place>) {
    if let Some(place) = place {
        let note = "browsers refuse such a cookie without it";
        let expected = "secure = true beside it";
        table.report().wrong(place, expected, "false", note);
    }
}
