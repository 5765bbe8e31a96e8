//! A whole Whimbrel for a scenario.

mod api;
mod roles;
mod system;

pub(crate) use api::{Api, text};
pub(crate) use roles::{Roles, publish, publish_of_type, subscribe, subscribe_to};
pub(crate) use system::{ADMIN_KEY, Kind, ROLES, Servers, System, command, finish, metric, refused, urls};

use std::time::Duration;

/// Long enough for anything that should happen at once, on a loaded two-core machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// One scenario, once per engine.
macro_rules! on_both_engines {
    ($($(#[$doc:meta])* async fn $name:ident($kind:ident: Kind) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn scenario($kind: crate::harness::Kind) -> anyhow::Result<()> {
                $body
                Ok(())
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() -> anyhow::Result<()> {
                scenario(crate::harness::Kind::Embedded).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn distributed() -> anyhow::Result<()> {
                scenario(crate::harness::Kind::Distributed).await
            }
        }
    )*};
}
pub(crate) use on_both_engines;
