//! Keys as callers ask for them and as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::port::ApiKey;
use whimbrel_core::{KeyId, TenantId, Timestamp};

use crate::key;
use crate::problem::{Answer, FieldError, Problem};
use crate::state::ApiState;
use crate::text;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKey {
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 256, example = "billing service")]
    name: String,
    /// From when on it is refused; never if left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// Names it, for revoking.
    #[schema(value_type = String, example = "key_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: KeyId,
    /// What it is for.
    name: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused; null for never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was used last, to the minute or so; null for never.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// A new key. This is the only answer that ever shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewKey)]
pub(crate) struct NewKeyView {
    #[serde(flatten)]
    shown: KeyView,
    /// The key itself.
    #[schema(example = "whk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    key: String,
}

/// Keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Oldest first.
    keys: Vec<KeyView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

impl CreateKey {
    /// Makes the key and stores its hash.
    pub(super) async fn make(self, state: &ApiState, tenant: Option<TenantId>) -> Answer<NewKeyView> {
        let now = state.clock.now();
        self.check(now).map_err(|error| Problem::invalid(vec![error]))?;
        let secret = key::generate(state.clock.as_ref());
        let row = ApiKey {
            id: KeyId::generate(now, state.clock.random10()),
            tenant,
            name: self.name,
            hash: key::hash(&secret),
            created_at: now,
            expires_at: self.expires_at,
            last_used_at: None,
        };
        state.store.create_key(&row).await?;
        tracing::info!(tenant = row.tenant.as_ref().map(TenantId::as_str), key = %row.id, "key created");
        Ok(NewKeyView { shown: KeyView::new(row), key: secret })
    }

    fn check(&self, now: Timestamp) -> Result<(), FieldError> {
        match self.expires_at {
            Some(at) if at <= now => Err(FieldError::new("/expires_at", format!("{at} has passed; name a later time"))),
            _ => text::check("/name", &self.name, text::NAME_BYTES_MAX),
        }
    }
}

impl KeyView {
    fn new(row: ApiKey) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: text::whole_seconds(row.created_at),
            expires_at: row.expires_at.map(|at| at.to_string()),
            last_used_at: row.last_used_at.map(text::whole_seconds),
        }
    }
}

impl KeyList {
    /// All of them.
    pub(super) fn new(rows: Vec<ApiKey>) -> Self {
        Self { keys: rows.into_iter().map(KeyView::new).collect(), next_cursor: None }
    }
}
