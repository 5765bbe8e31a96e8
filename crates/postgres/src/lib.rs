//! The store on PostgreSQL
