//! Packaging: the Helm chart, compose, the image and the systemd units, held against the real tools and the binary.

mod binary;
mod chart;
mod compose;
mod image;
mod network;
mod objects;
mod operators;
mod pods;
mod scaling;
mod tools;
mod units;
mod valid;
