//! The classes of OCSF that are read: their numbers, and the names of their activities.
//!
//! Invariant: a number has one class, but for 3005 and 3006, which were others before 1.0.0.
//!
//! Source: OCSF schema 1.9, categories System Activity, Identity & Access Management, Network Activity and
//! Application Activity, class Device Config State Change; 1.0.0-rc.2.

use crate::format::Fault;
use crate::format::json::Json;
use crate::format::words::snake;

/// A class, the object in it that is changed, if that is the class's own, and the names of its activities,
/// the first of which is 1.
pub(super) struct Class {
    uid: &'static str,
    pub(super) name: &'static str,
    pub(super) target: Option<&'static str>,
    pub(super) activities: &'static [&'static str],
}

/// The class in which the state tells what happened, and the activity only how that became known.
pub(super) const STATE_CHANGE: &str = "device_config_state_change";
/// The class that names nobody but the owner of the endpoint that asked.
pub(super) const WEB_RESOURCES: &str = "web_resources_activity";

impl Class {
    /// Whether the user of a record is who acts, by signing in or off.
    pub(super) fn is_sign_in(&self) -> bool {
        self.name == "authentication"
    }

    /// Whether it is about what runs on a machine or goes over the network.
    pub(super) fn is_of_host(&self) -> bool {
        self.uid.starts_with(['1', '4'])
    }

    /// Whether the user of a record is whom something was done to.
    pub(super) fn is_about_users(&self) -> bool {
        self.name == "authorize_session" || self.target.is_some() && !self.is_of_host()
    }
}

const API_ACTIVITY: Class = Class {
    uid: "6003",
    name: "api_activity",
    target: None,
    activities: &["create", "read", "update", "delete"],
};

/// As 3006 was called, of which Verified Access of AWS tells.
const ACCESS_ACTIVITY: Class = Class {
    uid: "3006",
    name: "access_activity",
    target: None,
    activities: &["access-grant", "access-deny"],
};

