//! Parking on the broker itself.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use whimbrel_core::port::Parking;
use whimbrel_rabbitmq::{Options, RabbitParking};

/// As the user of this URL.
pub(super) fn open(url: &SecretString, name_user: bool) -> anyhow::Result<Arc<dyn Parking>> {
    let options = Options { url: url.expose_secret().to_owned(), role: "parking".to_owned(), name_user };
    Ok(Arc::new(RabbitParking::new(&options)?))
}
