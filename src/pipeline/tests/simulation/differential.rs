//! The model of a lake against a lake: the same schedules on both.
//!
//! Invariant: a schedule of these is the same on both, write for write. Only what writes goes wrong, reads take
//! no time, tables that are written at once have moments of their own to be written, and no record is polled
//! before those before it are committed: the model reads more quickly than the Delta library, and nothing may
//! depend on it.

use std::sync::Arc;

use lake::seal::Seal;
use schemas::Table;

use super::company::{COMPANIES, Company, USES_OF_A_MODEL};
use super::plan::Plan;
use super::{Storage, lived, setting};

/// What a seal says of the logs: which version it seals, what is in it, and how long each log was.
type Shape = (u64, Vec<String>, (u64, u64, usize), Vec<(Table, u64, u64)>);

fn shape(notes: &[String]) -> Vec<Shape> {
    let of = |note: &String| {
        let text = &note[..=note.rfind("\n\n").unwrap()];
        let seal = Seal::parse(text).unwrap();
        let ranges = seal.ranges.iter();
        let ranges = ranges.map(|(topic, partition, range)| {
            format!("{topic}/{}@{}-{}", partition.0, range.start.0, range.end.0)
        });
        let logs = seal.logs.iter().map(|log| (log.table, log.start, log.end));
        let counts = (seal.records, seal.rejects, seal.files.len());
        (seal.version, ranges.collect(), counts, logs.collect())
    };
    notes.iter().map(of).collect()
}

#[test]
fn a_model_of_a_lake_becomes_what_a_delta_lake_becomes() {
    let seeds = setting("SURETY_TEST_TWINS", 24);
    let mut wrong_writes = 0;
    for seed in 0..seeds {
        let company = Arc::new(Company::new(seed % COMPANIES, USES_OF_A_MODEL));

        let model = lived(&company, Plan::in_step(seed), Storage::Model);
        let delta = lived(&company, Plan::in_step(seed), Storage::Delta);

        model.assert_like(&delta, true);
        assert_eq!(shape(model.notes()), shape(delta.notes()), "seed {seed}: the same commits");
        assert_eq!(model.went_wrong(), delta.went_wrong(), "seed {seed}: the same went wrong");
        wrong_writes += model.went_wrong().len();
    }
    assert!(seeds < wrong_writes as u64, "{wrong_writes}: too little went wrong");
    crate::terminal::remark(&format_args!(
        "TRIES a_model_of_a_lake_becomes_what_a_delta_lake_becomes {seeds}"
    ));
}
