//! What secrets look like, and what they are called.
//!
//! Invariant: each mark is found by the quick look at a record, by one of its stems or by the long run of
//! letters that it begins or stands in; a test writes each of them into a record.
//!
//! Sources for the shapes: the vendors' documentation of their token formats; RFC 7519 (JWT),
//! RFC 7468 (PEM), RFC 4716 (SSH2), RFC 3986, section 3.2.1 (user and password in a URL), RFC 6750 and 7617
//! (HTTP authorization); AWS, Google and Microsoft Azure for signed URLs and connection strings.
//!
//! What names an account or a key without opening it (AWS `AKIA…` and `ASIA…`, Twilio `AC…`) is an id
//! and stays: it joins a use with its credential.

/// What follows a mark when it is a secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// At least so many characters of a token.
    Token { chars_min: usize },
    /// The same, and nothing that could be a word may stand in front.
    TokenAfterBreak { chars_min: usize },
    /// At least so many characters of Base64.
    Base64 { chars_min: usize },
    /// The same of hexadecimal digits, apart from a word in front.
    Hex { chars_min: usize },
    /// Letters and digits, so many and no more, apart from everything around.
    Alone { chars: usize },
    /// At least so many characters, and the mark names the scheme: the secret is what comes after it.
    Scheme { chars_min: usize },
    /// The mark stands within the secret, between so many characters at least.
    Inside { before: usize, after: usize },
    /// An id of AWS: the secret is what stands beside it, if that is a key.
    KeyId,
    /// Between a bot's number and its token.
    Bot,
    /// `user:password` behind the flag of a command.
    Login,
    /// Three parts with dots between, the first and second in Base64 of a JSON object.
    Jwt,
    /// A block with a private key, up to the line that begins so.
    Block { foot: &'static [u8] },
    /// A private key of `PuTTY`'s.
    Putty,
    /// `user:password@` of a URL.
    UserInfo,
}

use Shape::{Alone, Base64, Hex, Inside, Scheme, Token, TokenAfterBreak};

