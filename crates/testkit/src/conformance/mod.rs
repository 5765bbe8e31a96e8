//! What every engine must do, as one test per case: the suites that hold two engines to one behaviour.

pub mod queue;
pub mod store;
