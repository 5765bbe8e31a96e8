//! Samples of the providers' events, byte for byte as their documentation prints them.

use super::CatalogueEntry;

macro_rules! samples {
    ($($contract:literal: [$($event_type:literal),+ $(,)?]),+ $(,)?) => {
        const SAMPLES: &[(&str, &str, &str)] = &[
            $($(($contract, $event_type, include_str!(concat!("../../../../proto/contracts/samples/", $contract, "/", $event_type, ".json"))),)+)+
        ];
    };
}

samples! {
    "bitbybit": [
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "order.created",
        "order.updated",
        "product.created",
        "product.updated",
        "product.deleted",
        "message.received",
        "message.status.updated",
    ],
    "generic": ["user.created"],
}

/// Fills in the samples of a built-in contract.
pub(super) fn fill(contract: &str, catalogue: &mut [CatalogueEntry]) {
    for entry in catalogue.iter_mut().filter(|entry| entry.example.is_none()) {
        let found = SAMPLES.iter().find(|(of, event_type, _)| *of == contract && *event_type == entry.event_type.as_str());
        entry.example = found.map(|(_, _, sample)| (*sample).trim_end().to_owned());
    }
}
