//! Who calls, and for whom (rule 33): a tenant's key acts for its tenant, an admin key for the tenant
//! that the `Whimbrel-Tenant` header names.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use whimbrel_core::contract::Contract;
use whimbrel_core::port::ApiKey;
use whimbrel_core::tenant::TenantHead;
use whimbrel_core::{KeyId, TenantId, Timestamp};

use crate::audit::Slip;
use crate::problem::{Answer, Problem};
use crate::state::{ApiState, SharedState};
use crate::tenants::limits;
use crate::{key, known, last_use};

/// Names the tenant that an admin key acts for; `default` when absent.
const TENANT_HEADER: &str = "whimbrel-tenant";

/// Whose key a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// The configured admin key.
    Configured,
    /// A key of the store.
    Key(KeyId),
}

/// A key that may do everything.
pub(crate) struct Admin {
    slip: Slip,
}

/// Someone who acts for an existing tenant.
pub(crate) struct Caller {
    /// The tenant acted for.
    pub(crate) tenant: TenantHead,
    /// Whose key.
    pub(crate) actor: Actor,
}

/// Someone who looks at all tenants or at one, which need not exist any more.
pub(crate) struct Reach(Option<TenantId>);

/// What a key is good for.
enum Scope {
    Admin,
    Tenant(TenantId),
}

impl fmt::Display for Actor {
    /// The key's id, or `admin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("admin"),
            Self::Key(id) => id.fmt(f),
        }
    }
}

impl Admin {
    /// Says for the audit log which tenant the request is about.
    pub(crate) fn about(&self, tenant: &TenantId) {
        self.slip.about(tenant);
    }
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

    /// Endpoints that the tenant may have; `None` is any number.
    pub(crate) fn endpoints_limit(&self, contract: &Contract) -> Option<u32> {
        limits::endpoints(contract, &self.tenant.limits)
    }

    /// 429 when its key has sent as many events in this second as the tenant may.
    pub(crate) fn spend(&self, state: &ApiState, events: usize) -> Answer<()> {
        let Some(per_second) = self.tenant.limits.events_per_second else { return Ok(()) };
        let who = (self.actor, &self.tenant.id);
        state.memory.rates.take(who, per_second, events, state.clock.now()).map_err(|wait| {
            metrics::counter!("whimbrel_events_rejected_total", "reason" => "rate_limited", "source" => "http")
                .increment(events as u64);
            let detail = format!("`{}` may send {per_second} events a second with one key; wait", self.tenant.id);
            Problem::rate_limited(wait, detail)
        })
    }
}

impl Reach {
    /// Whose things are looked at when the query names this tenant: `None` is everyone's. 403 for another than the
    /// key or the header allows.
    pub(crate) fn narrowed(self, named: Option<TenantId>) -> Answer<Option<TenantId>> {
        match (self.0, named) {
            (Some(own), Some(named)) if own != named => {
                Err(Problem::forbidden(format!("this request acts for `{own}` only, not for `{named}`")))
            }
            (own, named) => Ok(own.or(named)),
        }
    }
}

impl FromRequestParts<SharedState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let slip = Slip::of(parts);
        let (actor, scope) = identify(&parts.headers, state).await?;
        slip.by(actor);
        match scope {
            Scope::Admin => Ok(Self { slip }),
            Scope::Tenant(_) => Err(Problem::forbidden("only an admin key may manage tenants and keys")),
        }
    }
}

impl FromRequestParts<SharedState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let slip = Slip::of(parts);
        let (actor, scope) = identify(&parts.headers, state).await?;
        let id = acted_for(scope, named_tenant(&parts.headers)?)?;
        let tenant = known::tenant(state, &id).await?.ok_or_else(|| {
            Problem::not_found(format!("there is no tenant `{id}`; an admin key makes one with POST /v1/tenants"))
        })?;
        slip.by(actor);
        slip.about(&tenant.id);
        Ok(Self { tenant, actor })
    }
}

impl FromRequestParts<SharedState> for Reach {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let (_, scope) = identify(&parts.headers, state).await?;
        match (scope, named_tenant(&parts.headers)?) {
            (Scope::Admin, named) => Ok(Self(named)),
            (own @ Scope::Tenant(_), named) => acted_for(own, named).map(|own| Self(Some(own))),
        }
    }
}

async fn identify(headers: &HeaderMap, state: &ApiState) -> Answer<(Actor, Scope)> {
    let hash = key::hash(bearer(headers)?);
    if state.settings.admin_key_hash.is_some_and(|admin| key::same(&hash, &admin)) {
        return Ok((Actor::Configured, Scope::Admin));
    }
    let Some(key) = known::key(state, &hash).await? else {
        return Err(Problem::unauthorized(Some("invalid_token"), "this API key is unknown or was revoked"));
    };
    check_expiry(&key, state.clock.now())?;
    last_use::note(state, &key);
    Ok((Actor::Key(key.id), key.tenant.map_or(Scope::Admin, Scope::Tenant)))
}

fn check_expiry(key: &ApiKey, now: Timestamp) -> Answer<()> {
    match key.expires_at {
        Some(at) if at <= now => {
            let detail = format!("this API key expired at {at}; ask an admin for a new one");
            Err(Problem::unauthorized(Some("invalid_token"), detail))
        }
        _ => Ok(()),
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
    fn a_key_is_refused_from_its_expiry_on() {
        let at = Timestamp::from_secs(1_768_478_400);
        let key = ApiKey {
            id: KeyId::generate(at, [1; 10]),
            tenant: None,
            name: String::new(),
            hash: [0; 32],
            created_at: at,
            expires_at: Some(at),
            last_used_at: None,
        };
        assert!(check_expiry(&key, at.before(std::time::Duration::from_micros(1))).is_ok());
        let problem = check_expiry(&key, at).expect_err("expired");
        assert_eq!(problem.body.status, 401);
        assert!(problem.body.detail.contains("2026-01-15T12:00:00Z"), "{}", problem.body.detail);
        assert!(check_expiry(&ApiKey { expires_at: None, ..key }, at).is_ok());
    }

    #[test]
    fn rule_33_a_reach_is_narrowed_and_never_widened() {
        let tenant = |text| TenantId::try_new(text).expect("a tenant id");
        assert_eq!(Reach(None).narrowed(None).ok(), Some(None));
        assert_eq!(Reach(None).narrowed(Some(tenant("acme"))).ok(), Some(Some(tenant("acme"))));
        assert_eq!(Reach(Some(tenant("acme"))).narrowed(None).ok(), Some(Some(tenant("acme"))));
        assert_eq!(
            Reach(Some(tenant("acme"))).narrowed(Some(tenant("other"))).expect_err("another's").body.status,
            403
        );
    }

    #[test]
    fn a_malformed_tenant_header_is_400() {
        assert_eq!(named_tenant(&headers(&[("whimbrel-tenant", "No Such")])).expect_err("no id").body.status, 400);
        assert_eq!(named_tenant(&HeaderMap::new()).ok(), Some(None));
    }
}
