//! [`Measure`]: how well a split agrees with who in truth made each use.
//!
//! Invariant: precision and recall are means over uses, so a busy user weighs by what it did.
//!
//! Source: Bagga and Baldwin, *Algorithms for Scoring Coreference Chains* (1998), B-cubed.

use std::collections::BTreeMap;

use super::Split;

/// How well a split agrees with the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    pub uses: usize,
    pub users: usize,
    /// Users in truth.
    pub users_true: usize,
    /// Of those who were found together with a use, the share that its true user made: mean over uses.
    pub precision: f64,
    /// Of what its true user made, the share that was found together with it: mean over uses.
    pub recall: f64,
    /// Mean probability of the likeliest user.
    pub probability: f64,
    /// Share of uses whose likeliest user is the one that most uses of their true user were given to,
    /// and most of whose uses are that true user's.
    pub matched: f64,
}

/// Compares `split` with the true user of each use.
#[expect(clippy::cast_precision_loss, reason = "a few million uses")]
pub fn measure(split: &Split, truth: &[u32]) -> Measure {
    assert_eq!(split.len(), truth.len(), "each use has a true user");
    let mut cells: BTreeMap<(usize, u32), f64> = BTreeMap::new();
    let (mut found, mut true_sums) = (BTreeMap::new(), BTreeMap::new());
    let mut probability = 0.0;
    for (number, actual) in truth.iter().enumerate() {
        let likely = split.likely(number)[0];
        *cells.entry((likely.user, *actual)).or_default() += 1.0;
        *found.entry(likely.user).or_insert(0.0) += 1.0;
        *true_sums.entry(*actual).or_insert(0.0) += 1.0;
        probability += likely.probability;
    }
    let (mut precision, mut recall) = (0.0, 0.0);
    // The largest cell of each found and of each true user.
    let (mut best_of_user, mut best_of_true) = (BTreeMap::new(), BTreeMap::new());
    for ((user, actual), both) in &cells {
        precision += both * both / found[user];
        recall += both * both / true_sums[actual];
        let best = best_of_user.entry(*user).or_insert((*both, *actual));
        if best.0 < *both {
            *best = (*both, *actual);
        }
        let best = best_of_true.entry(*actual).or_insert((*both, *user));
        if best.0 < *both {
            *best = (*both, *user);
        }
    }
    let matched: f64 = cells
        .iter()
        .filter(|((user, actual), _)| {
            best_of_user[user].1 == *actual && best_of_true[actual].1 == *user
        })
        .map(|(_, both)| both)
        .sum();
    let uses = (truth.len() as f64).max(1.0);
    Measure {
        uses: truth.len(),
        users: found.len(),
        users_true: true_sums.len(),
        precision: precision / uses,
        recall: recall / uses,
        probability: probability / uses,
        matched: matched / uses,
    }
}
