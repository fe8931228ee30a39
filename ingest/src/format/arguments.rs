//! [`Stake`]: how much and to whom, read from the arguments of a tool by their usual names.
//!
//! Invariant: an amount is read only with its currency, since a bare number may count anything; an
//! amount that would lose a digit is not read.

use std::borrow::Cow;

use schemas::{Amount, Currency};

use super::json::Json;

/// Names of the amount, the most telling first.
const AMOUNTS: &[&str] = &[
    "total_amount",
    "amount",
    "amount_due",
    "grand_total",
    "total",
    "price",
    "sum",
    "amount.value",
    "amount.amount",
];

/// Names of an amount in hundredths.
const CENTS: &[&str] = &["amount_cents", "amount_minor", "amount_in_cents", "total_cents"];

const CURRENCIES: &[&str] =
    &["currency", "currency_code", "currencycode", "amount.currency", "amount.currency_code"];

/// Names of the other side, the most telling first, with what it is.
const COUNTERPARTIES: &[(&str, &str)] = &[
    ("vendor_id", "vendor"),
    ("vendor", "vendor"),
    ("supplier_id", "vendor"),
    ("supplier", "vendor"),
    ("merchant_id", "merchant"),
    ("merchant", "merchant"),
    ("counterparty_id", "counterparty"),
    ("counterparty", "counterparty"),
    ("payee_id", "payee"),
    ("payee", "payee"),
    ("beneficiary", "payee"),
    ("iban", "account"),
    ("destination_account", "account"),
    ("to_account", "account"),
    ("recipient_id", "recipient"),
    ("recipient", "recipient"),
    ("recipients", "recipient"),
    ("customer_id", "customer"),
    ("customer", "customer"),
    ("to", "recipient"),
    ("email", "recipient"),
    ("account_id", "account"),
    ("channel", "channel"),
    ("url", "host"),
    ("uri", "host"),
    ("host", "host"),
];

/// What instrumentation puts around the arguments: `OpenLLMetry`; `OpenInference`.
const WRAPPERS: &[&str] = &["inputs", "kwargs"];

/// What a call puts at stake.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stake {
    pub(super) money: Option<(Amount, Currency)>,
    /// Kind and id.
    pub(super) counterparty: Option<(&'static str, String)>,
}

impl Stake {
    /// What `arguments` tell: an object, or the text of one.
    pub(super) fn of(arguments: &Json<'_>) -> Self {
        match arguments {
            Json::Text(text) => Json::parse(text).map_or(Self::default(), |json| Self::told(&json)),
            Json::Null | Json::Literal(_) | Json::List(_) | Json::Object(_) => {
                Self::told(arguments)
            }
        }
    }

    fn told(arguments: &Json<'_>) -> Self {
        let inner = WRAPPERS.iter().filter_map(|name| arguments.field(name)).map(Self::of_names);
        inner.fold(Self::of_names(arguments), |told, inner| Self {
            money: told.money.or(inner.money),
            counterparty: told.counterparty.or(inner.counterparty),
        })
    }

    fn of_names(arguments: &Json<'_>) -> Self {
        let counterparty = COUNTERPARTIES.iter().find_map(|(name, kind)| {
            let value = arguments.at(name)?;
            let text = value.as_text().or_else(|| value.first(&["id", "name", "email"]))?;
            match *kind {
                "host" => Some(("host", host(text)?.to_owned())),
                kind => Some((kind, text.to_owned())),
            }
        });
        Self { money: money(arguments), counterparty }
    }
}

fn money(arguments: &Json<'_>) -> Option<(Amount, Currency)> {
    let currency = arguments.first(CURRENCIES)?.to_ascii_uppercase();
    let currency = Currency::try_from(currency.as_str()).ok()?;
    let cents = || Amount::from_cents(arguments.first(CENTS)?.parse().ok()?).ok();
    let units = || Amount::parse(&plain_number(arguments.first(AMOUNTS)?)).ok();
    Some((cents().or_else(units)?, currency))
}

/// `1,250.00` as `1250.00`.
fn plain_number(text: &str) -> Cow<'_, str> {
    let mut groups = text.split('.').next().unwrap_or_default().split(',').skip(1);
    if text.contains(',') && groups.all(|group| group.len() == 3) {
        return Cow::Owned(text.replace(',', ""));
    }
    Cow::Borrowed(text)
}

/// The host of a URL, or of a text that is one itself.
pub(super) fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.split_once(']') {
        Some((bracketed, _)) => bracketed.trim_start_matches('['),
        None => host.split(':').next()?,
    };
    Some(host).filter(|host| !host.is_empty())
}

/// A path or URL without its query, up to where the token of a link that was mailed stands in it.
pub(super) fn without_token(uri: &str) -> &str {
    const BEFORE_TOKENS: [&str; 9] = [
        "reset_password",
        "reset-password",
        "recovery",
        "verify",
        "verify-email",
        "welcome",
        "activate",
        "unlock",
        "account-unlock",
    ];
    let path = uri.split('?').next().unwrap_or_default();
    let mut end = 0;
    for part in path.split_inclusive('/') {
        end += part.len();
        if BEFORE_TOKENS.contains(&part.trim_end_matches('/')) {
            return &path[..end];
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stake(json: &str) -> (Option<String>, Option<(&'static str, String)>) {
        let Stake { money, counterparty } = Stake::of(&Json::parse(json).unwrap());
        (money.map(|(amount, currency)| format!("{amount} {currency}")), counterparty)
    }

    #[test]
    fn amount_and_counterparty_are_read_by_their_usual_names() {
        for (json, money, counterparty) in [
            (
                r#"{"vendor":"northwind","amount":49800,"currency":"eur"}"#,
                Some("49800.00 EUR"),
                Some(("vendor", "northwind")),
            ),
            (
                r#"{"payee":{"id":"p-1"},"amount":{"value":"1,250.50","currency":"USD"}}"#,
                Some("1250.50 USD"),
                Some(("payee", "p-1")),
            ),
            (r#"{"amount_cents":129,"currency_code":"USD"}"#, Some("1.29 USD"), None),
            (
                r#""{\"to\":[\"a@b.example\"],\"total\":\"3.5\",\"currency\":\"GBP\"}""#,
                Some("3.50 GBP"),
                Some(("recipient", "a@b.example")),
            ),
            (
                r#"{"url":"https://u@evil.example:8443/x?y","amount":5}"#,
                None,
                Some(("host", "evil.example")),
            ),
            (
                r#"{"inputs":{"vendor":"acme","amount":3,"currency":"EUR"},"kwargs":null}"#,
                Some("3.00 EUR"),
                Some(("vendor", "acme")),
            ),
            (r#"{"amount":"1.234","currency":"EUR"}"#, None, None),
            (r#"{"amount":"1,2","currency":"EUR"}"#, None, None),
            (r#""no JSON""#, None, None),
            ("[]", None, None),
        ] {
            let wanted = (
                money.map(str::to_owned),
                counterparty.map(|(kind, id): (&'static str, &str)| (kind, id.to_owned())),
            );
            assert_eq!(stake(json), wanted, "{json}");
        }
    }
}
