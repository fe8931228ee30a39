//! [`Token`]: what a question must bear.

use std::fmt;
use std::hint::black_box;

use secrecy::{ExposeSecret as _, SecretString};

/// A token of 16 to 512 visible characters.
#[derive(Clone)]
pub(crate) struct Token(SecretString);

impl Token {
    /// # Errors
    ///
    /// What was wanted, without the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible && (16..=512).contains(&text.len()) {
            return Ok(Self(text.into()));
        }
        Err("wanted a token of 16 to 512 visible characters".to_owned())
    }

    /// Whether `found` is the token. How long this takes says at most how long the token is.
    pub(crate) fn is(&self, found: &str) -> bool {
        let (own, found) = (self.0.expose_secret().as_bytes(), found.as_bytes());
        if own.len() != found.len() {
            return false;
        }
        let difference =
            own.iter().zip(found).fold(0, |sum, (own, found)| black_box(sum | (own ^ found)));
        difference == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_only_itself_and_is_never_shown() {
        let token = Token::parse("0123456789abcdef").unwrap();

        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token");
        for text in ["short", "with a space in it", "ümlaut-0123456789"] {
            Token::parse(text).unwrap_err();
        }
    }
}
