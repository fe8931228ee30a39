//! Names that look alike: one spelling for each, and a mark for those that look like another.
//!
//! Invariant: composing changes no text that is composed already, ASCII above all; and what is
//! confusable is only marked, since a name may well be what it is in its own language.
//!
//! Sources: Unicode Standard Annex 15 (NFC, NFKC); Unicode Technical Standard 39, sections 4 and 5
//! (confusables, mixed scripts). The table has the letters that look like an ASCII letter in common
//! fonts, out of that standard's `confusables.txt`.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The label of an event with a name that looks like another.
pub(super) const LABEL: &str = "confusable_name";

/// Cyrillic, Greek and Armenian letters that look like Latin ones.
const LOOK_ALIKES: &str = "\u{430}\u{435}\u{43E}\u{440}\u{441}\u{443}\u{445}\u{455}\u{456}\u{458}\u{45B}\u{475}\u{4BB}\u{4CF}\u{501}\u{51B}\u{51D}\
\u{405}\u{406}\u{408}\u{410}\u{412}\u{415}\u{41A}\u{41C}\u{41D}\u{41E}\u{420}\u{421}\u{422}\u{423}\u{425}\u{4AE}\
\u{391}\u{392}\u{395}\u{396}\u{397}\u{399}\u{39A}\u{39C}\u{39D}\u{39F}\u{3A1}\u{3A4}\u{3A5}\u{3A7}\u{3B1}\u{3B3}\u{3B9}\u{3BD}\u{3BF}\u{3C1}\u{3C3}\u{3C5}\u{3F2}\u{3F3}\
\u{570}\u{578}\u{57D}\u{581}\u{585}";

/// `text` in NFC: the twin of a name that is written with combining marks.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// Whether the name could be taken for another: letters of Latin and of a script that looks like it
/// side by side, a word made of look-alikes alone, or forms of ASCII letters such as full-width ones.
pub(super) fn is_confusable(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let plain = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let has_new_ascii = plain.bytes().filter(u8::is_ascii_alphanumeric).count()
        != text.bytes().filter(u8::is_ascii_alphanumeric).count();
    has_new_ascii || plain.split(|c: char| !c.is_alphanumeric()).any(is_confusable_word)
}

fn is_confusable_word(word: &str) -> bool {
    let is_like_latin = |c: char| matches!(c, '\u{370}'..='\u{58F}' | '\u{1C80}'..='\u{1C8F}');
    if !word.chars().any(is_like_latin) {
        return false;
    }
    let mut letters = word.chars().filter(|c| c.is_alphabetic());
    let is_latin = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{C0}'..='\u{24F}');
    word.chars().any(is_latin) || letters.all(|c| LOOK_ALIKES.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_one_name() {
        assert_eq!(composed("Jose\u{301}"), "Jos\u{e9}");
        assert_eq!(composed("Jos\u{e9}"), "Jos\u{e9}");
        assert!(matches!(composed("agent-7"), Cow::Borrowed("agent-7")));
    }

    #[test]
    fn a_name_that_looks_like_another_is_told() {
        for name in [
            "\u{430}",
            "\u{440}rocurement-agent",
            "bot-\u{440}\u{430}\u{443}",
            "\u{ff41}gent",
            "\u{1d41a}gent",
            "\u{39f}RDER",
        ] {
            assert!(is_confusable(name), "{name}");
        }
        for name in [
            "agent",
            "Jos\u{e9}",
            "M\u{fc}ller",
            "\u{418}\u{432}\u{430}\u{43d} \u{41f}\u{435}\u{442}\u{440}\u{43e}\u{432}",
            "\u{4ee3}\u{7406}agent",
            "\u{3a0}\u{3ac}\u{3bd}\u{3bf}\u{3c2}",
            "\u{1f916}-bot",
        ] {
            assert!(!is_confusable(name), "{name}");
        }
    }
}
