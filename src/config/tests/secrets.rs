//! Secrets: where they come from, what is refused, and that nobody sees them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::LEAST;
use crate::config::{Config, Mistakes, Token, load, parse};
use crate::fleet::{SameSite, Secret};
use crate::limits;

/// A folder with a configuration that names the file `key` beside it.
struct Place {
    folder: TempDir,
    config: PathBuf,
}

impl Place {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("ringway.toml");
        let backends = "pools.chat.backends = [\"10.0.0.1:9000\"]\n";
        fs::write(&config, LEAST.replace(backends, "") + settings).unwrap();
        Self { folder, config }
    }

    fn key(self, content: &[u8], mode: u32) -> Self {
        let path = self.path();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn load(&self) -> Result<Config, Mistakes> {
        load(&self.config)
    }

    /// The one mistake, without what stands before its path.
    fn mistake(&self) -> String {
        let mistakes = self.load().unwrap_err();
        let all: Vec<_> = mistakes.iter().collect();
        assert_eq!(all.len(), 1, "{mistakes}");
        format!("{}: {}", all[0].path, all[0].message)
    }
}

const STICKY: &str = "\
[pools.chat]
backends = [\"10.0.0.1:9000\"]
sticky = { secret_file = \"key\", same_site = \"none\", secure = true }
";
const TOKEN: &str = "\
[pools.chat]
backends = [\"10.0.0.1:9000\"]
[control]
bind = \"[::]:9090\"
token_file = \"key\"
";

fn hex(text: &str) -> Secret {
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    }
    Secret(key)
}

fn expect(wrong: &Path, given: &str) -> String {
    given.replace("KEY", &wrong.display().to_string())
}

#[test]
fn a_key_is_the_sha_256_of_a_file_beside_the_configuration() {
    let place = Place::new(STICKY).key(b"0123456789abcdef0123456789abcdef", 0o640);
    let sticky = place.load().unwrap().pools[0].sticky.clone().unwrap();
    // What `sha256sum` says.
    let digest = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";
    assert_eq!(sticky.secret, hex(digest));
    assert_eq!(
        (&*sticky.cookie, sticky.same_site),
        ("ringway", SameSite::None)
    );
    assert!(sticky.secure);
    assert_eq!(sticky.lifetime, None);
}

#[test]
fn a_file_that_is_no_secret_is_refused() {
    let of = "pools.chat.sticky.secret_file: expected a file of 32B to 4KiB, found";
    let said = |content: &[u8], mode| Place::new(STICKY).key(content, mode).mistake();
    assert_eq!(said(&[7; 31], 0o600), format!("{of} 31B"));
    let long = vec![7; limits::SECRET_FILE_BYTES_MAX + 1];
    assert_eq!(said(&long, 0o600), format!("{of} more than 4KiB"));
    for mode in [0o604, 0o602] {
        let place = Place::new(STICKY).key(&[7; 32], mode);
        let remedy = "one that everybody may read or write (chmod o-rwx KEY)";
        let expected = expect(&place.path(), &format!("{of} {remedy}"));
        assert_eq!(place.mistake(), expected);
    }
    let place = Place::new(STICKY);
    let missing = expect(&place.path(), "KEY: No such file or directory (os error 2)");
    assert_eq!(place.mistake(), format!("{of} {missing}"));
    fs::create_dir(place.path()).unwrap();
    assert_eq!(
        place.mistake(),
        format!("{of} something that is not a file")
    );
}

#[test]
fn a_pipe_in_place_of_a_secret_does_not_stop_the_start() {
    let place = Place::new(STICKY);
    let made = std::process::Command::new("mkfifo")
        .arg(place.path())
        .status();
    assert!(made.unwrap().success());
    assert!(
        place
            .mistake()
            .ends_with("found something that is not a file")
    );
}

#[test]
fn a_control_listener_for_everybody_asks_for_a_token() {
    let place = Place::new(TOKEN).key(b"a-token-that-is-long\n", 0o600);
    let config = place.load().unwrap();
    assert_eq!(
        config.control.token,
        Some(Token::of(b"a-token-that-is-long"))
    );
    let place = Place::new(TOKEN).key(b"short\n", 0o600);
    assert_eq!(
        place.mistake(),
        "control.token_file: expected a file with 16 to 1024 visible ASCII characters in one line, \
         found 6B of something else"
    );
}

#[test]
fn this_machine_needs_no_token() {
    for address in [
        "127.0.0.1:9",
        "127.8.8.8:9",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
    ] {
        let text = format!("control.bind = \"{address}\"\n{LEAST}");
        assert_eq!(parse("a.toml", &text).unwrap().control.token, None);
    }
    for address in ["10.0.0.1:9", "[2001:db8::1]:9", "[::ffff:10.0.0.1]:9"] {
        let text = format!("control.bind = \"{address}\"\n{LEAST}");
        let said = parse("a.toml", &text).unwrap_err().to_string();
        assert!(said.contains("token_file beside it"), "{said}");
    }
}

#[test]
fn no_secret_is_shown_when_it_is_right_or_wrong() {
    let hex = "c0ffee".repeat(11);
    let sticky = |secret: &str| {
        let text = format!("pools.chat.sticky.secret = {secret}\n{LEAST}");
        parse("a.toml", &text)
    };
    let right = sticky(&format!("\"{}\"", &hex[..64])).unwrap();
    let shown = format!("{right:?}");
    assert!(shown.contains("Sticky"), "{shown}");
    // Neither as it was written nor as a list of bytes.
    assert!(
        !shown.contains("c0ffee") && !shown.contains("192, 255, 238"),
        "{shown}"
    );
    for wrong in [
        format!("\"{hex}\""),
        "123456789".to_owned(),
        "[\"c0ffee\"]".to_owned(),
    ] {
        let said = sticky(&wrong).unwrap_err().to_string();
        assert!(
            !said.contains("c0ffee") && !said.contains("123456789"),
            "{said}"
        );
    }
}

#[test]
fn the_fuzzer_reads_no_file() {
    let place = Place::new(STICKY).key(&[7; 32], 0o600);
    let key = place.path();
    let text = fs::read_to_string(&place.config).unwrap();
    let text = text.replace("\"key\"", &format!("{key:?}"));
    assert!(parse("a.toml", &text).is_ok());
    let mistakes = crate::config::parse_in(None, "a.toml", &text).unwrap_err();
    assert!(
        mistakes
            .to_string()
            .ends_with("found one that is not read here")
    );
}
