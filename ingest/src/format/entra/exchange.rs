//! What Exchange tells in Microsoft 365's audit log: whose mailbox was read or sent from and to whom, and what
//! an administrator's command was given.
//!
//! Invariant: an owner who opens their own mailbox is no other side. Of a mail nothing is kept but whom it is to.
//!
//! Source: Microsoft, *Office 365 Management Activity API schema* (Exchange admin and mailbox schemas);
//! *Set-Mailbox*, *New-InboxRule*, *New-TransportRule* of Exchange `PowerShell`.

use super::super::draft::{Draft, Word};
use super::super::json::Json;

/// Whose mailbox it is, else which, with what that is.
const MAILBOXES: [(&str, &str); 2] = [("mailboxOwnerUPN", "entra_user"), ("mailboxGuid", MAILBOX)];
const MAILBOX: &str = "mailbox";
/// How somebody signs in to a mailbox of their own.
const OWNER: [&str; 2] = ["0", "Owner"];
/// What Exchange is called.
const EXCHANGE: &str = "Exchange";
/// The parameters of a command under which others are that mail goes on to, the most telling first.
const FORWARDED_TO: [&str; 8] = [
    "ForwardingSmtpAddress",
    "ForwardingAddress",
    "ForwardTo",
    "RedirectTo",
    "ForwardAsAttachmentTo",
    "RedirectMessageTo",
    "BlindCopyTo",
    "CopyTo",
];
/// The parameters under which a command has whom it gives rights to, or takes them from: of a mailbox and of
/// its folders, of who may send for others, of groups and roles.
const GRANTED_TO: [&str; 3] = ["User", "Trustee", "Member"];
/// How the commands end that give or take rights, or change who is in a group.
const GRANTS: [&str; 3] = ["Permission", "Member", "RoleAssignment"];
/// What stands there for everybody, and for whoever has not signed in.
const ANYBODY: [&str; 2] = ["Default", "Anonymous"];
/// How an address begins that tells its kind.
const SMTP: &str = "smtp:";

/// Reads what such a record says beside what all of the log say.
pub(super) fn read<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let of = |(path, kind)| Some((properties.text(path)?, kind));
    // Other services tell the owner, too, of whoever acts.
    let workload = properties.first(&["workload", "officeWorkload"]);
    let is_of_mail = workload.is_none_or(|name| name == EXCHANGE);
    if let Some((mailbox, kind)) = MAILBOXES.into_iter().find_map(of).filter(|_| is_of_mail) {
        draft.resource = Some(mailbox.into());
        draft.resource_kind = Some(MAILBOX.into());
        let user = properties.text("userId").unwrap_or_default();
        let logon = properties.text("logonType");
        let is_owner = kind == MAILBOX && logon.is_some_and(|kind| OWNER.contains(&kind));
        let is_own = is_owner || mailbox.eq_ignore_ascii_case(user);
        let owner = (!is_own).then(|| (kind.into(), mailbox.into()));
        draft.counterparty = sent_to(properties).or(owner).or(draft.counterparty.take());
    }
    // Of other services the parameters are one text, as they were typed.
    let parameters = properties.list("parameters");
    if parameters.iter().any(|one| one.text("name").is_some()) {
        let granted = granted_to(properties.text("operation").unwrap_or_default(), parameters);
        let other = forwarded_to(parameters).or(granted);
        draft.counterparty = other.or(draft.counterparty.take());
        draft.keep_each(properties, &[("parameters", "parameters")]);
    }
    draft.keep_each(
        properties,
        &[
            ("logon_type", "logonType"),
            ("external_access", "externalAccess"),
            ("send_as", "sendAsUserSmtp"),
            ("send_on_behalf_of", "sendOnBehalfOfUserSmtp"),
        ],
    );
}

/// To whom a mail was sent.
fn sent_to<'a>(properties: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    properties.text("operation").filter(|name| name.starts_with("Send"))?;
    let recipients = properties.at("item")?.list("recipients").iter();
    let mut addresses = recipients.filter_map(|one| one.text("address").or(one.as_text()));
    Some(("recipient".into(), addresses.next()?.into()))
}

/// Whom a command gives rights to, or takes them from.
fn granted_to<'a>(command: &str, parameters: &'a [Json<'_>]) -> Option<(Word<'a>, Word<'a>)> {
    GRANTS.iter().find(|end| command.ends_with(**end))?;
    let user = GRANTED_TO.iter().find_map(|name| value_of(parameters, name))?;
    (!ANYBODY.contains(&user)).then(|| ("entra_user".into(), user.into()))
}

/// What a parameter was given.
fn value_of<'a>(parameters: &'a [Json<'_>], name: &str) -> Option<&'a str> {
    let mut named = parameters.iter().filter(|one| one.text("name") == Some(name));
    named.find_map(|one| one.text("value"))
}

/// To whom a command lets mail go on; where several are told in one text, the first.
fn forwarded_to<'a>(parameters: &'a [Json<'_>]) -> Option<(Word<'a>, Word<'a>)> {
    let value = FORWARDED_TO.iter().find_map(|name| value_of(parameters, name))?;
    let first = value.split(';').next()?.trim();
    let is_marked = first.get(..SMTP.len()).is_some_and(|start| start.eq_ignore_ascii_case(SMTP));
    let address = if is_marked { &first[SMTP.len()..] } else { first };
    (!address.is_empty()).then(|| ("recipient".into(), address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_given_to_whom_the_command_names() {
        for (command, parameters, wanted) in [
            ("Add-MailboxPermission", r#"[{"Name":"User","Value":"jo"}]"#, Some("jo")),
            ("Add-RecipientPermission", r#"[{"Name":"Trustee","Value":"jo"}]"#, Some("jo")),
            ("Add-RoleGroupMember", r#"[{"Name":"Member","Value":"jo"}]"#, Some("jo")),
            ("Set-MailboxFolderPermission", r#"[{"Name":"User","Value":"Default"}]"#, None),
            ("Set-ConditionalAccessPolicy", r#"[{"Name":"User","Value":"jo"}]"#, None),
        ] {
            let record = format!(r#"{{"Parameters":{parameters}}}"#);
            let record = Json::parse(&record).unwrap();
            let found = granted_to(command, record.list("parameters"));
            assert_eq!(found.as_ref().map(|(_, id)| id.as_ref()), wanted, "{command}");
        }
    }

    #[test]
    fn mail_goes_on_to_the_first_that_a_command_names() {
        for (parameters, wanted) in [
            (
                r#"[{"Name":"ForwardTo","Value":"a@example.org;b@example.org"}]"#,
                Some("a@example.org"),
            ),
            (
                r#"[{"Name":"RedirectTo","Value":"b@example.org"},
                    {"Name":"ForwardingSmtpAddress","Value":"SMTP:a@example.org"}]"#,
                Some("a@example.org"),
            ),
            // It is taken away.
            (r#"[{"Name":"ForwardingSmtpAddress","Value":""}]"#, None),
            (r#"[{"Name":"Identity","Value":"a@example.org"}]"#, None),
            (r#""-ForwardTo a@example.org""#, None),
        ] {
            let record = format!(r#"{{"Parameters":{parameters}}}"#);
            let record = Json::parse(&record).unwrap();
            let found = forwarded_to(record.list("parameters"));
            assert_eq!(found.as_ref().map(|(_, id)| id.as_ref()), wanted, "{parameters}");
        }
    }
}
