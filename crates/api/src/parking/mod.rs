//! Parking: messages that could not be processed, shown, brought back or thrown away. For admin keys only: it knows no
//! tenants.

mod discard;
mod list;
mod read;
mod redrive;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use whimbrel_core::ParkedId;
use whimbrel_core::parking::Selection;
use whimbrel_core::port::{ParkingError, Source};

use crate::problem::{Answer, Problem};
use crate::state::SharedState;

pub use view::{ParkedDetail, ParkedView};

pub(crate) const TAG: &str = "parking";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_parked))
        .routes(routes!(read::get_parked, discard::discard_parked))
        .routes(routes!(redrive::redrive_parked))
}

/// The one with this id.
fn only(id: ParkedId) -> Selection {
    Selection { ids: vec![id], ..Selection::default() }
}

fn source(text: &str) -> Answer<Source> {
    Source::parse(text).ok_or_else(|| {
        let known = "events, jobs.live, jobs.slow, jobs.bulk or outcomes";
        Problem::bad_request(format!("source is `{text}`; it must be {known}"))
    })
}

impl From<ParkingError> for Problem {
    fn from(error: ParkingError) -> Self {
        match error {
            ParkingError::Denied(reason) => Self::not_permitted(format!(
                "this process may not look at parked messages: {reason}; set amqp.redrive_url, or use `whimbrel parking`"
            )),
            ParkingError::Queue(error) => error.into(),
        }
    }
}
