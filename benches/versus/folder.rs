//! The folder of a run: the numbers, the page, the pictures.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::page::page;
use crate::plot::{pictures, svg};
use crate::report::{Report, SCHEMA};

/// Where a run is written.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make(path: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    /// Writes everything; what was there of an earlier row is replaced.
    pub(crate) fn save(&self, report: &Report) -> anyhow::Result<()> {
        self.write(RESULTS, &serde_json::to_string_pretty(report)?)?;
        let mut files = Vec::new();
        for (name, picture) in pictures(report) {
            let file = format!("{name}.svg");
            self.write(&file, &svg(&picture)?)?;
            files.push(file);
        }
        self.write("report.md", &page(report, &files))
    }

    /// What an earlier run wrote.
    pub(crate) fn read(&self) -> anyhow::Result<Report> {
        let path = self.0.join(RESULTS);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let report: Report = serde_json::from_str(&text)
            .with_context(|| format!("understanding {}", path.display()))?;
        ensure!(
            report.schema == SCHEMA,
            "{} has schema {}, not {SCHEMA}",
            path.display(),
            report.schema
        );
        Ok(report)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.0.join(file);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

const RESULTS: &str = "results.json";
