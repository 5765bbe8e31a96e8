//! What opens, what is refused, and in which words.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, ensure};
use sqlx::Connection as _;
use whimbrel_sqlite::{OpenError, Options};

/// The error of an open that must not work.
async fn refusal(dir: &std::path::Path) -> anyhow::Result<OpenError> {
    crate::common::open_at(dir, Options::default()).await.err().context("it opened")
}

#[tokio::test]
async fn a_second_open_of_a_directory_is_refused_while_the_first_lives() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let error = refusal(dir.path()).await?;
    ensure!(matches!(error, OpenError::Locked { .. }), "{error}");
    ensure!(error.to_string().contains("in use by another whimbrel"), "{error}");

    let store = engine.store();
    drop(engine);
    ensure!(matches!(refusal(dir.path()).await?, OpenError::Locked { .. }), "the store's side still held it");
    drop(store);
    crate::common::open_at(dir.path(), Options::default()).await?;
    Ok(())
}

#[tokio::test]
async fn closing_both_sides_lets_the_directory_go() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    engine.store().close().await;
    engine.store().close().await;
    ensure!(matches!(refusal(dir.path()).await?, OpenError::Locked { .. }), "one side is still open");
    engine.queue().close().await;
    crate::common::open_at(dir.path(), Options::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_new_directory_is_its_owners_alone() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("whimbrel-data");
    let engine = crate::common::open_at(&dir, Options::default()).await?;
    engine.store().ping().await?;
    let mode = |path: &std::path::Path| anyhow::Ok(path.metadata()?.permissions().mode() & 0o777);
    ensure!(mode(&dir)? == 0o700, "the directory has mode {:o}", mode(&dir)?);
    for entry in dir.read_dir()? {
        let path = entry?.path();
        ensure!(mode(&path)? == 0o600, "{} has mode {:o}", path.display(), mode(&path)?);
    }
    Ok(())
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_named() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let file = parent.path().join("file");
    std::fs::write(&file, "")?;
    let error = refusal(&file.join("data")).await?;
    ensure!(matches!(error, OpenError::Unusable { .. }), "{error}");
    ensure!(error.to_string().contains("file/data") && error.to_string().contains("WHIMBREL_DATA_DIR"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_named() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("whimbrel.db"), "this is no database at all".repeat(100))?;
    let error = refusal(dir.path()).await?;
    ensure!(matches!(error, OpenError::Damaged { .. }), "{error}");
    ensure!(error.to_string().contains("whimbrel.db"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_one_line() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    crate::common::close(engine).await;
    let mut db = crate::common::look_into(dir.path()).await?;
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'later', 1, x'00', 0), (9999, 'latest', 1, x'00', 0)")
        .execute(&mut db)
        .await?;
    db.close().await?;

    let error = refusal(dir.path()).await?;
    ensure!(matches!(error, OpenError::Newer { found: 9999, known: 23, .. }), "{error:?}");
    ensure!(!error.to_string().contains('\n') && error.to_string().contains("newer whimbrel"), "{error}");
    Ok(())
}

/// As `.cargo/config.toml` has it. That is handed over in a variable, which a later version of the crate could overlook.
#[tokio::test]
async fn sqlite_is_compiled_without_what_only_costs_here() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let mut db = crate::common::look_into(dir.path()).await?;
    let options: Vec<String> = sqlx::query_scalar("PRAGMA compile_options").fetch_all(&mut db).await?;
    let is_set = |name: &str| options.iter().any(|option| option == name);
    ensure!(is_set("DEFAULT_MEMSTATUS=0") && is_set("THREADSAFE=1"), "{options:?}");
    ensure!(!is_set("ENABLE_MEMORY_MANAGEMENT") && !is_set("ENABLE_API_ARMOR"), "{options:?}");
    drop(engine);
    Ok(())
}
