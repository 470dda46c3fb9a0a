//! Runs a family: each case to the server directly, and through Ringway at each level; both must be right.

use std::fmt::Write as _;

use ringway::control::Running;
use ringway::ws::Rule;
use ringway::ws::close::PROTOCOL_ERROR;

use crate::LEVELS;
use crate::case::{Answer, Case, Cut, End, Judge, Message};
use crate::servers::{Kind, Server};
use crate::support::pairs::all_home;
use crate::support::{metric, start_with};
use crate::talk::{Seen, talk};

/// Every case in every cut, with each of these servers. `fragment_bytes` is the largest fragment they send.
pub(crate) fn prove(kinds: &[Kind], fragment_bytes: usize, cases: &[Case]) {
    assert!(!cases.is_empty(), "a family of no cases proves nothing");
    let mut complaints = Vec::new();
    for kind in kinds {
        let server = Server::start(*kind, fragment_bytes);
        let ringways: Vec<_> = LEVELS
            .iter()
            .map(|level| start_with(&[server.address], "", "", level))
            .collect();
        let mut breaches = 0;
        for (case, cut) in conversations(cases) {
            let scene = Scene {
                case,
                cut,
                kind: *kind,
            };
            breaches += u32::from(case.judge == Judge::Headers);
            // All at the same time: most of it is waiting.
            let (direct, through) = std::thread::scope(|scope| {
                let through: Vec<_> = ringways
                    .iter()
                    .map(|ringway| scope.spawn(|| talk(ringway.listening[0], case, cut)))
                    .collect();
                let direct = talk(server.address, case, cut);
                let through = through.into_iter().map(|seen| seen.join().unwrap());
                (direct, through.collect::<Vec<_>>())
            });
            scene.judge(None, &direct, None, &mut complaints);
            for (level, seen) in LEVELS.iter().zip(&through) {
                scene.judge(Some(level), seen, direct.as_ref().ok(), &mut complaints);
            }
        }
        for (level, ringway) in LEVELS.iter().zip(&ringways) {
            all_home(ringway);
            let refused = refused(ringway);
            if (refused - f64::from(breaches)).abs() > 0.5 {
                complaints.push(format!(
                    "Ringway [{level}] before {kind:?} refused {refused} of {breaches} breaches"
                ));
            }
        }
    }
    let shown = complaints.len().min(COMPLAINTS_SHOWN);
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints[..shown].join("\n")
    );
}

fn conversations(cases: &[Case]) -> impl Iterator<Item = (&Case, Cut)> {
    let cuts = |case: &Case| case.cuts.clone().into_iter();
    cases
        .iter()
        .flat_map(move |case| cuts(case).map(move |cut| (case, cut)))
}

/// How many conversations Ringway refused itself. A strict server hides a lax Ringway, but not from this count.
fn refused(ringway: &Running) -> f64 {
    let rules = Rule::ALL
        .iter()
        .filter(|rule| rule.close_code() == PROTOCOL_ERROR);
    let counts = rules.map(|rule| {
        let row = format!("ringway_frame_violations_total{{rule=\"{}\"", rule.label());
        metric(ringway, &row)
    });
    counts.sum()
}

/// One conversation that is held several times.
struct Scene<'a> {
    case: &'a Case,
    cut: Cut,
    kind: Kind,
}

impl Scene<'_> {
    /// Adds a complaint unless what was seen is right. `level` is that of the Ringway between, if there is one;
    /// what it does not judge must be the same as directly, frame by frame.
    fn judge(
        &self,
        level: Option<&str>,
        seen: &Result<Seen, String>,
        direct: Option<&Seen>,
        complaints: &mut Vec<String>,
    ) {
        let is_ours = level.is_some_and(|level| self.case.judge.is_ringway(level));
        let wanted = if is_ours {
            &self.case.wanted
        } else {
            self.case.of(self.kind)
        };
        // Who breaks a rule before the echo of the message in front of it is there need not get that any more.
        let may_miss_some = is_ours && self.cut != Cut::Answered;
        let verdict = match seen {
            Ok(seen) => fits(seen, wanted, self.case.extensions[1], may_miss_some)
                .and_then(|()| match direct {
                    Some(direct) if !is_ours && seen != direct => {
                        Err("not the frames that come directly".into())
                    }
                    _ => Ok(()),
                })
                .map_err(|why| format!("{why}\n    came   {}", seen.shown())),
            Err(why) => Err(why.clone()),
        };
        if let Err(why) = verdict {
            let place = level.map_or("directly".into(), |level| {
                format!("through Ringway [{level}]")
            });
            complaints.push(format!(
                "{}, {:?}, {place} with {:?}: {why}\n    wanted {}",
                self.case.name,
                self.cut,
                self.kind,
                wanted.shown()
            ));
        }
    }
}

fn fits(seen: &Seen, wanted: &Answer, agreed: &str, may_miss_some: bool) -> Result<(), String> {
    let (replies, close) = seen.understood(agreed)?;
    let enough = if may_miss_some {
        wanted.replies.starts_with(&replies)
    } else {
        wanted.replies == replies
    };
    let code = close.and_then(|payload| payload.first_chunk::<2>());
    let ends_right = match &wanted.end {
        End::Close(payload) => close == Some(payload),
        End::Refused(codes) => code.is_some_and(|code| codes.contains(&u16::from_be_bytes(*code))),
    };
    let is_clean = seen.rest.is_empty() && seen.broke_off.is_none();
    match (enough, ends_right, is_clean) {
        (false, ..) => Err("wrong replies".into()),
        (_, false, _) => Err("wrong close".into()),
        (.., false) => Err("a stream that breaks off".into()),
        _ => Ok(()),
    }
}

impl Answer {
    fn shown(&self) -> String {
        let end = match &self.end {
            End::Close(payload) => format!("88 {}", hex(payload)),
            End::Refused(codes) => format!("88 with one of {codes:?}"),
        };
        format!("{}| {end}", list(&self.replies))
    }
}

impl Seen {
    fn shown(&self) -> String {
        let end = self
            .broke_off
            .map_or("end".into(), |kind| format!("{kind}"));
        format!("{}| {}| {end}", list(&self.frames), hex(&self.rest))
    }
}

fn list(messages: &[Message]) -> String {
    let mut text = String::new();
    for (first, payload) in messages.iter().take(FRAMES_SHOWN) {
        write!(text, "{first:02x} {}; ", hex(payload)).unwrap();
    }
    if let Some(more) = messages
        .len()
        .checked_sub(FRAMES_SHOWN)
        .filter(|more| *more > 0)
    {
        write!(text, "and {more} more; ").unwrap();
    }
    text
}

/// The length and the first bytes.
fn hex(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(BYTES_SHOWN)];
    start
        .iter()
        .fold(format!("({}) ", bytes.len()), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

const COMPLAINTS_SHOWN: usize = 20;
const FRAMES_SHOWN: usize = 10;
const BYTES_SHOWN: usize = 64;
