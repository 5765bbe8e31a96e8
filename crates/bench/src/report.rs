//! What a run leaves behind: a table on the screen, `report.json`, plots, and a Markdown file where asked for.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::floor::Limits;
use crate::machine::Machine;
use crate::meter::ByPart;
use crate::options::Options;
use crate::result::Measured;
use crate::system::Engine;

mod markdown;
mod number;
mod plots;
mod sheet;
mod svg;
mod table;

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// What that can do.
    pub limits: Limits,
    /// CPU microseconds a second that idle systems take, by part.
    pub idle: BTreeMap<Engine, ByPart>,
    /// Runs that the figures are medians of.
    pub runs: u32,
    /// The cases, in the order in which they were measured.
    pub measured: Vec<Measured>,
}

impl Report {
    /// Whether everything arrived exactly as often as expected, properly signed.
    pub fn is_complete(&self) -> bool {
        self.measured.iter().all(Measured::is_complete)
    }

    /// A sentence for each case that is not.
    pub fn complaints(&self) -> Vec<String> {
        let incomplete = self.measured.iter().filter(|measured| !measured.is_complete());
        let sentence = |measured: &Measured| {
            let faults = measured.faults;
            let words = measured.complaint.clone().unwrap_or_else(|| {
                format!(
                    "{} missing, {} repeated, {} not signed properly, {} not expected",
                    faults.missing, faults.repeated, faults.unsigned, faults.strange
                )
            });
            format!("{} {}, {}: {words}", measured.engine.as_str(), measured.scenario.letter(), measured.case)
        };
        incomplete.map(sentence).collect()
    }
}

/// Writes the files, prints the table.
///
/// # Errors
/// When a file cannot be written.
pub fn write(report: &Report, options: &Options) -> Result<()> {
    fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
    let json = serde_json::to_string_pretty(report)?;
    let files = plots::all(report).into_iter().chain([("report.json".to_owned(), json)]);
    for (name, text) in files {
        let path = options.out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.markdown {
        fs::write(path, markdown::render(report)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", table::render(report));
    println!("report.json and the plots are in {}", options.out.display());
    for complaint in report.complaints() {
        println!("INCOMPLETE: {complaint}");
    }
    Ok(())
}
