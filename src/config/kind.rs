//! The kinds of value a setting can have: what each expects, in words, and how it is read.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::units::{Percent, Size, Span};
use crate::fleet::{HostPattern, Weight};
use crate::http::is_token;
use crate::limits::{
    KEY_NAME_BYTES_MAX, NAME_BYTES_MAX, ROUTE_PATH_BYTES_MAX, Setting, WEIGHT_MAX,
};

/// One kind of value.
pub(super) struct Kind<T> {
    expected: String,
    read: Read<T>,
}

type Read<T> = Box<dyn Fn(&DeValue<'_>) -> Result<T, Note>>;

/// What may help someone whose value was not of the kind; often nothing.
#[derive(Debug, Default)]
pub(super) struct Note(pub(super) String);

impl<T: 'static> Kind<T> {
    /// A kind with nothing to add to what it expects.
    pub(super) fn new(
        expected: impl Into<String>,
        read: impl Fn(&DeValue<'_>) -> Option<T> + 'static,
    ) -> Self {
        Self::with_note(expected, move |value| read(value).ok_or_else(Note::default))
    }

    pub(super) fn with_note(
        expected: impl Into<String>,
        read: impl Fn(&DeValue<'_>) -> Result<T, Note> + 'static,
    ) -> Self {
        Self {
            expected: expected.into(),
            read: Box::new(read),
        }
    }

    /// This kind, or a word that stands for none of it.
    pub(super) fn or_word(self, word: &'static str) -> Kind<Option<T>> {
        let expected = format!("\"{word}\" or {}", self.expected);
        Kind::with_note(expected, move |value| match value.as_str() {
            Some(text) if text == word => Ok(None),
            _ => self.read(value).map(Some),
        })
    }
}

impl<T> Kind<T> {
    pub(super) fn expected(&self) -> &str {
        &self.expected
    }

    pub(super) fn read(&self, value: &DeValue<'_>) -> Result<T, Note> {
        (self.read)(value)
    }
}

/// A whole number in a range.
pub(super) fn whole<N>(range: RangeInclusive<N>) -> Kind<N>
where
    N: TryFrom<u64> + PartialOrd + Display + 'static,
{
    let expected = format!("{} to {}", range.start(), range.end());
    Kind::new(expected, move |value| {
        let number = value.as_integer()?;
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
        N::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
    })
}

/// A whole number as its setting bounds it.
pub(super) fn count(setting: Setting<u32>) -> Kind<u32> {
    whole(setting.least..=setting.most)
}

/// A duration as its setting bounds it.
pub(super) fn duration(setting: Setting<Duration>) -> Kind<Duration> {
    let range = setting.least..=setting.most;
    let expected = format!(
        "a duration from \"{}\" to \"{}\"",
        Span(setting.least),
        Span(setting.most)
    );
    Kind::with_note(expected, move |value| {
        let span = value.as_str().and_then(Span::parse);
        let Span(duration) = span.ok_or_else(|| unit_note(value, "ms, s, m, h or d"))?;
        range
            .contains(&duration)
            .then_some(duration)
            .ok_or_else(Note::default)
    })
}

/// A duration of whole seconds.
pub(super) fn seconds(setting: Setting<Duration>) -> Kind<Duration> {
    let Kind { expected, read } = duration(setting);
    Kind::with_note(format!("{expected} in whole seconds"), move |value| {
        let whole = |duration: &Duration| duration.subsec_nanos() == 0;
        read(value).and_then(|duration| Some(duration).filter(whole).ok_or_else(Note::default))
    })
}

/// A number of bytes in a range.
pub(super) fn size((least, most): (u32, u32)) -> Kind<u32> {
    let range = least..=most;
    let expected = format!(
        "a size from \"{}\" to \"{}\"",
        Size(least.into()),
        Size(most.into())
    );
    Kind::with_note(expected, move |value| {
        let size = value.as_str().and_then(Size::parse);
        let Size(bytes) = size.ok_or_else(|| unit_note(value, "B, KiB, MiB or GiB"))?;
        let bytes = u32::try_from(bytes)
            .ok()
            .filter(|bytes| range.contains(bytes));
        bytes.ok_or_else(Note::default)
    })
}

/// A percentage as its setting bounds it.
pub(super) fn percent(setting: Setting<u32>) -> Kind<u32> {
    let range = setting.least..=setting.most;
    let expected = format!(
        "a percentage from \"{}\" to \"{}\"",
        Percent(setting.least),
        Percent(setting.most)
    );
    Kind::with_note(expected, move |value| {
        let percent = value.as_str().and_then(Percent::parse);
        let Percent(percent) = percent.ok_or_else(|| percent_note(value))?;
        range
            .contains(&percent)
            .then_some(percent)
            .ok_or_else(Note::default)
    })
}

/// A power of two in a range.
pub(super) fn power_of_two((least, most): (u16, u16)) -> Kind<u16> {
    let number = whole(least..=most);
    Kind::new(
        format!("a power of two from {least} to {most}"),
        move |value| {
            number
                .read(value)
                .ok()
                .filter(|number| number.is_power_of_two())
        },
    )
}

/// One word of a few.
pub(super) fn word<T: Clone + 'static>(
    words: impl IntoIterator<Item = (&'static str, T)>,
) -> Kind<T> {
    let words: Vec<_> = words.into_iter().collect();
    Kind::new(either(words.iter().map(|(word, _)| *word)), move |value| {
        let text = value.as_str()?;
        let found = words.iter().find(|(word, _)| *word == text)?;
        Some(found.1.clone())
    })
}

/// `true` or `false`.
pub(super) fn flag() -> Kind<bool> {
    Kind::new("true or false", |value| match value {
        DeValue::Boolean(flag) => Some(*flag),
        _ => None,
    })
}

/// A text, whatever it says.
pub(super) fn text(expected: &str) -> Kind<String> {
    Kind::new(expected, |value| value.as_str().map(str::to_owned))
}

/// A name that travels in a head: of a cookie, or of a subprotocol. `what` says which.
pub(super) fn token(what: &str) -> Kind<String> {
    let expected = format!("{what}: a token of at most {KEY_NAME_BYTES_MAX} bytes");
    Kind::new(expected, |value| {
        let name = value.as_str()?;
        is_key_name(name).then(|| name.to_owned())
    })
}

/// Whether this may name a field, a cookie or a subprotocol.
pub(super) fn is_key_name(name: &str) -> bool {
    is_token(name) && name.len() <= KEY_NAME_BYTES_MAX
}

/// The path of a file.
pub(super) fn file() -> Kind<PathBuf> {
    Kind::new("the path of a file", |value| match value.as_str()? {
        "" => None,
        path => Some(path.into()),
    })
}

/// An address to listen on; port 0 lets the kernel choose.
pub(super) fn listen_address() -> Kind<SocketAddr> {
    let expected = "an IP address and port such as \"0.0.0.0:8080\" or \"[::]:8080\"";
    Kind::new(expected, |value| value.as_str()?.parse().ok())
}

/// The address of a backend.
pub(super) fn backend_address() -> Kind<SocketAddr> {
    let expected = "an IP address and port such as \"10.0.0.11:9000\" or \"[2001:db8::1]:9000\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let address: Option<SocketAddr> = text.parse().ok();
        let usable = |address: &SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
        address
            .filter(usable)
            .ok_or_else(|| Note(why_no_backend(text).to_owned()))
    })
}

