//! The whole binary, from outside: real processes, real sockets, real files, a real Kafka broker.
//!
//! Where no Java is found the tests that can run on librdkafka's embedded broker do so, and those
//! that cannot say so on stderr and in their name's place in the log.
//!
//! `SURETY_TEST_EVENTS` sets how many events the crash test produces (default 60,000), and
//! `SURETY_TEST_KILLS` how often it kills the process (default 4).

#![expect(clippy::print_stderr, reason = "a test that could not run everything says so")]

mod broker;
mod cli;
mod demo;
mod exactly_once;
mod faults;
mod foreign;
mod kafka;
mod process;
mod replay;
