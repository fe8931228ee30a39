//! [`UnmixAnswer`]: a credential's uses split into users, with names and with who answers for them.
//!
//! Invariant: names and owners come from the events' agent ids and from the registry, after the split
//! was made without them; a user whom neither tells has a number, and nobody is invented (T1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use schemas::{AgentId, CredentialId, SponsorId, Timestamp};
use serde::Serialize;

use super::{Signature, Split, USES_MAX, Unmixer, Use};
use crate::format::visible;
use crate::{Engine, QueryError};

/// An agent id names a user if this share of the user's events bear it.
const NAMING_SHARE: f64 = 0.8;
/// Agent ids told of a user.
const AGENT_IDS_MAX: usize = 8;

/// An agent that may use the credential by the registry's word, and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    pub agent_id: AgentId,
    pub sponsor_id: Option<SponsorId>,
}

/// One of those who use the credential.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserAnswer {
    /// An agent's id, or `user-1` and so on.
    pub name: String,
    /// Whether the name is an agent's.
    pub is_named: bool,
    /// Who answered for most of its events; absent where nobody did.
    pub sponsor_id: Option<String>,
    pub events: u64,
    /// Of the credential's events, 0 to 1.
    pub share: f64,
    /// Mean over its events of how likely they are its own, 0 to 1.
    pub probability: f64,
    pub sessions: u64,
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    pub networks: Vec<String>,
    pub addresses: Vec<String>,
    pub user_agents: Vec<String>,
    /// Those in most sessions first.
    pub actions: Vec<String>,
    pub seconds_between_uses: Option<f64>,
    /// The agent ids that its events bear, most first.
    pub agent_ids: Vec<String>,
}

/// Who made one use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnmixedUse {
    pub event_id: String,
    pub time: Timestamp,
    /// The agent id that the event bears.
    pub agent_id: String,
    pub action: String,
    /// The likeliest user's name.
    pub user: String,
    pub probability: f64,
    /// The next likeliest, where there is one.
    pub next_user: Option<String>,
    pub next_probability: f64,
}

/// A credential's uses, split into users.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnmixAnswer {
    pub credential_id: CredentialId,
    pub events: u64,
    /// Whether there is more than one user.
    pub is_shared: bool,
    /// Busiest first.
    pub users: Vec<UserAnswer>,
    /// The agents that may use it by the registry, as of its last use.
    pub owners: Vec<Owner>,
    #[serde(skip)]
    pub uses: Vec<UnmixedUse>,
}

/// A row of the credential's events.
pub(crate) struct Row {
    pub(crate) event_id: String,
    time: Timestamp,
    pub(crate) agent_id: String,
    action: String,
    sponsor_id: Option<String>,
}

impl Engine {
    /// Splits the uses of a credential into users, by what the uses have in common.
    ///
    /// # Errors
    ///
    /// [`QueryError::Resources`] for more than [`USES_MAX`] events: ask for less time. Otherwise as
    /// [`Engine::sql`].
    pub async fn unmix(
        &self,
        credential: &CredentialId,
        [from, to]: [Option<Timestamp>; 2],
    ) -> Result<UnmixAnswer, QueryError> {
        let text = statement(credential, from, to);
        let mut answer = self.sql(&text).await?;
        let (mut unmixer, mut rows) = (Unmixer::default(), Vec::new());
        while let Some(batch) = answer.next().await? {
            if !take(&batch, &mut unmixer, &mut rows)? {
                let message =
                    format!("more than {USES_MAX} events of {credential}: ask for less time");
                return Err(QueryError::Resources { message });
            }
        }
        let split = unmixer.finish();
        let last = rows.last().map_or(Timestamp::MAX, |row: &Row| row.time);
        let owners = self.users_of(credential, last).await?;
        let owners =
            owners.into_iter().map(|(agent_id, sponsor_id)| Owner { agent_id, sponsor_id });
        Ok(UnmixAnswer::of(credential.clone(), &split, rows, owners.collect()))
    }
}

fn statement(credential: &CredentialId, from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    let id = credential.as_str().replace('\'', "''");
    let from = from.map(|at| format!(" AND '{at}' <= time")).unwrap_or_default();
    let to = to.map(|at| format!(" AND time < '{at}'")).unwrap_or_default();
    format!(
        "SELECT event_id, time, agent_id, session_id, source_ip, user_agent, action, sponsor_id \
         FROM events_unique WHERE credential_id = '{id}'{from}{to} ORDER BY time, event_id LIMIT {}",
        USES_MAX + 1
    )
}

