//! What secrets look like, and what they are called.
//!
//! Invariant: each mark is found by the quick look at a record, by one of its stems or by the long run of
//! letters that it begins or stands in; a test writes each of them into a record.
//!
//! Sources for the shapes: the vendors' documentation of their token formats; RFC 7519 (JWT),
//! RFC 7468 (PEM), RFC 4716 (SSH2), RFC 3986, section 3.2.1 (user and password in a URL), RFC 6750 and 7617
//! (HTTP authorization); AWS, Google and Microsoft Azure for signed URLs and connection strings.
//!
//! What names an account or a key without opening it (AWS `AKIA…` and `ASIA…`, Twilio `AC…` and `SK…`,
//! Alibaba `LTAI…`, Tencent `AKID…`) is an id and stays: it joins a use with its credential. What has no
//! looks of its own (the keys of Cohere and Mistral, a bot's token of Discord, the newer keys of Mailgun)
//! is known by the name in front of it alone. So is Firecrawl's key: its mark `fc-` stands in many a UUID,
//! and would make the quick look at an event take half as long again.

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
    /// The same, at least so many.
    Word { chars_min: usize },
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

use Shape::{Alone, Base64, Hex, Inside, Scheme, Token, TokenAfterBreak, Word};

/// Marks, the stem by which the quick look finds each, and what makes them a secret. Without a stem a mark
/// is found by the long run of letters around it.
pub(super) const MARKS: &[(&str, &str, Shape)] = &[
    ("ghp_", "ghp_", Token { chars_min: 16 }),
    ("gho_", "gho_", Token { chars_min: 16 }),
    ("ghu_", "ghu_", Token { chars_min: 16 }),
    ("ghs_", "ghs_", Token { chars_min: 16 }),
    ("ghr_", "", Token { chars_min: 16 }),
    ("github_pat_", "", Token { chars_min: 16 }),
    ("xapp-", "", TokenAfterBreak { chars_min: 30 }),
    ("xoxa-", "xox", Token { chars_min: 10 }),
    ("xoxb-", "xox", Token { chars_min: 10 }),
    ("xoxc-", "xox", Token { chars_min: 10 }),
    ("xoxd-", "xox", Token { chars_min: 10 }),
    ("xoxe-", "xox", Token { chars_min: 10 }),
    ("xoxe.", "xox", Token { chars_min: 10 }),
    ("xoxp-", "xox", Token { chars_min: 10 }),
    ("xoxr-", "xox", Token { chars_min: 10 }),
    ("xoxs-", "xox", Token { chars_min: 10 }),
    // Of Anthropic, OpenAI, OpenRouter, Langfuse, DeepSeek, Helicone and others.
    ("sk-", "sk-", TokenAfterBreak { chars_min: 20 }),
    ("sk_live_", "sk_", TokenAfterBreak { chars_min: 16 }),
    ("sk_test_", "sk_", TokenAfterBreak { chars_min: 16 }),
    ("sk_org_", "sk_", TokenAfterBreak { chars_min: 20 }),
    ("sk_", "sk_", Hex { chars_min: 40 }),
    ("rk_live_", "rk_", TokenAfterBreak { chars_min: 16 }),
    ("rk_test_", "rk_", TokenAfterBreak { chars_min: 16 }),
    ("whsec_", "whsec_", Token { chars_min: 16 }),
    ("GOCSPX-", "GOCSPX-", Token { chars_min: 20 }),
    ("AIza", "AIza", Token { chars_min: 30 }),
    ("AQ.Ab", "", TokenAfterBreak { chars_min: 40 }),
    ("ya29.", "ya29.", Token { chars_min: 16 }),
    ("1//0", "", TokenAfterBreak { chars_min: 30 }),
    ("eyJ", "eyJ", Shape::Jwt),
    ("-----BEGIN", "-----BEGIN", Shape::Block { foot: b"-----END" }),
    ("---- BEGIN SSH2", "", Shape::Block { foot: b"---- END" }),
    ("PuTTY-User-Key-File-", "", Shape::Putty),
    ("hvs.", "hvs.", TokenAfterBreak { chars_min: 16 }),
    ("hvb.", "hvb.", TokenAfterBreak { chars_min: 16 }),
    ("hvr.", "hvr.", TokenAfterBreak { chars_min: 16 }),
    // Of Vault's before they had three letters; a batch token begins with the number of its key.
    ("s.", "s.", Alone { chars: 24 }),
    ("b.AAAA", "", TokenAfterBreak { chars_min: 60 }),
    (".atlasv1.", "", Inside { before: 14, after: 60 }),
    ("glpat-", "glp", Token { chars_min: 16 }),
    ("glptt-", "glp", Token { chars_min: 16 }),
    ("glrt-", "glr", TokenAfterBreak { chars_min: 16 }),
    ("glrtr-", "glr", TokenAfterBreak { chars_min: 16 }),
    ("gldt-", "gld", TokenAfterBreak { chars_min: 16 }),
    ("glcbt-", "glc", TokenAfterBreak { chars_min: 16 }),
    ("glc_", "glc", Base64 { chars_min: 30 }),
    ("glsoat-", "gls", TokenAfterBreak { chars_min: 16 }),
    ("glsa_", "gls", TokenAfterBreak { chars_min: 30 }),
    ("glft-", "glf", TokenAfterBreak { chars_min: 16 }),
    ("glffct-", "glf", TokenAfterBreak { chars_min: 16 }),
    ("glimt-", "glimt-", TokenAfterBreak { chars_min: 16 }),
    ("glwt-", "glwt-", TokenAfterBreak { chars_min: 16 }),
    ("gloas-", "", TokenAfterBreak { chars_min: 40 }),
    ("glagent-", "", TokenAfterBreak { chars_min: 36 }),
    ("GR1348941", "GR1348941", TokenAfterBreak { chars_min: 16 }),
    ("npm_", "npm_", TokenAfterBreak { chars_min: 36 }),
    ("pypi-", "", Token { chars_min: 39 }),
    ("rubygems_", "", TokenAfterBreak { chars_min: 40 }),
    ("oy2", "", Alone { chars: 43 }),
    ("AKCp", "", TokenAfterBreak { chars_min: 60 }),
    ("cmVmdGtuOj", "", TokenAfterBreak { chars_min: 50 }),
    ("SG.", "SG.", TokenAfterBreak { chars_min: 30 }),
    ("key-", "key-", Hex { chars_min: 32 }),
    ("xkeysib-", "", TokenAfterBreak { chars_min: 60 }),
    ("NRAK-", "NRAK-", TokenAfterBreak { chars_min: 20 }),
    ("dt0s01.", "", TokenAfterBreak { chars_min: 80 }),
    ("dt0s16.", "", TokenAfterBreak { chars_min: 80 }),
    ("dt0c01.", "", TokenAfterBreak { chars_min: 80 }),
    ("sntryu_", "", TokenAfterBreak { chars_min: 40 }),
    ("sntrys_", "", Base64 { chars_min: 40 }),
    // The Base64 of the JSON of a key of Grafana's, as it was before it had a prefix.
    ("eyJrIjoi", "", Base64 { chars_min: 60 }),
    ("phx_", "", TokenAfterBreak { chars_min: 40 }),
    ("sqp_", "", Hex { chars_min: 40 }),
    ("squ_", "", Hex { chars_min: 40 }),
    ("sqa_", "", Hex { chars_min: 40 }),
    ("sgp_", "", TokenAfterBreak { chars_min: 40 }),
    ("dop_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("doo_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("dor_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("dapi", "dapi", Hex { chars_min: 32 }),
    ("dckr_pat_", "dckr_", TokenAfterBreak { chars_min: 20 }),
    ("dckr_oat_", "dckr_", TokenAfterBreak { chars_min: 20 }),
    (":AA", ":AA", Shape::Bot),
    ("/api/webhooks/", "", Scheme { chars_min: 60 }),
    ("hooks.slack.com/services/", "", Scheme { chars_min: 20 }),
    ("hooks.slack.com/workflows/", "", Scheme { chars_min: 20 }),
    ("hooks.slack.com/triggers/", "", Scheme { chars_min: 20 }),
    ("nfp_", "nfp_", TokenAfterBreak { chars_min: 36 }),
    ("rnd_", "rnd_", Word { chars_min: 28 }),
    ("fm1a_", "", Base64 { chars_min: 100 }),
    ("fm1r_", "", Base64 { chars_min: 100 }),
    ("fm2_", "", Base64 { chars_min: 100 }),
    ("fo1_", "", TokenAfterBreak { chars_min: 40 }),
    ("napi_", "", TokenAfterBreak { chars_min: 40 }),
    ("vcp_", "", TokenAfterBreak { chars_min: 40 }),
    ("vci_", "", TokenAfterBreak { chars_min: 40 }),
    ("vca_", "", TokenAfterBreak { chars_min: 40 }),
    ("vcr_", "", TokenAfterBreak { chars_min: 40 }),
    ("vck_", "", TokenAfterBreak { chars_min: 40 }),
    ("cfk_", "", TokenAfterBreak { chars_min: 40 }),
    ("cfut_", "", TokenAfterBreak { chars_min: 40 }),
    ("cfat_", "", TokenAfterBreak { chars_min: 40 }),
    ("y0_", "", TokenAfterBreak { chars_min: 50 }),
    ("t1.", "", TokenAfterBreak { chars_min: 100 }),
    ("AQVN", "AQVN", TokenAfterBreak { chars_min: 34 }),
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
    ("ATTA", "", Hex { chars_min: 60 }),
    ("ATBB", "ATBB", TokenAfterBreak { chars_min: 32 }),
    ("lin_api_", "", TokenAfterBreak { chars_min: 36 }),
    ("lin_oauth_", "", TokenAfterBreak { chars_min: 36 }),
    ("ntn_", "", TokenAfterBreak { chars_min: 40 }),
    ("secret_", "", TokenAfterBreak { chars_min: 40 }),
    ("pat-na1-", "", TokenAfterBreak { chars_min: 36 }),
    ("pat-eu1-", "", TokenAfterBreak { chars_min: 36 }),
    ("CFPAT-", "", TokenAfterBreak { chars_min: 40 }),
    ("tfp_", "", TokenAfterBreak { chars_min: 40 }),
    ("shippo_live_", "", Hex { chars_min: 40 }),
    ("EZAK", "", TokenAfterBreak { chars_min: 54 }),
    ("rdme_", "", TokenAfterBreak { chars_min: 60 }),
    ("ops_eyJ", "", Base64 { chars_min: 100 }),
    ("api_org_", "api_org_", TokenAfterBreak { chars_min: 30 }),
    ("hf_", "hf_", TokenAfterBreak { chars_min: 30 }),
    ("r8_", "r8_", TokenAfterBreak { chars_min: 30 }),
    ("gsk_", "", TokenAfterBreak { chars_min: 40 }),
    ("pplx-", "", TokenAfterBreak { chars_min: 40 }),
    ("nvapi-", "", TokenAfterBreak { chars_min: 40 }),
    ("csk-", "", TokenAfterBreak { chars_min: 40 }),
    ("jina_", "", TokenAfterBreak { chars_min: 50 }),
    ("tgp_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("e2b_", "", Hex { chars_min: 40 }),
    ("rpa_", "", TokenAfterBreak { chars_min: 40 }),
    ("wandb_v1_", "", TokenAfterBreak { chars_min: 40 }),
    ("tvly-", "tvly-", TokenAfterBreak { chars_min: 24 }),
    ("fw_", "fw_", Word { chars_min: 22 }),
    ("xai-", "", TokenAfterBreak { chars_min: 60 }),
    ("lsv2_pt_", "", TokenAfterBreak { chars_min: 40 }),
    ("lsv2_sk_", "", TokenAfterBreak { chars_min: 40 }),
    ("pcsk_", "", TokenAfterBreak { chars_min: 40 }),
    ("v1.0-", "", TokenAfterBreak { chars_min: 120 }),
    ("dp.st.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("dp.ct.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("dp.sa.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("dp.scim.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("dp.audit.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("dp.pt.", "dp.", TokenAfterBreak { chars_min: 40 }),
    ("PMAK-", "", TokenAfterBreak { chars_min: 50 }),
    ("pul-", "", Hex { chars_min: 40 }),
    ("pscale_pw_", "", TokenAfterBreak { chars_min: 36 }),
    ("pscale_tkn_", "", TokenAfterBreak { chars_min: 36 }),
    ("pscale_oauth_", "", TokenAfterBreak { chars_min: 32 }),
    ("mdb_sa_sk_", "", TokenAfterBreak { chars_min: 36 }),
    ("cflt", "", Base64 { chars_min: 56 }),
    ("sb_secret_", "sb_secret_", TokenAfterBreak { chars_min: 28 }),
    ("sbp_", "", Hex { chars_min: 40 }),
    ("tskey-", "", TokenAfterBreak { chars_min: 40 }),
    ("figd_", "", TokenAfterBreak { chars_min: 40 }),
    ("CCIPAT_", "", TokenAfterBreak { chars_min: 40 }),
    ("CCIPRJ_", "", TokenAfterBreak { chars_min: 40 }),
    ("bkua_", "", Hex { chars_min: 40 }),
    ("AGE-SECRET-KEY-1", "", TokenAfterBreak { chars_min: 40 }),
    ("AKIA", "AKIA", Shape::KeyId),
    ("ASIA", "ASIA", Shape::KeyId),
    ("IQoJb3JpZ2lu", "", Base64 { chars_min: 60 }),
    ("FwoGZXIvYXdz", "", Base64 { chars_min: 60 }),
    ("FQoGZXIvYXdz", "", Base64 { chars_min: 60 }),
    ("ABSKQmVkcm9ja0FQSUtleS", "", Base64 { chars_min: 60 }),
    ("7Q~", "", Inside { before: 3, after: 31 }),
    ("8Q~", "", Inside { before: 3, after: 31 }),
    ("+ASt", "", Inside { before: 70, after: 6 }),
    ("ACDb", "", Inside { before: 70, after: 6 }),
    ("AZDO", "", Inside { before: 70, after: 4 }),
    ("+ABa", "", Inside { before: 70, after: 6 }),
    ("APIM", "", Inside { before: 70, after: 6 }),
    ("JQQJ9", "", Inside { before: 50, after: 26 }),
    ("AzFu", "", Inside { before: 42, after: 6 }),
    ("AzSe", "", Inside { before: 40, after: 6 }),
    ("+ACR", "", Inside { before: 40, after: 6 }),
    ("SSWS ", "SSWS ", Scheme { chars_min: 16 }),
    // `Bearer` and `bearer`, `Basic` and `basic`.
    ("earer ", "earer ", Scheme { chars_min: 16 }),
    ("earer+", "", Scheme { chars_min: 16 }),
    ("asic ", "asic ", Scheme { chars_min: 16 }),
    ("asic+", "", Scheme { chars_min: 16 }),
    ("-u ", "-u ", Shape::Login),
    ("://", "://", Shape::UserInfo),
];

/// A stem that is as short as `s.` is looked for with what stands before it, in JSON, in a sentence and in
/// a path.
pub(super) const LED: &[&str] = &["\"s.", " s.", "/s."];

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
    // What Microsoft Graph sends back with each notification, to show that it is the sender.
    "client_state",
    "clientstate",
    "authorization",
    "cookie",
    // What is exchanged for a token: RFC 7636, RFC 8628.
    "code_verifier",
    "codeverifier",
    "device_code",
    "devicecode",
];

/// Parameters of a URL whose value opens what the URL names, or is exchanged for a token. Elsewhere they
/// are ordinary words.
pub(super) const PARAMETERS: &[&str] = &["sig", "signature", CODE];
/// The authorization code of OAuth (RFC 6749, section 4.1.2), and of errors.
pub(super) const CODE: &str = "code";

/// Names whose value is a secret if it is the Base64 of a user and a password. Source: Docker,
/// `config.json`; npm, `.npmrc`.
pub(super) const LOGINS: &[&str] = &["auth", "_auth"];

/// Values of these run to the end of the line: they hold blanks and semicolons.
pub(super) const HEADERS: &[&str] = &["authorization", "cookie"];

/// Words that begin what a sentence says of a token, as in `error validating token: error verifying …`,
/// and no secret.
pub(super) const EXPLANATIONS: &[&str] =
    &["cannot", "could", "error", "expired", "failed", "invalid", "missing", "no", "not", "unable"];

/// How a flag of a command begins in running text.
pub(super) const FLAGGED: &str = " --";