/// A backend's share.
pub(super) fn weight() -> Kind<Weight> {
    let number = whole(1..=WEIGHT_MAX);
    Kind::with_note(number.expected.clone(), move |value| {
        let weight = number.read(value).ok().and_then(Weight::new);
        let is_zero = value
            .as_integer()
            .is_some_and(|number| number.as_str() == "0");
        let note = if is_zero {
            "to keep new tunnels away, drain it"
        } else {
            ""
        };
        weight.ok_or_else(|| Note(note.to_owned()))
    })
}

/// A network, or a single address.
pub(super) fn network() -> Kind<IpNet> {
    let expected = "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
    Kind::with_note(expected, |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let network = alone
            .or_else(|_| text.parse::<IpNet>())
            .map_err(|_| Note::default())?;
        if network == network.trunc() {
            Ok(network)
        } else {
            Err(Note(format!("did you mean {}?", network.trunc())))
        }
    })
}

/// A host of a route.
pub(super) fn host() -> Kind<HostPattern> {
    let expected = "a host without a port, such as \"chat.example.com\" or \"*.example.com\"";
    Kind::new(expected, |value| HostPattern::parse(value.as_str()?))
}

/// The path of a route.
pub(super) fn path() -> Kind<String> {
    let expected = "a path such as \"/\" or \"/chat\", without a final slash or a query";
    Kind::new(expected, |value| {
        let path = value.as_str()?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        let right = path == "/" || path.starts_with('/') && !path.ends_with('/');
        let right = right && path.len() <= ROUTE_PATH_BYTES_MAX && path.bytes().all(plain);
        right.then(|| path.to_owned())
    })
}

/// The name of a route: visible, and harmless inside quotes.
pub(super) fn route_name() -> Kind<String> {
    let expected =
        format!("1 to {NAME_BYTES_MAX} visible ASCII characters without quotes or backslashes");
    Kind::new(expected, |value| {
        let name = value.as_str()?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let right = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
        right.then(|| name.to_owned())
    })
}

/// Whether a listener or a pool may be called this.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// `"a", "b" or "c"`
fn either<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut quoted: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
    match quoted.pop() {
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
        None => String::new(),
    }
}

fn unit_note(value: &DeValue<'_>, units: &str) -> Note {
    let note = match value {
        DeValue::Integer(_) | DeValue::Float(_) => format!("write a text with a unit: {units}"),
        DeValue::String(_) => format!("a whole number and a unit: {units}"),
        _ => String::new(),
    };
    Note(note)
}

fn percent_note(value: &DeValue<'_>) -> Note {
    let number = match value {
        DeValue::Integer(number) => number.as_str(),
        DeValue::String(text) => text,
        _ => "",
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Note(if is_number {
        format!("did you mean \"{number}%\"?")
    } else {
        String::new()
    })
}

/// Why a text names no backend, as far as it can be told.
fn why_no_backend(text: &str) -> &'static str {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => "nobody listens on port 0",
        Ok(_) => "an unspecified address leads nowhere",
        Err(_) if text.parse::<IpAddr>().is_ok() => "the port is missing",
        Err(_) if text.contains("://") => "an address has no scheme",
        Err(_) if text.bytes().any(|byte| byte.is_ascii_alphabetic()) => {
            "names belong into discover"
        }
        Err(_) => "",
    }
}