/// Takes the rows of a batch. Returns whether there was room for all.
pub(crate) fn take(
    batch: &RecordBatch,
    unmixer: &mut Unmixer,
    rows: &mut Vec<Row>,
) -> Result<bool, QueryError> {
    let column = |name: &str, wanted: &DataType| {
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| bug(format!("the events have no {name}")))?;
        cast(column, wanted).map_err(|error| bug(error.to_string()))
    };
    let text = |name: &str| -> Result<StringArray, QueryError> {
        Ok(column(name, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let times = column("time", &micros)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let [event_ids, agent_ids, sessions] =
        [text("event_id")?, text("agent_id")?, text("session_id")?];
    let [addresses, user_agents, actions, sponsors] =
        [text("source_ip")?, text("user_agent")?, text("action")?, text("sponsor_id")?];
    for row in 0..batch.num_rows() {
        let maybe =
            |column: &StringArray| (!column.is_null(row)).then(|| column.value(row).to_owned());
        let time =
            Timestamp::from_micros(times.value(row)).map_err(|error| bug(error.to_string()))?;
        let (session, address) = (maybe(&sessions), maybe(&addresses));
        let user_agent = maybe(&user_agents);
        let one = Use {
            time,
            session: session.as_deref(),
            address: address.and_then(|text| text.parse().ok()),
            user_agent: user_agent.as_deref(),
            action: actions.value(row),
        };
        if !unmixer.push(&one) {
            return Ok(false);
        }
        rows.push(Row {
            event_id: event_ids.value(row).to_owned(),
            time,
            agent_id: agent_ids.value(row).to_owned(),
            action: actions.value(row).to_owned(),
            sponsor_id: maybe(&sponsors),
        });
    }
    Ok(true)
}

fn bug(message: String) -> QueryError {
    QueryError::Bug { message }
}

/// What the events of a user say of who it is.
#[derive(Default)]
struct Sayings<'a> {
    agents: BTreeMap<&'a str, u64>,
    sponsors: BTreeMap<Option<&'a str>, u64>,
    probability: f64,
    events: u64,
}

impl UnmixAnswer {
    #[expect(clippy::cast_precision_loss, reason = "a few million events")]
    fn of(credential_id: CredentialId, split: &Split, rows: Vec<Row>, owners: Vec<Owner>) -> Self {
        let mut sayings: Vec<Sayings<'_>> =
            std::iter::repeat_with(Sayings::default).take(split.users.len()).collect();
        for (number, row) in rows.iter().enumerate() {
            let likely = split.likely(number)[0];
            let of = &mut sayings[likely.user];
            *of.agents.entry(row.agent_id.as_str()).or_default() += 1;
            *of.sponsors.entry(row.sponsor_id.as_deref()).or_default() += 1;
            of.probability += likely.probability;
            of.events += 1;
        }
        let names = names(&sayings, &owners);
        let users = split.users.iter().zip(&sayings).zip(&names);
        let users: Vec<UserAnswer> = users
            .map(|((signature, sayings), name)| {
                let share = sayings.events as f64 / (rows.len() as f64).max(1.0);
                user(signature, sayings, name, share)
            })
            .collect();
        let uses = rows.into_iter().enumerate().map(|(number, row)| {
            let likely = split.likely(number);
            UnmixedUse {
                event_id: row.event_id,
                time: row.time,
                agent_id: row.agent_id,
                action: row.action,
                user: names[likely[0].user].0.clone(),
                probability: likely[0].probability,
                next_user: likely.get(1).map(|next| names[next.user].0.clone()),
                next_probability: likely.get(1).map_or(0.0, |next| next.probability),
            }
        });
        let uses: Vec<UnmixedUse> = uses.collect();
        Self {
            credential_id,
            events: uses.len() as u64,
            is_shared: 1 < users.len(),
            users,
            owners,
            uses,
        }
    }

    /// A row for each event, with its likeliest user.
    pub fn batch(&self) -> RecordBatch {
        let texts = |of: fn(&UnmixedUse) -> Option<&str>| -> ArrayRef {
            Arc::new(self.uses.iter().map(of).collect::<StringArray>())
        };
        let numbers = |of: fn(&UnmixedUse) -> f64| -> ArrayRef {
            Arc::new(self.uses.iter().map(of).collect::<Float64Array>())
        };
        let times = self.uses.iter().map(|one| Some(one.time.as_micros()));
        let times = times.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let columns: [(&str, ArrayRef); 8] = [
            ("time", Arc::new(times)),
            ("event_id", texts(|one| Some(&one.event_id))),
            ("agent_id", texts(|one| Some(&one.agent_id))),
            ("action", texts(|one| Some(&one.action))),
            ("likely_user", texts(|one| Some(&one.user))),
            ("probability", numbers(|one| one.probability)),
            ("next_user", texts(|one| one.next_user.as_deref())),
            ("next_probability", numbers(|one| one.next_probability)),
        ];
        RecordBatch::try_from_iter(columns).expect("each column has a row for each use")
    }

    /// The answer for people: a paragraph for each user, then the owners.
    pub fn render_text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("writing to a string");
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let users = self.users.len();
        let noun = if users == 1 { "user" } else { "users" };
        writeln!(
            text,
            "credential {}: {} events of {users} {noun}",
            self.credential_id, self.events
        )?;
        for user in &self.users {
            let sponsor = user.sponsor_id.as_deref().unwrap_or("nobody");
            writeln!(
                text,
                "\n{:>5.1} %  {}, {} events in {} sessions, probability {:.2}\n         sponsor {sponsor}",
                user.share * 100.0,
                visible(&user.name),
                user.events,
                user.sessions,
                user.probability,
            )?;
            for (what, values) in [
                ("from", &user.addresses),
                ("with", &user.user_agents),
                ("does", &user.actions),
                ("as", &user.agent_ids),
            ] {
                let values: Vec<String> = values.iter().map(|value| visible(value)).collect();
                writeln!(text, "         {what} {}", values.join(", "))?;
            }
            if let Some(seconds) = user.seconds_between_uses {
                writeln!(text, "         every {seconds:.1} s within a session")?;
            }
        }
        if !self.owners.is_empty() {
            writeln!(text, "\nmay use it, by the registry:")?;
        }
        for owner in &self.owners {
            let sponsor = owner.sponsor_id.as_ref().map_or("nobody", SponsorId::as_str);
            writeln!(text, "         {} of sponsor {sponsor}", owner.agent_id)?;
        }
        Ok(())
    }
}

