//! [`Redactor`]: replaces what looks like a secret by a keyed fingerprint.
//!
//! Invariant (S1): no text of an event or of a registry change, no detail and no bytes of a reject
//! leave this crate before they went through here. The same secret gives the same fingerprint under the same key, so two
//! uses of one leaked token can still be joined; without the key nothing can be tried against it.

mod hidden;
mod marks;
mod named;
mod names;
mod rotation;
mod scan;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use schemas::{
    AgentId, Attributes, CredentialEvent, Disposition, Expectation, Fact, RegistryChange, Reject,
};
use sha2::Sha256;

pub(crate) use self::hidden::without_percents;
use self::scan::Scanner;
pub(crate) use self::scan::{SECRET_BYTES_MIN, ends_with, is_secret_name};

/// Bytes of a record scanned beyond what a reject keeps, so that a secret across the cut is seen.
const LOOKAHEAD_BYTES: usize = 4 * 1024;

/// Undoes one way to hide letters.
type Undo = fn(&[u8]) -> Cow<'_, [u8]>;

/// Replaces secrets. Cloning is cheap.
#[derive(Clone)]
pub struct Redactor(Arc<Inner>);

struct Inner {
    keyed: Hmac<Sha256>,
    /// Eight hexadecimal digits that tell keys apart and nothing about them.
    key_id: String,
    /// The key before this one.
    old: Option<Redactor>,
    scanner: Scanner,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("key_id", &self.0.key_id).finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor whose fingerprints are made with `key`, of any length.
    pub fn new(key: &[u8]) -> Self {
        Self::with(key, None)
    }

    /// The same after a change of keys: each event with a secret keeps the fingerprint that the old key
    /// gives as an attribute by the name of the new one, so that uses before and after still join.
    pub fn rotated(key: &[u8], old_key: &[u8]) -> Self {
        Self::with(key, Some(Self::new(old_key)))
    }

    fn with(key: &[u8], old: Option<Self>) -> Self {
        let keyed = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let of_key = keyed.clone().chain_update(b"surety redaction key id").finalize();
        let key_id = hex(&of_key.into_bytes()[..4]);
        Self(Arc::new(Inner { keyed, key_id, old, scanner: Scanner::new() }))
    }

    /// `fp:<key id>:<32 hexadecimal digits>`: HMAC-SHA256 of the secret, cut to 128 bits.
    pub fn fingerprint(&self, secret: &[u8]) -> String {
        let mac = self.0.keyed.clone().chain_update(secret).finalize().into_bytes();
        format!("fp:{}:{}", self.0.key_id, hex(&mac[..16]))
    }

