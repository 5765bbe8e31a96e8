//! The Dockerfile, read: there is no container engine where the tests run.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::tools::{read, run, tool};

/// The instructions, continued lines joined, comments left out.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let lines = dockerfile.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = lines.replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(word, rest)| (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

#[test]
fn hadolint_finds_nothing() -> Result<()> {
    assert_eq!(run(tool("venv/bin/hadolint")?.arg("deploy/Dockerfile"))?, "");
    Ok(())
}

#[test]
fn every_stage_that_is_named_comes_before() -> Result<()> {
    let mut stages = BTreeSet::new();
    for (word, rest) in instructions(&read("deploy/Dockerfile")?) {
        let from = rest.split(' ').find_map(|part| part.strip_prefix("--from="));
        if let Some(stage) = from {
            assert!(stages.contains(stage), "{stage}");
        }
        if word == "FROM"
            && let Some((_, stage)) = rest.split_once(" AS ")
        {
            stages.insert(stage.to_owned());
        }
    }
    assert_eq!(stages, ["tools", "plan", "build", "sbom"].map(str::to_owned).into());
    Ok(())
}

/// Dependencies are cooked before the code comes in; the image has neither shell nor root.
#[test]
fn the_image_caches_dependencies_and_runs_as_nobody() -> Result<()> {
    let all = instructions(&read("deploy/Dockerfile")?);
    let place = |wanted: &str| all.iter().position(|(word, rest)| format!("{word} {rest}").contains(wanted));
    let build = place(" AS build").context("the build stage")?;
    let cook = place("cargo chef cook").context("dependencies")?;
    let code = all.iter().rposition(|(word, rest)| word == "COPY" && rest == ". .").context("the code")?;
    assert!(build < cook && cook < code, "dependencies are a layer under the code");
    let (_, last) = all.iter().rfind(|(word, _)| word == "FROM").context("a stage")?;
    assert!(last.contains("distroless") && last.ends_with(":nonroot"), "{last}");
    let user = all.iter().rfind(|(word, _)| word == "USER").context("a user")?;
    assert_eq!(user.1, "65532:65532");
    assert!(place("auditable build").is_some() && place("cyclonedx").is_some(), "what is inside is written down");
    Ok(())
}

/// The chart runs the image as the user that it is made for, and asks for no other program.
#[test]
fn the_image_and_the_chart_agree() -> Result<()> {
    let all = instructions(&read("deploy/Dockerfile")?);
    let entry = all.iter().find(|(word, _)| word == "ENTRYPOINT").context("an entry point")?;
    assert_eq!(entry.1, "[\"/usr/bin/whimbrel\"]");
    for pod in super::objects::pods(&super::tools::objects("minimal", &[])?).values() {
        let user = super::objects::at(pod, "/spec/securityContext/runAsUser");
        assert_eq!(*user, serde_json::json!(65532));
        assert!(super::objects::at(pod, "/spec/containers/0/command").is_null());
    }
    Ok(())
}

/// What the build reads gets in, and nothing else: no `target`, no data, no `.git`.
#[test]
fn only_what_the_build_reads_is_sent_to_it() -> Result<()> {
    let ignored = read("deploy/Dockerfile.dockerignore")?;
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.first(), Some(&"*"), "everything is out unless it is let in");
    for wanted in ["!Cargo.toml", "!Cargo.lock", "!crates", "!proto", "!tests/Cargo.toml", "!tests/lib.rs", "!LICENSE"]
    {
        assert!(lines.contains(&wanted), "{wanted}");
    }
    Ok(())
}
