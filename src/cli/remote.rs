//! Asks the control listener of a running Ringway, over a connection for each question.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::clock::Now;
use crate::limits;

/// Which Ringway is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct RemoteArgs {
    /// Where its control listener is.
    #[arg(long, default_value_t = limits::CONTROL_ADDRESS, value_name = "ADDRESS")]
    pub control: SocketAddr,
    /// The file with its token, if it takes one.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// A running Ringway.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    control: SocketAddr,
    token: Option<String>,
}

/// What it answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// The body of a 200. Anything else is an error, in the words of the answer.
    pub(super) fn good(self) -> anyhow::Result<String> {
        if self.status == 200 {
            return Ok(self.body);
        }
        let words: Option<String> = serde_json::from_str(&self.body)
            .ok()
            .and_then(|body: serde_json::Value| Some(body.get("error")?.as_str()?.to_owned()));
        let words = words.unwrap_or_else(|| format!("it answered {}", self.status));
        if self.status == 401 {
            bail!("{words}; give its file with --token-file");
        }
        bail!("{words}")
    }
}

impl Remote {
    pub(super) fn new(args: &RemoteArgs) -> anyhow::Result<Self> {
        let token = args.token_file.as_deref().map(read_token).transpose()?;
        Ok(Self {
            control: args.control,
            token,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.control
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask("GET", path)
    }

    pub(super) fn post(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask("POST", path)
    }

    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let control = self.control;
        let bytes = self.exchange(method, path).with_context(|| {
            format!("no answer from {control}; does Ringway run, and is this its control listener?")
        })?;
        parse(&bytes).with_context(|| format!("{control} is not Ringway's control listener"))
    }

    fn exchange(&self, method: &str, path: &str) -> io::Result<Vec<u8>> {
        let deadline = Now::read().after(limits::REMOTE_TIMEOUT);
        let mut stream = TcpStream::connect_timeout(&self.control, limits::REMOTE_TIMEOUT)?;
        stream.set_write_timeout(Some(limits::REMOTE_TIMEOUT))?;
        stream.write_all(self.head(method, path).as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let left = deadline.since(Now::read());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece) {
                Ok(0) => return Ok(answer),
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
            if answer.len() > limits::REMOTE_BYTES_MAX {
                return Err(io::Error::other("the answer does not end"));
            }
        }
    }

    fn head(&self, method: &str, path: &str) -> String {
        let token = self.token.as_deref().map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        let control = self.control;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {control}\r\nContent-Length: 0\r\n\
             Connection: close\r\n{token}\r\n"
        )
    }
}

/// The token in a file, without the line's end that editors add.
fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    let token = text.trim();
    let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || !is_visible {
        bail!(
            "{}: expected a token of visible ASCII characters in one line",
            file.display()
        );
    }
    Ok(token.to_owned())
}

/// One whole answer with a length, as the control listener sends it.
fn parse(bytes: &[u8]) -> anyhow::Result<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes)? else {
        bail!("its answer ends within the head");
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let body = &bytes[head_bytes..];
    if length != Some(body.len()) {
        bail!("its answer is cut, or has no length");
    }
    Ok(Answer {
        status: response.code.unwrap_or(0),
        body: str::from_utf8(body)?.to_owned(),
    })
}

/// One part of a path, with everything escaped that is not plain.
pub(super) fn escaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_it_is_none() {
        let right = "HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}";
        let answer = parse(right.as_bytes()).unwrap();
        assert_eq!((answer.status, &*answer.body), (404, "{\"error\":\"no\"}"));
        assert_eq!(answer.good().unwrap_err().to_string(), "no");
        for cut in 0..right.len() {
            assert!(parse(&right.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert!(parse(b"SSH-2.0-OpenSSH_9.6\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").is_err());
    }

    #[test]
    fn a_refusal_says_what_to_do_or_at_least_its_status() {
        let words = |status, body: &str| {
            let body = body.to_owned();
            Answer { status, body }.good().unwrap_err().to_string()
        };
        assert_eq!(words(502, "<html>"), "it answered 502");
        assert_eq!(
            words(401, "{\"error\":\"this takes a token\"}"),
            "this takes a token; give its file with --token-file"
        );
    }

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        assert_eq!(escaped("10.0.0.11:9000"), "10.0.0.11:9000");
        assert_eq!(escaped("[::1]:9000"), "%5B::1%5D:9000");
        assert_eq!(escaped("a/b c?d#é%"), "a%2Fb%20c%3Fd%23%C3%A9%25");
    }

    #[test]
    fn a_token_is_one_line_and_never_ends_a_head() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_token(&file)
        };
        assert_eq!(token("s3cret\n").unwrap(), "s3cret");
        for wrong in ["", "\n", "two words", "a\r\nHost: b", "é"] {
            assert!(token(wrong).is_err(), "{wrong:?}");
        }
        assert!(read_token(&folder.path().join("none")).is_err());
    }
}
