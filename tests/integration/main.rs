//! The whole binary, from outside: real processes, real sockets, real files, a real Kafka broker.
//!
//! Where no Java is found the tests that can run on librdkafka's embedded broker do so, and those
//! that cannot are told on stderr as `NOT RUN`, past the capture of the test runner.
//!
//! `SURETY_TEST_EVENTS` sets how many events the crash test produces (default 60,000), and
//! `SURETY_TEST_KILLS` how often it kills the process (default 4); `SURETY_TEST_WRITERS` how many processes
//! write to one lake at once (default 3), and `SURETY_TEST_STORM_S` for how many seconds workers come and go
//! (default 12).

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod broker;
mod browser;
mod cli;
mod copies;
mod crash_points;
mod demo;
mod evidence;
mod exactly_once;
mod faults;
mod foreign;
mod hygiene;
mod kafka;
mod normalize;
mod object_store;
mod process;
mod receiver;
mod replay;
mod report;
mod service;
mod several;
mod spans;
mod storm;
mod surroundings;
mod upkeep;
