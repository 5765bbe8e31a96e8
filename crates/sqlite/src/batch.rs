//! One statement for many rows, from few texts, so that each is prepared once.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

/// The most rows of one statement.
pub(crate) const ROWS_MAX: usize = 128;

/// One text for each power of two up to [`ROWS_MAX`].
const SIZES: usize = ROWS_MAX.ilog2() as usize + 1;

/// A statement around a list of rows. The list has a power of two of them: what is not bound is NULL, which the
/// statement has to pass over.
pub(crate) struct Batch {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    texts: OnceLock<[Arc<str>; SIZES]>,
}

impl Batch {
    /// `head row, row, … tail`.
    pub(crate) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self { head, row, tail, texts: OnceLock::new() }
    }

    /// The text with room for `rows` rows, at most [`ROWS_MAX`].
    pub(crate) fn sql(&self, rows: usize) -> AssertSqlSafe<Arc<str>> {
        let texts = self.texts.get_or_init(|| std::array::from_fn(|exponent| self.text(1 << exponent)));
        AssertSqlSafe(texts[rows.next_power_of_two().ilog2() as usize].clone())
    }

    fn text(&self, rows: usize) -> Arc<str> {
        format!("{}{}{}", self.head, vec![self.row; rows].join(","), self.tail).into()
    }
}
