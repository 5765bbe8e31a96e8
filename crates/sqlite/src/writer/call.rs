//! A caller's statements, on their way to the writer and back.

use std::pin::Pin;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use whimbrel_core::port::StoreError;

use crate::fault::Fault;

/// Statements under way.
pub(crate) type Step<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// A call whose result's type the writer need not know.
#[async_trait]
pub(super) trait Work: Send {
    /// Whether the caller still waits. One that left before its turn is passed over.
    fn is_wanted(&self) -> bool;

    /// Runs the statements and keeps what they give.
    async fn run(&mut self, tx: &mut SqliteConnection) -> Result<(), Fault>;

    /// Answers, once it is known how the group ended.
    fn answer(self: Box<Self>, ended: Result<(), StoreError>);
}

pub(super) struct Call<F, T> {
    work: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Call<F, T> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { work: Some(work), value: None, reply }
    }
}

#[async_trait]
impl<F, T> Work for Call<F, T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Step<'c, T> + Send + 'static,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    async fn run(&mut self, tx: &mut SqliteConnection) -> Result<(), Fault> {
        let work = self.work.take().expect("a call is run once");
        self.value = Some(work(tx).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, ended: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let unrun = || StoreError::Away("the call was not run".to_owned());
        // Whoever does not wait any more does not need the answer.
        let _ = reply.send(ended.and_then(|()| value.ok_or_else(unrun)));
    }
}
