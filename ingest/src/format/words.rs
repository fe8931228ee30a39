//! What vendors' words are here: their names of kinds in one spelling, and programs that are browsers.
//!
//! Invariant: two spellings of one name are one word.

/// `PublicClientApp`, `AIAgent` or `public_client app` as `public-client-app` and `ai-agent`.
pub(super) fn kebab(name: &str) -> String {
    // One word, whatever its capitals say.
    let name = name.replace("OAuth2", "oauth2_");
    let mut text = String::with_capacity(name.len() + 4);
    let (mut before, mut letters) = ('-', name.chars().peekable());
    while let Some(letter) = letters.next() {
        let is_gap = letter == '_' || letter.is_whitespace();
        let is_last_capital =
            before.is_ascii_uppercase() && letters.peek().is_some_and(char::is_ascii_lowercase);
        let is_word =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || is_last_capital);
        if is_gap || is_word {
            text.push('-');
        }
        if !is_gap {
            text.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    text
}

/// Whether a program that calls itself so has a person before it, who is signed in.
pub(super) fn is_browser(program: &str) -> bool {
    program.starts_with("Mozilla/")
}
