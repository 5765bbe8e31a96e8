//! The whole of the API as one router.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::response::Redirect;
use axum::routing::get;
use utoipa_swagger_ui::SwaggerUi;

use crate::around;
use crate::openapi;
use crate::problem::Problem;
use crate::state::ApiState;

/// The API under `/v1`, its description at `/openapi.json`, and pages that show it at `/docs`. Whatever goes wrong is
/// answered with a problem document.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(state);
    let (api, document) = openapi::parts();
    api.with_state(state.clone())
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .fallback(no_such_address)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(state, around::serve))
}

async fn no_such_address(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; /docs shows what there is", uri.path()))
}

async fn no_such_method(method: Method) -> Problem {
    Problem::method_not_allowed(&method, None)
}
