//! A payload filter as the document describes it; reading one is the core's work.
#![expect(dead_code, reason = "the document is made of these types, nothing else is")]

use serde_json::Value;
use utoipa::ToSchema;

/// Which events a webhook wants, by their data: a comparison of one field, or `all`, `any` or `not` of filters. At most
/// 64 comparisons, 8 deep. Of an absent field, and of one of another kind, only `ne`, `exists` with false and `not` hold.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = WebhookFilter, example = json!({"all": [{"pointer": "/total", "op": "gt", "value": 100}, {"not": {"pointer": "/country", "op": "in", "value": ["CH", "LI"]}}]}))]
pub(crate) enum FilterDoc {
    /// One field compared.
    Compare(ComparisonDoc),
    /// Every one of them holds.
    All(AllDoc),
    /// At least one of them holds.
    Any(AnyDoc),
    /// It does not hold.
    Not(NotDoc),
}

/// One field of the event's data, compared.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookFilterComparison)]
pub(crate) struct ComparisonDoc {
    /// JSON Pointer (RFC 6901) into the event's data.
    #[schema(max_length = 256, example = "/order/total")]
    pointer: String,
    /// How it is compared.
    op: OpDoc,
    /// With what: an array for `in`, a text for `prefix`, true (the default) or false for `exists`, a number or a text
    /// for `gt`, `gte`, `lt` and `lte`, anything for `eq` and `ne`.
    #[schema(required = false)]
    value: Value,
}

/// How a field is compared.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WebhookFilterOp)]
pub(crate) enum OpDoc {
    /// Equal as JSON, numbers by their value.
    Eq,
    /// Not equal, or absent.
    Ne,
    /// Equal to one of them.
    In,
    /// A text that begins so.
    Prefix,
    /// There, or with false absent.
    Exists,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

/// Every one of them holds.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookFilterAll)]
pub(crate) struct AllDoc {
    /// One or more filters.
    #[schema(min_items = 1, no_recursion)]
    all: Vec<FilterDoc>,
}

/// At least one of them holds.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookFilterAny)]
pub(crate) struct AnyDoc {
    /// One or more filters.
    #[schema(min_items = 1, no_recursion)]
    any: Vec<FilterDoc>,
}

/// It does not hold.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookFilterNot)]
pub(crate) struct NotDoc {
    /// A filter.
    #[schema(no_recursion)]
    not: Box<FilterDoc>,
}