const CLASSES: &[Class] = &[
    API_ACTIVITY,
    Class {
        uid: "6001",
        name: WEB_RESOURCES,
        target: Some("web_resources"),
        activities: &["create", "read", "update", "delete", "search", "import", "export", "share"],
    },
    Class {
        uid: "6002",
        name: "application_lifecycle",
        target: Some("app"),
        activities: &[
            "install", "remove", "start", "stop", "restart", "enable", "disable", "update",
        ],
    },
    Class {
        uid: "6006",
        name: "file_hosting",
        target: Some("file"),
        activities: &[
            "upload",
            "download",
            "update",
            "delete",
            "rename",
            "copy",
            "move",
            "restore",
            "preview",
            "lock",
            "unlock",
            "share",
            "unshare",
            "open",
            "sync",
            "unsync",
            "access-check",
        ],
    },
    Class {
        uid: "5019",
        name: STATE_CHANGE,
        target: Some("device"),
        activities: &["disabled", "enabled"],
    },
    Class {
        uid: "6005",
        name: "datastore_activity",
        target: None,
        activities: &["read", "update", "connect", "query", "write", "create", "delete", "list"],
    },
    Class {
        uid: "3001",
        name: "account_change",
        target: Some("user"),
        activities: &[
            "create",
            "enable",
            "password-change",
            "password-reset",
            "disable",
            "delete",
            "attach-policy",
            "detach-policy",
            "lock",
            "mfa-factor-enable",
            "mfa-factor-disable",
            "unlock",
        ],
    },
    Class {
        uid: "3002",
        name: "authentication",
        target: None,
        activities: &[
            "logon",
            "logoff",
            "authentication-ticket",
            "service-ticket-request",
            "service-ticket-renew",
            "preauth",
            "account-switch",
        ],
    },
    Class {
        uid: "3003",
        name: "authorize_session",
        target: None,
        activities: &["assign-privileges", "assign-groups", "assign-roles"],
    },
    Class {
        uid: "3004",
        name: "entity_management",
        target: Some("entity"),
        activities: &[
            "create",
            "read",
            "update",
            "delete",
            "move",
            "enroll",
            "unenroll",
            "enable",
            "disable",
            "activate",
            "deactivate",
            "suspend",
            "resume",
        ],
    },
    Class {
        uid: "3005",
        name: "user_access",
        target: Some("user"),
        activities: &["assign-privileges", "revoke-privileges", "assign-role", "remove-role"],
    },
    Class {
        uid: "3006",
        name: "group_management",
        target: Some("group"),
        activities: &[
            "assign-privileges",
            "revoke-privileges",
            "add-user",
            "remove-user",
            "delete",
            "create",
            "add-subgroup",
            "remove-subgroup",
        ],
    },
    Class {
        uid: "3007",
        name: "user_management",
        target: Some("user"),
        activities: &[
            "create",
            "update",
            "delete",
            "enable",
            "disable",
            "lock",
            "unlock",
            "password-change",
            "password-reset",
            "attach-policies",
            "detach-policies",
            "mfa-factor-enable",
            "mfa-factor-disable",
            "assign-privileges",
            "remove-privileges",
            "assign-roles",
            "remove-roles",
        ],
    },
    Class {
        uid: "3008",
        name: "role_management",
        target: Some("iam_role"),
        activities: &[
            "create",
            "update",
            "delete",
            "assign-privileges",
            "remove-privileges",
            "assign-resources",
            "remove-resources",
            "attach-policies",
            "detach-policies",
            "add-programmatic-credentials",
            "remove-programmatic-credentials",
        ],
    },
    Class {
        uid: "1001",
        name: "file_system_activity",
        target: Some("file"),
        activities: &[
            "create",
            "read",
            "update",
            "delete",
            "rename",
            "set-attributes",
            "set-security",
            "get-attributes",
            "get-security",
            "encrypt",
            "decrypt",
            "mount",
            "unmount",
            "open",
        ],
    },
    Class {
        uid: "1006",
        name: "scheduled_job_activity",
        target: Some("job"),
        activities: &["create", "update", "delete", "enable", "disable", "start"],
    },
    Class {
        uid: "1007",
        name: "process_activity",
        target: Some("process"),
        activities: &["launch", "terminate", "open", "inject", "set-user-id"],
    },
    Class {
        uid: "1009",
        name: "script_activity",
        target: Some("script"),
        activities: &["execute"],
    },
    Class { uid: "4001", name: "network_activity", target: None, activities: CONNECTIONS },
    Class {
        uid: "4002",
        name: "http_activity",
        target: None,
        activities: &[
            "connect", "delete", "get", "head", "options", "post", "put", "trace", "patch",
        ],
    },
    Class { uid: "4007", name: "ssh_activity", target: None, activities: CONNECTIONS },
    Class {
        uid: "4009",
        name: "email_activity",
        target: Some("email"),
        activities: &["send", "receive", "scan", "trace"],
    },
    Class {
        uid: "4010",
        name: "network_file_activity",
        target: Some("file"),
        activities: &["upload", "download", "update", "delete", "rename", "copy", "move"],
    },
];

/// What is done with a connection.
const CONNECTIONS: &[&str] = &["open", "close", "reset", "fail", "refuse", "traffic", "listen"];

/// The class by its name, for some products tell another's number with it, else by its number; the type is
/// that with two digits of the activity behind it.
pub(super) fn class(record: &Json<'_>) -> Result<&'static Class, Fault> {
    let of_type = record.text("type_uid").and_then(|uid| uid.get(..uid.len().checked_sub(2)?));
    let uid = record.text("class_uid").or(of_type).unwrap_or_default();
    let named = record.text("class_name").map(snake);
    if let Some(class) = CLASSES.iter().find(|class| named.as_deref() == Some(class.name)) {
        return Ok(class);
    }
    if uid == "3005" && record.text("category_name") == Some("Audit Activity") {
        return Ok(&API_ACTIVITY);
    }
    if uid == "3006" && record.text("class_name") == Some("Access Activity") {
        return Ok(&ACCESS_ACTIVITY);
    }
    CLASSES.iter().find(|class| class.uid == uid).ok_or_else(|| {
        let is_number = (1..=6).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_digit());
        let found = if is_number { uid } else { "none" };
        let detail = format!(
            "`class_uid`: wanted 1001, 1006, 1007, 1009, 3001 to 3008, 4001, 4002, 4007, 4009, 4010, 5019, \
             6001 to 6003, 6005 or 6006, found {found}"
        );
        Fault::bad_field(detail)
    })
}
