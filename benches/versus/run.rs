//! One run: every case, every group of proxies, written down after each row.

use crate::args::Args;
use crate::case::Case;
use crate::folder::Folder;
use crate::host::{self, Host};
use crate::plan;
use crate::proxy::Proxy;
use crate::remote::{Agent, Who};
use crate::report::Report;
use crate::round::Ground;

/// Measures what the command line asks for.
pub(crate) fn run(args: &Args, folder: &Folder) -> anyhow::Result<Report> {
    let ground = plan::ground(args)?;
    let who = args.agent.map(|address| Agent(address).order::<Who>("who"));
    let who = who.transpose()?;
    let groups = match &who {
        Some(who) => plan::groups_there(args, who)?,
        None => plan::groups(args)?,
    };
    let versions = groups.iter().flatten().map(Proxy::described);
    let mut report = Report::new(
        command(),
        Host::read(),
        who.map(|who| who.host),
        versions.collect(),
    );
    if args.tls {
        let settings = groups.iter().flatten().map(Proxy::tls_settings);
        report.tls_settings = settings.collect();
    }
    let mut reference = Reference::default();
    for case in plan::cases(args, &ground)? {
        for group in &groups {
            if ground.is_over() {
                let names: Vec<&str> = group.iter().map(|proxy| proxy.name.as_str()).collect();
                let names = names.join(", ");
                report
                    .notes
                    .push(format!("{}, {names}: no time left", case.name));
                continue;
            }
            let able: Vec<Proxy> = able(&mut report, &case, group);
            let rate = reference.rate(&mut report, &ground, &case, group)?;
            report.take(ground.contest(&case, &able, rate));
            // Written after every row, so that a run which is cut short has not been for nothing.
            folder.save(&report)?;
        }
    }
    report.host.load_after = host::load();
    folder.save(&report)?;
    Ok(report)
}

/// Those who can take the case; a note says who cannot.
fn able(report: &mut Report, case: &Case, group: &[Proxy]) -> Vec<Proxy> {
    let (able, others): (Vec<&Proxy>, Vec<&Proxy>) =
        group.iter().partition(|proxy| proxy.takes(&case.load));
    for other in others {
        report
            .notes
            .push(format!("{}: not for {}", case.title(), other.name));
    }
    able.into_iter().cloned().collect()
}

/// The first peer's limit sets the rate for all, so that their latencies stand beside each other.
#[derive(Default)]
struct Reference(Option<f64>);

impl Reference {
    fn rate(
        &mut self,
        report: &mut Report,
        ground: &Ground,
        case: &Case,
        group: &[Proxy],
    ) -> anyhow::Result<Option<f64>> {
        let Some(percent) = case.percent() else {
            return Ok(None);
        };
        let peer = &group[1.min(group.len() - 1)];
        let most = match self.0 {
            Some(most) => most,
            None => ground.saturation(peer)?,
        };
        if self.0.replace(most).is_none() {
            report.notes.push(format!(
                "The latency rates are shares of {most:.0} messages/s, the most that 64 tunnels got through {}.",
                peer.name
            ));
        }
        Ok(Some(most / 100.0 * f64::from(percent)))
    }
}

/// The words that started this, as a person would type them.
fn command() -> String {
    let args = std::env::args().skip(1).filter(|word| word != "--bench");
    let words: Vec<String> = args.collect();
    format!("cargo versus {}", words.join(" "))
        .trim_end()
        .to_owned()
}
