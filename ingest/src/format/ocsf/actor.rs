//! [`Acting`]: who acts, and whom something is done to.
//!
//! Invariant: what is told of the user who acts is told by the object that names them; whom something was
//! done to says nothing of who did it, but where nobody else is named and the class is about no user.
//!
//! Source: OCSF schema 1.9, objects Actor, User and Network Endpoint.

use super::super::draft::{Draft, Word};
use super::super::json::Json;
use super::super::kebab;
use super::classes::{Class, WEB_RESOURCES};

/// What Windows writes where nobody is known: no name, and the SID of nobody by its name or number.
pub(super) const NOBODY: &[&str] = &["-", "NULL SID", "S-1-0-0"];

/// Agents; last as products have them that put one beside the user, or only into what was delegated.
const AI_AGENTS: &[&str] = &[
    "ai_agent.uid",
    "actor.ai_agent.uid",
    "ai_agent.name",
    "actor.ai_agent.name",
    "actor.agent.uid",
    "actor.agent.name",
    "delegation.actor_subject_uid",
];
/// Who gave a right to act, and for whom.
const PRINCIPALS: &[&str] = &["parent_uid", "issuer_uid", "origin_subject_uid"];
/// Where an entity is a user.
const ENTITY_USERS: &[&str] = &["entity.user", "managed_entity.user"];
/// Who acts beside a user, last the program.
const ACTORS: &[&str] = &[
    "actor.uid",
    "actor.name",
    "actor.app_uid",
    "actor.app_name",
    "actor.invoked_by",
    "actor.process.name",
];
/// Models, as the profile `ai_operation` has them.
const MODELS: &[&str] = &["ai_agent.ai_model", "actor.ai_agent.ai_model", "ai_model"];

/// Who acts, and the object of the user that names them, if it is one.
struct Acting<'a> {
    name: Word<'a>,
    user: Option<&'a Json<'a>>,
}

impl<'a> Acting<'a> {
    /// Whoever signs in is the user, who elsewhere is whom something was done to.
    fn of(record: &'a Json<'_>, class: &Class) -> Option<Self> {
        let placed = |path| Some(Self { name: user(record, path)?, user: record.at(path) });
        // On a machine each act is a process's, which shows no credential.
        let others = if class.is_of_host() { &ACTORS[..ACTORS.len() - 1] } else { ACTORS };
        let other = || Some(Self { name: known(record, others, NOBODY)?.into(), user: None });
        let actor = || placed("actor.user").or_else(other);
        let subject = || Some(Self { name: subject(record, class)?, user: record.at("user") });
        if class.is_sign_in() {
            return subject().or_else(actor);
        }
        // Kubernetes knows its users by name; the id is that of what showed who they are.
        let name = record.text("actor.user.name").filter(|name| name.starts_with("system:"));
        let named = name.map(|name| Self { name: name.into(), user: record.at("actor.user") });
        // The class has no actor but by a profile.
        let owner = || placed("src_endpoint.owner").filter(|_| class.name == WEB_RESOURCES);
        let subject = || subject().filter(|_| class.target.is_none() && !class.is_of_host());
        named.or_else(actor).or_else(owner).or_else(subject)
    }

    /// What sort of a user it is, by the name of it or by its number.
    fn class(&self, record: &Json<'_>) -> Option<Word<'a>> {
        let actor = record.at("actor.user");
        let user = self.user?;
        let kind = kind(user).or_else(|| kind(actor.filter(|actor| is_one(user, actor))?))?;
        Some(format!("ocsf:{kind}").into())
    }

    /// Keeps name and address of the user, and of who stands behind one that signs in, if that is another.
    fn keep(&self, record: &'a Json<'_>, draft: &mut Draft<'a>) {
        let actor = record.at("actor.user").unwrap_or(&Json::Null);
        let user = self.user.unwrap_or(&Json::Null);
        let is_one = is_one(user, actor);
        for (name, path) in [("user_email", "email_addr"), ("user_name", "name")] {
            draft.keep(name, user.text(path).or_else(|| actor.text(path).filter(|_| is_one)));
        }
        if !is_one {
            draft.keep("actor_name", known(actor, &["name"], NOBODY));
            draft.keep("actor_uid", known(actor, &["uid"], NOBODY));
        }
    }
}

/// Whether two users are one, as far as both are told.
fn is_one(user: &Json<'_>, other: &Json<'_>) -> bool {
    ["uid", "name"].iter().all(|path| match (user.text(path), other.text(path)) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    })
}

