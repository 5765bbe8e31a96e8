//! End-to-end scenarios, one module each, run on both engines by the same code: the real binary as one
//! process or as one process a role, real RabbitMQ and PostgreSQL, a scripted receiver.
#![cfg(test)]

mod harness;

mod amqp;
mod announce;
mod backup;
mod chains;
mod chaos;
mod commands;
mod deliver;
mod deploy;
mod egress;
mod fuzz;
mod intake;
mod isolation;
mod metrics;
mod operations;
mod options;
mod release;
mod replay;
mod retry;
mod secrets;
mod sender;
mod suspend;
mod sweep;
mod traces;
mod transfer;
mod upgrade;
mod wire;