    /// `text` with every secret in it replaced.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.clean(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// `text` as it may be cut at `bytes_max`: a piece of a secret would no longer look like one.
    pub(crate) fn before_cut<'a>(&self, text: &'a str, bytes_max: usize) -> Cow<'a, str> {
        if text.len() <= bytes_max { Cow::Borrowed(text) } else { self.text(text) }
    }

    /// The bytes that a reject keeps of a record.
    pub(crate) fn raw(&self, payload: &[u8]) -> Vec<u8> {
        let window = &payload[..payload.len().min(Reject::RAW_BYTES_MAX + LOOKAHEAD_BYTES)];
        let mut raw = self.clean(window).into_owned();
        raw.truncate(Reject::RAW_BYTES_MAX);
        raw
    }

    /// A record as it may be shown to a person: without secrets, and with marks for what is no UTF-8.
    pub fn shown(&self, payload: &[u8]) -> String {
        String::from_utf8_lossy(&self.clean(payload)).into_owned()
    }

    /// Whether a JSON record certainly holds no secret in its values, by one cheap pass; its fields' names
    /// are not looked at.
    pub(crate) fn is_clean(&self, json: &str) -> bool {
        self.0.scanner.is_clean(json.as_bytes())
    }

    /// What a value under a secret's name is replaced by; `None` of one that tells nothing.
    pub(crate) fn of_named(&self, value: &str) -> Option<String> {
        let is_harmless = scan::is_harmless(value.as_bytes())
            || !value.bytes().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        (!is_harmless).then(|| self.fingerprint(value.as_bytes()))
    }

    /// The redactor of the key before.
    pub(crate) fn old(&self) -> Option<&Self> {
        self.0.old.as_ref()
    }

    /// Keeps in `event` what the fingerprints in it are in `twin`, the same event under the key before.
    pub(crate) fn link(event: &mut CredentialEvent, twin: &CredentialEvent) {
        rotation::link(event, twin);
    }

    /// Replaces what is left in an event whose texts were clean before it was made of them: what stands
    /// under a secret's name now. Returns whether there was any.
    pub(crate) fn drafted(&self, event: &mut CredentialEvent) -> bool {
        settle_names(event);
        let may_be = event.attributes.iter().any(may_be_secret);
        may_be && self.attributes(&mut event.attributes)
    }

    /// Replaces every secret in every text of `event`, whatever it was made of.
    pub(crate) fn whole(&self, event: &mut CredentialEvent) {
        let _has_replaced = self.attributes(&mut event.attributes);
        self.texts(event);
    }

    /// Replaces every secret in every text of `event`, which was made of `payload`.
    pub(crate) fn event(&self, event: &mut CredentialEvent, payload: &[u8]) {
        let is_clean = self.0.scanner.is_clean(payload);
        if !is_clean {
            self.made_event(event);
        } else if event.attributes.iter().any(may_be_secret) {
            self.linked(event, |redactor, event| {
                let _has_replaced = redactor.attributes(&mut event.attributes);
            });
        }
        if is_clean && !payload.is_ascii() {
            settle_names(event);
        }
    }

    /// The same for an event whose texts do not stand in its record as they are.
    pub(crate) fn made_event(&self, event: &mut CredentialEvent) {
        self.linked(event, Self::whole);
    }

    /// Replaces under this key, with links to the key before.
    fn linked(&self, event: &mut CredentialEvent, replace: fn(&Self, &mut CredentialEvent)) {
        let twin = self.0.old.as_ref().map(|old| {
            let mut twin = event.clone();
            replace(old, &mut twin);
            twin
        });
        replace(self, event);
        if let Some(twin) = twin {
            rotation::link(event, &twin);
        }
    }

    /// Every text but the attributes.
    fn texts(&self, event: &mut CredentialEvent) {
        settle_names(event);
        self.ids(event);
        let texts = [
            &mut event.agent_instance,
            &mut event.model,
            &mut event.task_id,
            &mut event.resource,
            &mut event.resource_kind,
            &mut event.counterparty_kind,
            &mut event.outcome_reason,
            &mut event.user_agent,
        ];
        let texts = texts.into_iter().flatten().chain([&mut event.action]);
        texts.chain(&mut event.labels).for_each(|text| self.replace(text));
    }

    /// Replaces every secret in every text of `change`: a credential's id as that of an event, so that
    /// the two still join.
    pub fn change(&self, change: &mut RegistryChange) {
        let mut texts = vec![&mut change.evidence];
        match &mut change.fact {
            Fact::Sponsor { sponsor_id, name, unit, active: _, successor_id, manager_id } => {
                self.id(sponsor_id);
                self.optional_id(successor_id);
                self.optional_id(manager_id);
                texts.extend([name, unit]);
            }
            Fact::Agent {
                agent_id,
                agent_class,
                sponsor_id,
                model,
                environment,
                purpose,
                allowed_actions,
                allowed_resources,
                allowed_counterparties,
                amount_limit: _,
                currency: _,
            } => {
                self.id(agent_id);
                self.optional_id(agent_class);
                self.optional_id(sponsor_id);
                texts.extend([model, environment, purpose]);
                let lists = [allowed_actions, allowed_resources, allowed_counterparties];
                lists.into_iter().flatten().for_each(|text| self.replace(text));
            }
            Fact::AgentClass { agent_class, sponsor_id } => {
                self.id(agent_class);
                self.id(sponsor_id);
            }
            Fact::Credential {
                credential_id,
                agent_ids,
                credential_kind: _,
                expires_at: _,
                rotated_at: _,
                owner_id,
            } => {
                self.id(credential_id);
                self.optional_id(owner_id);
                for agent in agent_ids {
                    self.id(agent);
                }
            }
            Fact::Issue { credential_id, agent_id, with_credential_id } => {
                self.id(credential_id);
                self.id(agent_id);
                self.optional_id(with_credential_id);
            }
            Fact::Delegation { agent_id, parent_agent_id } => {
                self.id(agent_id);
                self.id(parent_agent_id);
            }
            Fact::Grant { grant_id, agent_id, scope, approved_by, task_id } => {
                self.id(grant_id);
                self.id(agent_id);
                self.optional_id(approved_by);
                self.replace(scope);
                texts.push(task_id);
            }
            Fact::GrantUse { grant_id, agent_id } => {
                self.id(grant_id);
                self.id(agent_id);
            }
            Fact::Disposition(of) => self.disposition(of),
            Fact::Expectation(of) => self.expectation(of),
        }
        texts.into_iter().flatten().for_each(|text| self.replace(text));
    }

    fn disposition(&self, of: &mut Disposition) {
        self.id(&mut of.finding_id);
        self.id(&mut of.agent_id);
        self.optional_id(&mut of.counterparty_id);
        let texts = [&mut of.action, &mut of.by].into_iter().chain(&mut of.note);
        texts.for_each(|text| self.replace(text));
    }

    fn expectation(&self, of: &mut Expectation) {
        self.optional_id(&mut of.counterparty_id);
        let texts = [&mut of.by, &mut of.reason].into_iter().chain(&mut of.action);
        texts.for_each(|text| self.replace(text));
        let (agent, class) = of.ids_mut();
        if let Some(id) = agent {
            self.id(id);
        }
        if let Some(id) = class {
            self.id(id);
        }
    }

    fn replace(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }

    fn ids(&self, event: &mut CredentialEvent) {
        self.id(&mut event.event_id);
        self.id(&mut event.agent_id);
        self.id(&mut event.credential_id);
        self.optional_id(&mut event.agent_class);
        self.optional_id(&mut event.session_id);
        self.optional_id(&mut event.grant_id);
        self.optional_id(&mut event.counterparty_id);
        event.delegation.iter_mut().for_each(|agent| self.id(agent));
    }

    fn optional_id<T: AsRef<str> + TryFrom<String>>(&self, id: &mut Option<T>) {
        if let Some(id) = id {
            self.id(id);
        }
    }

    fn id<T: AsRef<str> + TryFrom<String>>(&self, id: &mut T) {
        compose(id);
        let Cow::Owned(clean) = self.text(id.as_ref()) else { return };
        let whole = self.fingerprint(id.as_ref().as_bytes());
        let clean = T::try_from(clean).or_else(|_| T::try_from(whole));
        *id = clean.unwrap_or_else(|_| unreachable!("a fingerprint is a short visible text"));
    }

    /// Returns whether there was anything to replace.
    fn attributes(&self, attributes: &mut Attributes) -> bool {
        let is_owned = |text: Cow<'_, str>| matches!(text, Cow::Owned(_));
        let is_secret = |(name, value): (&str, &str)| {
            is_owned(self.value(name, value)) || is_owned(self.text(name))
        };
        // Mostly there is nothing to replace, and the map stays as it is.
        if !attributes.iter().any(is_secret) {
            return false;
        }
        let mut clean = Attributes::default();
        for (name, value) in attributes.iter() {
            clean.insert(&self.text(name), &self.value(name, value));
        }
        *attributes = clean;
        true
    }

    /// The value of an attribute of this name.
    fn value<'a>(&self, name: &str, value: &'a str) -> Cow<'a, str> {
        if is_secret_name(name) && !scan::is_harmless(value.as_bytes()) {
            return Cow::Owned(self.fingerprint(value.as_bytes()));
        }
        self.text(value)
    }

    /// Without secrets, those that escapes of JSON, percent signs, Base64 and hexadecimal digits hide
    /// included; as it was if there are none.
    fn clean<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let mut clean = Cow::Borrowed(text);
        if text.len() < SECRET_BYTES_MIN && text.iter().all(|byte| scan::is_token(*byte)) {
            return clean;
        }
        let steps: [Undo; 3] =
            [hidden::without_escapes, |text| Cow::Borrowed(text), without_percents];
        for (undo, is_as_written) in steps.into_iter().zip([false, true, false]) {
            let undone = undo(&clean);
            // What hides nothing stays as it is written, and is looked at once.
            if !is_as_written && matches!(undone, Cow::Borrowed(_)) {
                continue;
            }
            let found = match self.without_secrets(&undone) {
                Cow::Owned(found) => Some(found),
                Cow::Borrowed(_) => None,
            };
            drop(undone);
            if let Some(found) = found {
                clean = Cow::Owned(found);
            }
        }
        match self.without_runs(&clean) {
            Some(found) => Cow::Owned(found),
            None => clean,
        }
    }

    /// Without the runs of Base64 or hexadecimal digits that hide a secret; `None` if there are none.
    fn without_runs(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut runs = hidden::runs(bytes).filter(|run| self.0.scanner.hides(&bytes[run.clone()]));
        let first = runs.next()?;
        Some(self.replaced(bytes, std::iter::once(first).chain(runs)))
    }

    fn without_secrets<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut secrets = self.0.scanner.secrets(bytes).peekable();
        if secrets.peek().is_none() {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned(self.replaced(bytes, secrets))
    }

    /// `bytes` with a fingerprint for each of `secrets`, which come in order.
    fn replaced(&self, bytes: &[u8], secrets: impl Iterator<Item = Range<usize>>) -> Vec<u8> {
        let (mut clean, mut copied) = (Vec::with_capacity(bytes.len()), 0);
        for secret in secrets {
            clean.extend_from_slice(&bytes[copied..secret.start]);
            let quote = named::quote_for(bytes, secret.start);
            let fingerprint = self.fingerprint(&bytes[secret.clone()]);
            for part in [quote, fingerprint.as_bytes(), quote] {
                clean.extend_from_slice(part);
            }
            copied = secret.end;
        }
        clean.extend_from_slice(&bytes[copied..]);
        clean
    }
}