fn kind(user: &Json<'_>) -> Option<String> {
    let by_number = match user.text("type_id") {
        Some("1") => Some("user"),
        Some("2") => Some("admin"),
        Some("3") => Some("system"),
        Some("4") => Some("service"),
        _ => None,
    };
    user.text("type").map(kebab).or(by_number.map(str::to_owned))
}

/// The text that the first of `paths` leads to that is none of `unknown`, in any case of letters.
pub(super) fn known<'a>(record: &'a Json<'_>, paths: &[&str], unknown: &[&str]) -> Option<&'a str> {
    let is_known = |text: &&str| !unknown.iter().any(|none| none.eq_ignore_ascii_case(text));
    paths.iter().filter_map(|path| record.text(path)).find(is_known)
}

/// The name of a user: the id, unless that is only the account's; of one whom Windows knows no id of, the
/// name in its domain.
fn user<'a>(record: &'a Json<'_>, path: &str) -> Option<Word<'a>> {
    let user = record.at(path)?;
    let uid = user.text("uid");
    if uid.is_some() && uid == user.first(&["account_uid", "account.uid"]) {
        return user.first(&["uuid", "name", "uid"]).map(Into::into);
    }
    let name = known(user, &["name"], NOBODY);
    let domain = known(user, &["domain"], NOBODY);
    if let (Some(uid), Some(name), Some(domain)) = (uid, name, domain)
        && NOBODY.contains(&uid)
    {
        return Some(format!("{domain}\\{name}").into());
    }
    known(user, &["uid", "name", "email_addr", "uid_alt"], NOBODY).map(Into::into)
}

/// Whom something is done to. Where the id is the actor's own, as AWS has it, but the name is another, the
/// name.
pub(super) fn subject<'a>(record: &'a Json<'_>, class: &Class) -> Option<Word<'a>> {
    let entity = || ENTITY_USERS.iter().find_map(|path| user(record, path));
    let (Some(uid), Some(name)) = (record.text("user.uid"), record.text("user.name")) else {
        return user(record, "user").or_else(entity);
    };
    let is_own = |path| record.text(path) == Some(uid);
    let is_other = match record.text("actor.user.name") {
        Some(own) => name != own && (is_own("actor.user.uid") || is_own("actor.user.uid_alt")),
        None => is_own("actor.user.uid_alt"),
    };
    if is_other && !class.is_sign_in() { Some(name.into()) } else { user(record, "user") }
}

/// Takes who acts, for whom, and whom it was done to.
pub(super) fn actor<'a>(record: &'a Json<'_>, class: &Class, draft: &mut Draft<'a>) {
    let agent = record.first(AI_AGENTS);
    let acting = Acting::of(record, class);
    let user = acting.as_ref().map(|acting| acting.name.clone());
    let subject = subject(record, class).filter(|subject| Some(subject) != user.as_ref());
    if let (Some(subject), true) = (subject, class.is_about_users()) {
        draft.counterparty = Some(("user".into(), subject));
    }
    draft.agent = agent.map(Into::into).or_else(|| user.clone());
    let places = ["ai_agent", "actor.ai_agent", "actor.agent"];
    let ai = places.iter().find_map(|path| record.at(path)).unwrap_or(&Json::Null);
    let named = ai.first(&["charter.name", "charter.uid", "charter", "name", "type"]);
    // The session of a role was issued by the role.
    let issuer = record.first(&["actor.session.issuer", "session.issuer"]);
    let role = issuer.filter(|issuer| issuer.contains(":role/"));
    let by_user = || acting.as_ref()?.class(record);
    draft.class = named.or(role).map(Into::into).or_else(by_user);
    draft.instance = ai.first(&["instance_uid", "version"]).map(Into::into);
    let model = MODELS.iter().find_map(|path| record.at(path)).unwrap_or(&Json::Null);
    draft.model = match (model.first(&["name", "uid"]), model.text("version")) {
        (Some(name), Some(version)) => Some(format!("{name}-{version}").into()),
        (name, _) => name.or(model.as_text()).map(Into::into),
    };
    if agent.is_some() {
        draft.delegation.extend(user.clone());
    }
    for hop in record.list("delegation") {
        let names = PRINCIPALS.iter().filter_map(|path| hop.text(path));
        let others = names.filter(|name| user.as_deref() != Some(*name));
        draft.delegation.extend(others.map(Into::into));
    }
    draft.delegation.extend(role.map(Into::into));
    draft.grant = record.text("delegation.uid").map(Into::into);
    if let Some(acting) = acting {
        acting.keep(record, draft);
    }
}
