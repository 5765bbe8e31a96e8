//! Who calls, and for whom (rule 33): a tenant's key acts for its tenant, an admin key for the tenant
//! that the `Whimbrel-Tenant` header names.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use whimbrel_core::TenantId;
use whimbrel_core::contract::Contract;
use whimbrel_core::tenant::TenantHead;

use crate::key;
use crate::problem::{Answer, Problem};
use crate::state::ApiState;

/// Names the tenant that an admin key acts for; `default` when absent.
const TENANT_HEADER: &str = "whimbrel-tenant";

/// A key that may do everything.
pub(crate) struct Admin;

/// Someone who acts for an existing tenant.
pub(crate) struct Caller {
    /// The tenant acted for.
    pub(crate) tenant: TenantHead,
}

/// What a key is good for.
enum Scope {
    Admin,
    Tenant(TenantId),
}

impl Caller {
    /// Its tenant's contract. One that this process does not know is a rolling upgrade's (rule 26).
    pub(crate) fn contract<'a>(&self, state: &'a ApiState) -> Answer<&'a Contract> {
        state.contracts.get(&self.tenant.contract).map(AsRef::as_ref).ok_or_else(|| {
            let contract = &self.tenant.contract;
            tracing::error!(%contract, tenant = %self.tenant.id, "a tenant's contract is not loaded");
            Problem::unavailable(5, format!("the contract `{contract}` is not loaded here; try again"))
        })
    }

    /// 403 when the body names another tenant than the one acted for.
    pub(crate) fn confirm(&self, named: Option<&TenantId>) -> Answer<()> {
        match named {
            Some(named) if *named != self.tenant.id => Err(Problem::forbidden(format!(
                "the body names the tenant `{named}`, but this request acts for `{}`",
                self.tenant.id
            ))),
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<ApiState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        match scope(&parts.headers, state).await? {
            Scope::Admin => Ok(Self),
            Scope::Tenant(_) => Err(Problem::forbidden("only an admin key may manage tenants and keys")),
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let scope = scope(&parts.headers, state).await?;
        let id = acted_for(scope, named_tenant(&parts.headers)?)?;
        let heads = state.store.tenant_heads(std::slice::from_ref(&id)).await?;
        let tenant = heads.into_iter().next().ok_or_else(|| {
            Problem::not_found(format!("there is no tenant `{id}`; an admin key makes one with POST /v1/tenants"))
        })?;
        Ok(Self { tenant })
    }
}

async fn scope(headers: &HeaderMap, state: &ApiState) -> Answer<Scope> {
    let hash = key::hash(bearer(headers)?);
    if state.settings.admin_key_hash.is_some_and(|admin| key::same(&hash, &admin)) {
        return Ok(Scope::Admin);
    }
    match state.store.key_by_hash(&hash).await? {
        Some(key) => Ok(key.tenant.map_or(Scope::Admin, Scope::Tenant)),
        None => Err(Problem::unauthorized(Some("invalid_token"), "this API key is unknown or was revoked")),
    }
}

/// The key of `Authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Answer<&str> {
    let missing = || Problem::unauthorized(None, "send an API key as `Authorization: Bearer KEY`");
    let value = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, key) = value.split_once(' ').ok_or_else(missing)?;
    let key = key.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() { Ok(key) } else { Err(missing()) }
}

fn named_tenant(headers: &HeaderMap) -> Answer<Option<TenantId>> {
    let mut values = headers.get_all(TENANT_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("the Whimbrel-Tenant header stands there more than once"));
    }
    let text = value.to_str().map_err(|_| Problem::bad_request("the Whimbrel-Tenant header is not ASCII"))?;
    let id = TenantId::try_new(text).map_err(|error| Problem::bad_request(format!("Whimbrel-Tenant: {error}")))?;
    Ok(Some(id))
}

fn acted_for(scope: Scope, named: Option<TenantId>) -> Answer<TenantId> {
    match (scope, named) {
        (Scope::Admin, named) => Ok(named.unwrap_or_default()),
        (Scope::Tenant(own), Some(named)) if named != own => {
            Err(Problem::forbidden(format!("this key acts for its own tenant only, not for `{named}`")))
        }
        (Scope::Tenant(own), _) => Ok(own),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(entry).collect()
    }

    #[test]
    fn the_key_stands_behind_bearer() {
        for good in ["Bearer whk_x", "bearer whk_x", "BEARER  whk_x "] {
            assert_eq!(bearer(&headers(&[("authorization", good)])).ok(), Some("whk_x"), "{good}");
        }
        for bad in ["", "Bearer", "Bearer ", "Basic whk_x", "whk_x"] {
            let problem = bearer(&headers(&[("authorization", bad)])).expect_err("no key");
            assert_eq!(problem.body.status, 401, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()).expect_err("no key").body.status, 401);
    }

    #[test]
    fn rule_33_a_tenants_key_fixes_the_tenant_and_the_header_decides_for_an_admin() {
        let tenant = |text| TenantId::try_new(text).expect("a tenant id");
        assert_eq!(acted_for(Scope::Admin, None).ok(), Some(tenant("default")));
        assert_eq!(acted_for(Scope::Admin, Some(tenant("acme"))).ok(), Some(tenant("acme")));
        assert_eq!(acted_for(Scope::Tenant(tenant("acme")), None).ok(), Some(tenant("acme")));
        assert_eq!(acted_for(Scope::Tenant(tenant("acme")), Some(tenant("acme"))).ok(), Some(tenant("acme")));
        let problem = acted_for(Scope::Tenant(tenant("acme")), Some(tenant("other"))).expect_err("another's");
        assert_eq!(problem.body.status, 403);
    }

    #[test]
    fn a_malformed_tenant_header_is_400() {
        assert_eq!(named_tenant(&headers(&[("whimbrel-tenant", "No Such")])).expect_err("no id").body.status, 400);
        assert_eq!(named_tenant(&HeaderMap::new()).ok(), Some(None));
    }
}
