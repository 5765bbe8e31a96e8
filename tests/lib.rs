//! End-to-end scenarios, one module each, run on both engines by the same code: the real binary as one
//! process or as one process a role, real RabbitMQ and PostgreSQL, a scripted receiver.
#![cfg(test)]

mod harness;

mod amqp;
mod chains;
mod chaos;
mod commands;
mod deliver;
mod egress;
mod retry;
mod sender;
mod suspend;
mod wire;
