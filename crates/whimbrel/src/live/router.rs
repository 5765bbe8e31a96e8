//! The API over the contracts in force.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use whimbrel_api::ApiState;
use whimbrel_core::contract::ContractSet;

/// The API's routes, which a reload replaces. A request goes by one set of contracts from its beginning to its end.
#[derive(Clone)]
pub(crate) struct LiveRouter {
    state: ApiState,
    current: Arc<RwLock<Router>>,
}

impl LiveRouter {
    /// With the state's contracts to begin with.
    pub(crate) fn new(state: ApiState) -> Self {
        let current = Arc::new(RwLock::new(whimbrel_api::router(state.clone()).with_state(())));
        Self { state, current }
    }

    /// Requests from now on go by these contracts. All else that the API remembers stays.
    pub(crate) fn replace(&self, contracts: &Arc<ContractSet>) {
        let router = whimbrel_api::router(ApiState { contracts: contracts.clone(), ..self.state.clone() });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// The routes of the moment.
    pub(crate) fn routes(&self) -> Router {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
