//! `whimbrel verify`: is this request Whimbrel's?

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Clock, SystemClock};

use super::shared::{Verifier, VerifierArgs, read_input};

/// What the exit code says when the arguments cannot be used.
const USAGE: u8 = 2;

/// Checks a signature offline. Exits 0 when it is valid, 1 when it is not, 2 when it cannot be told.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    verifier: VerifierArgs,

    /// A header of the request, as `Name: value`; can be given several times.
    #[arg(long = "header", short = 'H', value_parser = header, value_name = "HEADER", required = true)]
    headers: Vec<(String, String)>,

    /// The request's body, byte for byte: `@FILE`, `-` for standard input, or the text itself.
    #[arg(long, value_name = "BODY")]
    body: String,

    /// The time to compare a signed timestamp with, in Unix seconds; now when left out.
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
}

fn header(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once(':').ok_or_else(|| anyhow!("`{text}` is not of the form `Name: value`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Says whether the signature holds, and why not.
#[expect(clippy::unused_async, reason = "every command has this form")]
pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let (verifier, body) = match prepare(&args) {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("whimbrel: {error:#}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let now = args.at.map_or_else(|| SystemClock.now(), Timestamp::from_secs);
    match verifier.verify(&|name| find(&args.headers, name), &body, now) {
        Ok(()) => {
            println!("valid under the contract `{}`", verifier.contract().name());
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            println!("not valid: {reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn prepare(args: &VerifyArgs) -> anyhow::Result<(Verifier, Vec<u8>)> {
    Ok((args.verifier.verifier()?, read_input(&args.body).context("--body")?))
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: VerifyArgs,
    }

    const VECTOR: [&str; 12] = [
        "verify",
        "--contract=standard",
        "--secret=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "-H",
        "Webhook-Id: msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        "-H",
        "webhook-timestamp:1649367553",
        "-H",
        "webhook-signature: v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        "--body",
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "--at=1649367600",
    ];

    async fn exit(change: impl Fn(&mut Vec<&'static str>)) -> ExitCode {
        let mut line = VECTOR.to_vec();
        change(&mut line);
        let parsed = Line::try_parse_from(line).expect("a command line");
        run(parsed.args).await.expect("an exit code")
    }

    #[tokio::test]
    async fn a_published_vector_is_valid() {
        assert_eq!(exit(|_| {}).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_changed_body_an_old_timestamp_and_another_secret_are_not() {
        assert_eq!(exit(|line| line[10] = r#"{"email":"other@example.com"}"#).await, ExitCode::FAILURE);
        assert_eq!(exit(|line| line[11] = "--at=1649367854").await, ExitCode::FAILURE, "301 s later");
        assert_eq!(exit(|line| line.extend(["--tolerance=6m"])).await, ExitCode::SUCCESS);
        assert_eq!(exit(|line| line[2] = "--secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await, ExitCode::FAILURE);
        assert_eq!(exit(|line| line[4] = "Webhook-Id: msg_other").await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_2() {
        assert_eq!(exit(|line| line[1] = "--contract=none").await, ExitCode::from(2));
        assert_eq!(exit(|line| line[2] = "--secret=not-base64!").await, ExitCode::from(2));
        assert_eq!(exit(|line| line[10] = "@/no/such/file").await, ExitCode::from(2));
        assert!(header("no colon").is_err());
        assert_eq!(header("A: b:c").expect("a header"), ("A".to_owned(), "b:c".to_owned()));
    }
}
