//! The whole binary, from outside: real processes, real sockets, real files, a real Kafka broker.
//!
//! Where no Java is found the tests that can run on librdkafka's embedded broker do so, and those
//! that cannot are told on stderr as `NOT RUN`, past the capture of the test runner.
//!
//! `SURETY_TEST_EVENTS` sets how many events the crash test produces (default 60,000), and
//! `SURETY_TEST_KILLS` how often it kills the process (default 4), or `SURETY_TEST_KILL_S` for how many seconds
//! it does so while the events come in; `SURETY_TEST_SECRETS` is in how many records secrets are hidden (default
//! 5,000), and `SURETY_TEST_DISK` at how many calls the disk fails (default 2); `SURETY_TEST_WRITERS` how many processes
//! write to one lake at once (default 3), and `SURETY_TEST_STORM_S` for how many seconds workers come and go
//! (default 12). `SURETY_TEST_STORE_COMMITS` is what each writer commits through a slow store (default 4), which
//! answers within `SURETY_TEST_LATENCY_MS` (default 50); `SURETY_TEST_COMMITS` is how many commits a process
//! lives for that is watched (default 300).

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod broker;
mod browser;
mod cli;
mod copies;
mod crash_points;
mod credentials;
mod demo;
mod disk;
mod earlier;
mod evidence;
mod exactly_once;
mod faults;
mod foreign;
mod gaps;
mod headers;
mod hygiene;
mod kafka;
mod long_life;
mod normalize;
mod object_store;
mod process;
mod receiver;
mod replay;
mod report;
mod secrets;
mod service;
mod several;
mod slow_store;
mod spans;
mod storm;
mod surroundings;
mod upkeep;