/// The name of each user, and whether it is an agent's.
///
/// An id that all events bear is the account's and tells nobody apart, unless the registry lists it
/// among the agents that may use the credential.
fn names(sayings: &[Sayings<'_>], owners: &[Owner]) -> Vec<(String, bool)> {
    let ids: BTreeSet<&str> = sayings.iter().flat_map(|of| of.agents.keys().copied()).collect();
    let listed: BTreeSet<&str> = owners.iter().map(|owner| owner.agent_id.as_str()).collect();
    let (mut taken, mut unnamed) = (BTreeMap::<&str, u32>::new(), 0);
    let mut name = |of: &Sayings<'_>| {
        let lead = of.agents.iter().max_by_key(|(_, events)| **events);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let is_lead = |events: u64| NAMING_SHARE <= events as f64 / of.events as f64;
        match lead {
            Some((id, events)) if is_lead(*events) && (1 < ids.len() || listed.contains(*id)) => {
                let id = *ids.get(*id).expect("it is one of them");
                let again = taken.entry(id).or_default();
                *again += 1;
                (if *again == 1 { id.to_owned() } else { format!("{id}#{again}") }, true)
            }
            Some(_) | None => {
                unnamed += 1;
                (format!("user-{unnamed}"), false)
            }
        }
    };
    sayings.iter().map(&mut name).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn user(
    signature: &Signature,
    sayings: &Sayings<'_>,
    (name, is_named): &(String, bool),
    share: f64,
) -> UserAnswer {
    let sponsor = sayings.sponsors.iter().max_by_key(|(_, events)| **events);
    let mut agents: Vec<(&&str, &u64)> = sayings.agents.iter().collect();
    agents.sort_by_key(|(id, events)| (std::cmp::Reverse(**events), **id));
    UserAnswer {
        name: name.clone(),
        is_named: *is_named,
        sponsor_id: sponsor.and_then(|(sponsor, _)| sponsor.map(str::to_owned)),
        events: sayings.events,
        share,
        probability: sayings.probability / (sayings.events as f64).max(1.0),
        sessions: signature.sessions,
        first_time: signature.first_time,
        last_time: signature.last_time,
        networks: signature.networks.clone(),
        addresses: signature.addresses.clone(),
        user_agents: signature.user_agents.clone(),
        actions: signature.actions.clone(),
        seconds_between_uses: signature.seconds_between_uses,
        agent_ids: agents.iter().take(AGENT_IDS_MAX).map(|(id, _)| (**id).to_owned()).collect(),
    }
}