/// Marks, the stem by which the quick look finds each, and what makes them a secret. Without a stem a mark
/// is found by the long run of letters around it.
pub(super) const MARKS: &[(&str, &str, Shape)] = &[
    ("ghp_", "ghp_", Token { chars_min: 16 }),
    ("gho_", "gho_", Token { chars_min: 16 }),
    ("ghu_", "ghu_", Token { chars_min: 16 }),
    ("ghs_", "ghs_", Token { chars_min: 16 }),
    ("ghr_", "", Token { chars_min: 16 }),
    ("github_pat_", "", Token { chars_min: 16 }),
    ("xapp-", "xapp-", TokenAfterBreak { chars_min: 30 }),
    ("xoxa-", "xox", Token { chars_min: 10 }),
    ("xoxb-", "xox", Token { chars_min: 10 }),
    ("xoxc-", "xox", Token { chars_min: 10 }),
    ("xoxd-", "xox", Token { chars_min: 10 }),
    ("xoxe-", "xox", Token { chars_min: 10 }),
    ("xoxe.", "xox", Token { chars_min: 10 }),
    ("xoxp-", "xox", Token { chars_min: 10 }),
    ("xoxr-", "xox", Token { chars_min: 10 }),
    ("xoxs-", "xox", Token { chars_min: 10 }),
    ("sk-", "sk-", TokenAfterBreak { chars_min: 20 }),
    ("sk_live_", "sk_", TokenAfterBreak { chars_min: 16 }),
    ("sk_test_", "sk_", TokenAfterBreak { chars_min: 16 }),
    ("rk_live_", "rk_", TokenAfterBreak { chars_min: 16 }),
    ("rk_test_", "rk_", TokenAfterBreak { chars_min: 16 }),
    ("whsec_", "whsec_", Token { chars_min: 16 }),
    ("GOCSPX-", "GOCSPX-", Token { chars_min: 20 }),
    ("AIza", "AIza", Token { chars_min: 30 }),
    ("ya29.", "ya29.", Token { chars_min: 16 }),
    ("1//0", "1//0", TokenAfterBreak { chars_min: 30 }),
    ("eyJ", "eyJ", Shape::Jwt),
    ("-----BEGIN", "-----BEGIN", Shape::Block { foot: b"-----END" }),
    ("---- BEGIN SSH2", "", Shape::Block { foot: b"---- END" }),
    ("PuTTY-User-Key-File-", "", Shape::Putty),
    ("hvs.", "hvs.", TokenAfterBreak { chars_min: 16 }),
    ("hvb.", "hvb.", TokenAfterBreak { chars_min: 16 }),
    ("s.", "s.", Alone { chars: 24 }),
    (".atlasv1.", "", Inside { before: 14, after: 60 }),
    ("glpat-", "glp", Token { chars_min: 16 }),
    ("glptt-", "glp", Token { chars_min: 16 }),
    ("glrt-", "glr", TokenAfterBreak { chars_min: 16 }),
    ("glrtr-", "glr", TokenAfterBreak { chars_min: 16 }),
    ("gldt-", "gld", TokenAfterBreak { chars_min: 16 }),
    ("glcbt-", "glc", TokenAfterBreak { chars_min: 16 }),
    ("glc_", "glc", TokenAfterBreak { chars_min: 30 }),
    ("glsoat-", "gls", TokenAfterBreak { chars_min: 16 }),
    ("glsa_", "gls", TokenAfterBreak { chars_min: 30 }),
    ("glft-", "glf", TokenAfterBreak { chars_min: 16 }),
    ("glagent-", "", TokenAfterBreak { chars_min: 36 }),
    ("GR1348941", "GR1348941", TokenAfterBreak { chars_min: 16 }),
    ("npm_", "npm_", TokenAfterBreak { chars_min: 36 }),
    ("pypi-", "", Token { chars_min: 39 }),
    ("rubygems_", "", TokenAfterBreak { chars_min: 40 }),
    ("SG.", "SG.", TokenAfterBreak { chars_min: 30 }),
    ("key-", "key-", Hex { chars_min: 32 }),
    ("xkeysib-", "", TokenAfterBreak { chars_min: 60 }),
    ("NRAK-", "NRAK-", TokenAfterBreak { chars_min: 20 }),
    ("dt0c01.", "", TokenAfterBreak { chars_min: 80 }),
    ("sntryu_", "", TokenAfterBreak { chars_min: 40 }),
    ("sntrys_", "", TokenAfterBreak { chars_min: 40 }),
    ("dop_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("doo_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("dor_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("dapi", "dapi", Hex { chars_min: 32 }),
    ("dckr_pat_", "dckr_", TokenAfterBreak { chars_min: 20 }),
    ("dckr_oat_", "dckr_", TokenAfterBreak { chars_min: 20 }),
    (":AA", ":AA", Shape::Bot),
    ("/api/webhooks/", "", Scheme { chars_min: 60 }),
    ("hooks.slack.com/services/", "hooks.slack.com/", Scheme { chars_min: 20 }),
    ("hooks.slack.com/workflows/", "hooks.slack.com/", Scheme { chars_min: 20 }),
    ("hooks.slack.com/triggers/", "hooks.slack.com/", Scheme { chars_min: 20 }),
    ("HRKU-AA", "", TokenAfterBreak { chars_min: 40 }),
    ("shpat_", "shp", TokenAfterBreak { chars_min: 30 }),
    ("shpca_", "shp", TokenAfterBreak { chars_min: 30 }),
    ("shppa_", "shp", TokenAfterBreak { chars_min: 30 }),
    ("shpss_", "shp", TokenAfterBreak { chars_min: 30 }),
    ("EAAA", "", TokenAfterBreak { chars_min: 56 }),
    ("sq0atp-", "sq0", TokenAfterBreak { chars_min: 20 }),
    ("sq0csp-", "sq0", TokenAfterBreak { chars_min: 20 }),
    ("ATATT3", "", TokenAfterBreak { chars_min: 60 }),
    ("ATCTT3", "", TokenAfterBreak { chars_min: 60 }),
    ("ATBB", "ATBB", TokenAfterBreak { chars_min: 32 }),
    ("lin_api_", "", TokenAfterBreak { chars_min: 36 }),
    ("lin_oauth_", "", TokenAfterBreak { chars_min: 36 }),
    ("ntn_", "", TokenAfterBreak { chars_min: 40 }),
    ("secret_", "", TokenAfterBreak { chars_min: 40 }),
    ("hf_", "hf_", TokenAfterBreak { chars_min: 30 }),
    ("r8_", "r8_", TokenAfterBreak { chars_min: 30 }),
    ("gsk_", "", TokenAfterBreak { chars_min: 40 }),
    ("pplx-", "", TokenAfterBreak { chars_min: 40 }),
    ("xai-", "", TokenAfterBreak { chars_min: 60 }),
    ("lsv2_pt_", "", TokenAfterBreak { chars_min: 40 }),
    ("lsv2_sk_", "", TokenAfterBreak { chars_min: 40 }),
    ("pcsk_", "", TokenAfterBreak { chars_min: 40 }),
    ("v1.0-", "", TokenAfterBreak { chars_min: 120 }),
    ("dp.pt.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("PMAK-", "", TokenAfterBreak { chars_min: 50 }),
    ("pul-", "", Hex { chars_min: 40 }),
    ("pscale_pw_", "", TokenAfterBreak { chars_min: 36 }),
    ("pscale_tkn_", "", TokenAfterBreak { chars_min: 36 }),
    ("sbp_", "", Hex { chars_min: 40 }),
    ("tskey-", "", TokenAfterBreak { chars_min: 40 }),
    ("figd_", "", TokenAfterBreak { chars_min: 40 }),
    ("CCIPAT_", "", TokenAfterBreak { chars_min: 40 }),
    ("bkua_", "", Hex { chars_min: 40 }),
    ("AGE-SECRET-KEY-1", "", TokenAfterBreak { chars_min: 40 }),
    ("AKIA", "AKIA", Shape::KeyId),
    ("ASIA", "ASIA", Shape::KeyId),
    ("IQoJb3JpZ2lu", "", Base64 { chars_min: 60 }),
    ("FwoGZXIvYXdz", "", Base64 { chars_min: 60 }),
    ("FQoGZXIvYXdz", "", Base64 { chars_min: 60 }),
    ("ABSKQmVkcm9ja0FQSUtleS", "", Base64 { chars_min: 60 }),
    ("7Q~", "7Q~", Inside { before: 3, after: 31 }),
    ("8Q~", "8Q~", Inside { before: 3, after: 31 }),
    ("+ASt", "", Inside { before: 70, after: 6 }),
    ("ACDb", "", Inside { before: 70, after: 6 }),
    ("AZDO", "", Inside { before: 70, after: 4 }),
    ("SSWS ", "SSWS ", Scheme { chars_min: 16 }),
    // `Bearer` and `bearer`, `Basic` and `basic`.
    ("earer ", "earer ", Scheme { chars_min: 16 }),
    ("earer+", "", Scheme { chars_min: 16 }),
    ("asic ", "asic ", Scheme { chars_min: 16 }),
    ("asic+", "", Scheme { chars_min: 16 }),
    ("-u ", "-u ", Shape::Login),
    ("://", "://", Shape::UserInfo),
];

/// A stem that is as short as `s.` is looked for with what stands before it, in JSON and in a sentence.
pub(super) const LED: &[&str] = &["\"s.", " s."];

/// A name that ends in one of these, whatever its letters' case, has a secret as its value.
pub(super) const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "_pass",
    "secret",
    "secretstring",
    "secretbinary",
    "secret_key",
    "secretkey",
    "secret-key",
    "secret_access_key",
    "secretaccesskey",
    "secret-access-key",
    "private_key",
    "private-key",
    "privatekey",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "application_key",
    "application-key",
    "applicationkey",
    "auth_key",
    "auth-key",
    "authkey",
    "encryption_key",
    "encryption-key",
    "encryptionkey",
    "signing_key",
    "signing-key",
    "signingkey",
    "account_key",
    "account-key",
    "accountkey",
    "shared_key",
    "shared-key",
    "sharedkey",
    "sharedaccesskey",
    "connection_string",
    "connection-string",
    "connectionstring",
    "x-amz-signature",
    "x-goog-signature",
    "authorization",
    "cookie",
];

/// Parameters of a URL whose value opens what the URL names. Elsewhere they are ordinary words.
pub(super) const PARAMETERS: &[&str] = &["sig", "signature"];

/// Names whose value is a secret if it is the Base64 of a user and a password. Source: Docker,
/// `config.json`; npm, `.npmrc`.
pub(super) const LOGINS: &[&str] = &["auth", "_auth"];

/// Values of these run to the end of the line: they hold blanks and semicolons.
pub(super) const HEADERS: &[&str] = &["authorization", "cookie"];

/// How `name: value` ends before the value in running text, as far as a JSON object's own syntax does not
/// look so: the last letter of each of [`NAMES`]. `name=value` and everything escaped are seen by their `=`
/// and `\`.
pub(super) const WORDED: &[&str] =
    &["': ", "d: ", "D: ", "e: ", "E: ", "g: ", "n: ", "N: ", "s: ", "t: ", "T: ", "y: ", "Y: "];

/// How a flag of a command begins in running text.
pub(super) const FLAGGED: &str = " --";
