//! The store's conformance suite on a real PostgreSQL, and what is PostgreSQL's own.

mod forty_days;
mod locks;
mod place;
mod plans;
mod retention;
mod schema;
mod setting;

use place::place;
use whimbrel_testkit::store_conformance;

store_conformance!(place);
