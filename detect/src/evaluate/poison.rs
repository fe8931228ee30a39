//! [`Poison`]: attackers that prepare the baseline before they strike.
//!
//! Invariant: what is added lies before an attacker's first malicious row and is made of that row
//! alone; rows stay in the order of time.

use serde_json::Value;

use super::row::RowError;

/// How an attacker prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// In the five days before its first attack it makes its victim deal with the same counterparty by
    /// the same tool once a day, for a hundredth of the money. These are malicious too.
    SmallSessions,
    /// Twelve agents that nobody knew join the victim's class and deal with the counterparty by the
    /// same tool once a day for four days, so that peers vouch for it. They are not scored.
    FakePeers,
}

const SMALL_SESSIONS: i32 = 5;
const FAKE_PEERS: usize = 12;
const FAKE_DAYS: i32 = 4;
const DAY: f64 = 86_400.0;

impl Poison {
    /// The rows of an agent stream with what the attackers did before.
    ///
    /// # Errors
    ///
    /// [`RowError`] of the first line that is no row, with its number.
    pub fn add_to(self, lines: &[String]) -> Result<Vec<String>, (usize, RowError)> {
        let mut rows: Vec<(f64, Value)> = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            if line.trim().is_empty() || line.starts_with('%') {
                continue;
            }
            super::row::Row::read(line).map_err(|error| (at + 1, error))?;
            let row: Value = serde_json::from_str(line).map_err(|e| (at + 1, RowError::Json(e)))?;
            rows.push((row[0].as_f64().unwrap_or(0.0), row));
        }
        let mut victims = Vec::new();
        let mut added = Vec::new();
        for (second, row) in &rows {
            let has_payee = row[8].as_array().is_some_and(|all| !all.is_empty());
            if row[11] != 1 || !has_payee || victims.contains(&&row[1]) {
                continue;
            }
            victims.push(&row[1]);
            match self {
                Self::SmallSessions => added.extend(small_sessions(*second, row)),
                Self::FakePeers => added.extend(fake_peers(*second, row)),
            }
        }
        rows.extend(added);
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(rows.iter().map(|(_, row)| row.to_string()).collect())
    }
}

fn small_sessions(second: f64, row: &Value) -> impl Iterator<Item = (f64, Value)> {
    (1..=SMALL_SESSIONS).map(move |day| {
        let at = second - DAY * f64::from(day);
        let mut one = row.clone();
        one[0] = at.into();
        one[4] = format!("small-{}-{day}", row[1]).into();
        one[9] = row[9].as_f64().map(|units| units / 100.0).into();
        (at, one)
    })
}

fn fake_peers(second: f64, row: &Value) -> impl Iterator<Item = (f64, Value)> {
    (0..FAKE_PEERS).flat_map(move |peer| {
        (1..=FAKE_DAYS).map(move |day| {
            #[expect(clippy::cast_precision_loss, reason = "a dozen")]
            let at = second - DAY * f64::from(day) - 600.0 * peer as f64;
            let mut one = row.clone();
            one[0] = at.into();
            one[1] = format!("fake-{}-{peer}", row[1]).into();
            one[4] = format!("fake-{}-{peer}-{day}", row[1]).into();
            one[11] = (-1).into();
            (at, one)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        [
            r#"[100.0, 1, "mail", "m", 1, "b", "read", 0, [], null, false, 0]"#,
            r#"[900000.0, 1, "mail", "m", 2, "a", "pay", 1, ["thief"], 500.0, false, 1]"#,
            r#"[900001.0, 1, "mail", "m", 2, "a", "pay", 1, ["thief"], 500.0, false, 1]"#,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn five_small_sessions_come_before_the_first_attack_of_each_victim() {
        let poisoned = Poison::SmallSessions.add_to(&lines()).unwrap();
        let rows: Vec<Value> =
            poisoned.iter().map(|line| serde_json::from_str(line).unwrap()).collect();

        assert_eq!(rows.len(), 8);
        assert!(rows[1..6].iter().all(|row| row[9] == 5.0 && row[11] == 1 && row[6] == "pay"));
        assert!(rows.is_sorted_by(|a, b| a[0].as_f64() <= b[0].as_f64()));
    }

    #[test]
    fn fake_peers_are_agents_of_their_own_and_have_no_label() {
        let poisoned = Poison::FakePeers.add_to(&lines()).unwrap();
        let fake = poisoned.iter().filter(|line| line.contains("\"fake-1-")).count();

        assert_eq!((poisoned.len(), fake), (3 + 48, 48));
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        let error = Poison::FakePeers.add_to(&["[]".to_owned()]).unwrap_err();

        assert_eq!(error.0, 1);
    }
}
