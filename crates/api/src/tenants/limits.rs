//! A tenant's limits: as callers set them, and as they hold beside those of its contract.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::contract::Contract;
use whimbrel_core::tenant::TenantLimits;

use crate::extract::nullable;
use crate::problem::FieldError;

/// Limits to set; fields left out stay as they are, null leaves it to the contract.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(crate) struct LimitsChange {
    /// Webhooks at most; the contract's number holds where it is smaller.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    webhooks: Option<Option<u32>>,
    /// Events a second at most, for each key at each API process; null for no limit.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    events_per_second: Option<Option<u32>>,
    /// Bytes of a rendered payload at most; no more than the contract allows.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    payload_bytes: Option<Option<u32>>,
}

/// What a tenant may have and send: the smaller of its own limit and its contract's.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Webhooks at most; null when there is no limit.
    webhooks: Option<u32>,
    /// Events a second at most, for each key at each API process; null when there is no limit.
    events_per_second: Option<u32>,
    /// Bytes of a rendered payload at most.
    payload_bytes: usize,
}

impl Limits {
    /// The limits that hold; without a contract that is loaded here only the tenant's own are known.
    pub(super) fn of(contract: Option<&Contract>, own: &TenantLimits) -> Self {
        Self {
            webhooks: contract.map_or(own.endpoints, |contract| endpoints(contract, own)),
            events_per_second: own.events_per_second,
            payload_bytes: contract
                .map_or(own.payload_bytes.unwrap_or_default(), |contract| payload_bytes(contract, own)),
        }
    }
}

impl LimitsChange {
    /// The limits after the change, or every field that will not do under this contract.
    pub(super) fn apply(self, own: TenantLimits, contract: &Contract) -> Result<TenantLimits, Vec<FieldError>> {
        let payload_max = u32::try_from(contract.limits().payload_bytes).unwrap_or(u32::MAX);
        let errors = [
            check("webhooks", self.webhooks, u32::MAX),
            check("events_per_second", self.events_per_second, u32::MAX),
            check("payload_bytes", self.payload_bytes, payload_max),
        ];
        let errors: Vec<FieldError> = errors.into_iter().flatten().collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(TenantLimits {
            endpoints: self.webhooks.unwrap_or(own.endpoints),
            events_per_second: self.events_per_second.unwrap_or(own.events_per_second),
            payload_bytes: self.payload_bytes.map_or(own.payload_bytes, |bytes| bytes.map(|bytes| bytes as usize)),
        })
    }
}

#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn check(field: &str, value: Option<Option<u32>>, max: u32) -> Option<FieldError> {
    let value = value.flatten()?;
    let words = match max {
        u32::MAX => "it must be at least 1".to_owned(),
        max => format!("it must lie between 1 and the contract's {max}"),
    };
    (!(1..=max).contains(&value)).then(|| FieldError::new(format!("/limits/{field}"), format!("is {value}; {words}")))
}

/// Endpoints that a tenant may have; `None` is any number.
pub(crate) fn endpoints(contract: &Contract, own: &TenantLimits) -> Option<u32> {
    contract.limits().endpoints.into_iter().chain(own.endpoints).min()
}

/// Bytes that a rendered payload of a tenant may have.
pub(crate) fn payload_bytes(contract: &Contract, own: &TenantLimits) -> usize {
    own.payload_bytes.map_or(contract.limits().payload_bytes, |bytes| bytes.min(contract.limits().payload_bytes))
}

#[cfg(test)]
mod tests {
    use whimbrel_core::contract::ContractSet;

    use super::*;

    fn limits(own: TenantLimits, contract: &str) -> Limits {
        let set = ContractSet::built_in();
        Limits::of(set.get(&contract.parse().expect("a name")).map(AsRef::as_ref), &own)
    }

    #[test]
    fn the_smaller_limit_holds() {
        let own = TenantLimits { endpoints: Some(20), events_per_second: Some(5), payload_bytes: Some(100_000) };
        let bitbybit = Limits { webhooks: Some(10), events_per_second: Some(5), payload_bytes: 65_536 };
        assert_eq!(limits(own, "bitbybit"), bitbybit);
        let generic = Limits { webhooks: Some(20), events_per_second: Some(5), payload_bytes: 100_000 };
        assert_eq!(limits(own, "generic"), generic);
        assert_eq!(limits(TenantLimits::default(), "bitbybit").webhooks, Some(10));
    }
}
