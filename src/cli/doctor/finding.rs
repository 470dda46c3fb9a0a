//! One thing that `doctor` looked at, and the findings as a table and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::tuning::{Script, Tuning};

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Finding {
    pub(in crate::cli) check: String,
    pub(in crate::cli) status: Status,
    pub(in crate::cli) found: String,
    pub(in crate::cli) wants: String,
    /// Why it matters.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(in crate::cli) why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Status {
    Ok,
    /// It runs, but not as well or not as far as it could.
    Warn,
    /// It does not run.
    Fail,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    findings: &'a [Finding],
}

impl Status {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl Finding {
    pub(super) fn ok(check: &str, found: impl Into<String>, wants: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            status: Status::Ok,
            found: found.into(),
            wants: wants.into(),
            why: "",
            fix: None,
        }
    }

    /// Says why it matters.
    pub(super) fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// Becomes a warning with a fix unless `good`.
    pub(super) fn or_warn(self, good: bool, fix: impl FnOnce() -> String) -> Self {
        self.unless(good, Status::Warn, fix)
    }

    /// Becomes a failure with a fix unless `good`.
    pub(super) fn or_fail(self, good: bool, fix: impl FnOnce() -> String) -> Self {
        self.unless(good, Status::Fail, fix)
    }

    fn asks_for_a_script(&self) -> bool {
        self.fix
            .as_ref()
            .is_some_and(|fix| fix.contains(".sh apply"))
    }

    fn unless(mut self, good: bool, status: Status, fix: impl FnOnce() -> String) -> Self {
        // A failure that was already found stays.
        if !good && self.status != Status::Fail {
            self.status = status;
            self.fix = Some(fix());
        }
        self
    }
}

pub(super) fn fails(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.status == Status::Fail)
}

pub(super) fn json(findings: &[Finding]) -> anyhow::Result<String> {
    let report = Report {
        ok: !fails(findings),
        findings,
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// If a script of `tuning/` is asked for, the last line names the one that runs them all.
pub(super) fn table(findings: &[Finding], tuning: &Tuning) -> String {
    let width = |column: fn(&Finding) -> &str| {
        findings
            .iter()
            .map(|finding| column(finding).chars().count())
            .max()
            .unwrap_or(0)
    };
    let check_width = width(|finding| &finding.check);
    let found_width = width(|finding| &finding.found);
    let mut text = String::new();
    for finding in findings {
        let (status, check) = (finding.status.label(), &finding.check);
        let (found, wants) = (&finding.found, &finding.wants);
        // Writing to a String never fails.
        let _ = writeln!(
            text,
            "{status:<4}  {check:<check_width$}  {found:<found_width$}  wants {wants}"
        );
        if let Some(fix) = &finding.fix {
            if !finding.why.is_empty() {
                let _ = writeln!(text, "      {:<check_width$}  why: {}", "", finding.why);
            }
            let _ = writeln!(text, "      {:<check_width$}  fix: {fix}", "");
        }
    }
    let count = |status| {
        findings
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    };
    let (warn, fail) = (count(Status::Warn), count(Status::Fail));
    let _ = writeln!(
        text,
        "\n{} checks, {warn} warnings, {fail} failures",
        findings.len()
    );
    if findings.iter().any(Finding::asks_for_a_script) {
        let all = tuning.apply(Script::All);
        let _ = writeln!(text, "all of tuning/ at once: {all}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::tuning::Profile;

    #[test]
    fn the_table_and_the_json_say_the_same() {
        let findings = [
            Finding::ok("a", "1", "1"),
            Finding::ok("b", "1", "2")
                .because("it must")
                .or_fail(false, || "do this".to_owned()),
        ];
        let tuning = Tuning::of_the_tree(Profile::ManyIdle);
        let text = table(&findings, &tuning);
        assert!(
            text.contains("FAIL  b  1  wants 2\n         why: it must\n         fix: do this\n"),
            "{text}"
        );
        assert!(
            text.ends_with("2 checks, 0 warnings, 1 failures\n"),
            "{text}"
        );
        let report: serde_json::Value = serde_json::from_str(&json(&findings).unwrap()).unwrap();
        assert_eq!(report["ok"], false);
        assert_eq!(report["findings"][1]["fix"], "do this");
        assert_eq!(report["findings"][1]["status"], "fail");
        assert_eq!(report["findings"][1]["why"], "it must");
        assert!(report["findings"][0].get("fix").is_none());
    }

    #[test]
    fn who_needs_a_script_is_told_of_the_one_that_runs_them_all() {
        let tuning = Tuning::of_the_tree(Profile::LowLatency);
        let one = Finding::ok("a", "1", "2").or_warn(false, || tuning.apply(Script::Sockets));
        let text = table(&[one], &tuning);
        assert!(
            text.ends_with("at once: sudo tuning/all.sh apply --profile low-latency\n"),
            "{text}"
        );
    }
}
