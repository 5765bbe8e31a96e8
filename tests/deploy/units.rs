//! The systemd units.

use std::process::Command;

use anyhow::Result;

use super::tools::{root, run};

const UNITS: [&str; 6] = [
    "whimbrel.service",
    "whimbrel@sender.service",
    "whimbrel-migrate.service",
    "whimbrel-topology.service",
    "whimbrel-prune.service",
    "whimbrel-prune.timer",
];

/// The units in a folder of their own, with a program that exists on every machine.
fn installed() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in std::fs::read_dir(root().join("deploy/systemd"))? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?.replace("/usr/bin/whimbrel", "/bin/true");
        std::fs::write(folder.path().join(entry.file_name()), text)?;
    }
    Ok(folder)
}

fn analyze() -> Option<Command> {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    there.then(|| Command::new("systemd-analyze"))
}

#[test]
fn systemd_takes_the_units() -> Result<()> {
    let Some(mut analyze) = analyze() else {
        println!("no systemd-analyze on this machine: the units were not checked");
        return Ok(());
    };
    let folder = installed()?;
    // A colon at the end: the system's own units as well.
    let path = format!("{}:", folder.path().display());
    let verify = analyze.env("SYSTEMD_UNIT_PATH", path).args(["verify", "--man=no", "--recursive-errors=no"]);
    let report = run(verify.args(UNITS.map(|unit| folder.path().join(unit))))?;
    assert_eq!(report, "");
    Ok(())
}

/// Of ten, ten being a process with every right.
#[test]
fn the_services_are_exposed_no_more_than_they_must() -> Result<()> {
    let folder = installed()?;
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        let Some(mut analyze) = analyze() else { return Ok(()) };
        let file = folder.path().join(unit.replace("@sender", "@"));
        run(analyze.args(["security", "--offline=yes", "--threshold=20", "--no-pager"]).arg(file))?;
    }
    Ok(())
}

/// A unit ends its process only after the sender has given up on its POSTs by itself.
#[test]
fn a_service_may_finish_its_posts() -> Result<()> {
    for unit in ["whimbrel.service", "whimbrel@.service"] {
        let text = std::fs::read_to_string(root().join("deploy/systemd").join(unit))?;
        assert!(text.contains("\nTimeoutStopSec=45s\n"), "{unit}");
    }
    Ok(())
}