/// Whether an attribute may be a secret of which the quick look at the record saw nothing, since that sees
/// values and no names: an attribute has a name, and one that holds JSON has names inside.
fn may_be_secret((name, value): (&str, &str)) -> bool {
    is_secret_name(name) || value.starts_with(['{', '['])
}

/// Composes the names of an event, and labels it if one of them looks like another.
fn settle_names(event: &mut CredentialEvent) {
    compose(&mut event.agent_id);
    compose(&mut event.credential_id);
    event.agent_class.iter_mut().for_each(compose);
    event.session_id.iter_mut().for_each(compose);
    event.grant_id.iter_mut().for_each(compose);
    event.counterparty_id.iter_mut().for_each(compose);
    event.delegation.iter_mut().for_each(compose);
    let class = event.agent_class.as_ref().map(AsRef::as_ref);
    let counterparty = event.counterparty_id.as_ref().map(AsRef::as_ref);
    let names = [Some(event.agent_id.as_str()), class, counterparty].into_iter().flatten();
    let mut names = names.chain(event.delegation.iter().map(AgentId::as_str));
    let is_marked = event.labels.iter().any(|label| label == names::LABEL);
    if !is_marked && names.any(names::is_confusable) {
        event.labels.push(names::LABEL.to_owned());
    }
}

fn compose<T: AsRef<str> + TryFrom<String>>(id: &mut T) {
    if let Cow::Owned(composed) = names::composed(id.as_ref())
        && let Ok(composed) = T::try_from(composed)
    {
        *id = composed;
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

#[cfg(test)]
mod tests;
