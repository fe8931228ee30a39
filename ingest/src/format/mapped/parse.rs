//! Reads expressions.
//!
//! Invariant: nesting is bounded by [`DEPTH_MAX`], so neither reading nor evaluating can exhaust the
//! stack; an error has the byte where it is, and says what was wanted.
//!
//! ```text
//! expression = conjunction { "or" conjunction }
//! conjunction = comparison { "and" comparison }
//! comparison = choice [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) choice ]
//! choice = term { "??" term }
//! term = "not" term | "(" expression ")" | text | number | path | call path?
//! path = "." [ name | text ] { "." ( name | text ) | "[" digits "]" }
//! call = name "(" [ expression { "," expression } ] ")" | "coalesce" ... | "map" ...
//! ```

use super::expression::{Comparison, ExpressionError, Function, Node, Step};

/// Longest expression in bytes.
const BYTES_MAX: usize = 4_096;
const DEPTH_MAX: usize = 32;

/// Reads a whole text.
pub(super) fn expression(text: &str) -> Result<Node, ExpressionError> {
    if BYTES_MAX < text.len() {
        let wanted = format!("wanted at most {BYTES_MAX} bytes, found {}", text.len());
        return Err(ExpressionError { at: BYTES_MAX, wanted });
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.expression()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.wanted("the end, an operator or ??"));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

type Parsed = Result<Node, ExpressionError>;

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn wanted(&self, wanted: &str) -> ExpressionError {
        let found = match self.rest().chars().next() {
            None => "the end",
            Some('"' | '\'') => "a text",
            Some('0'..='9' | '-') => "a number",
            Some('.') => "a path",
            Some(letter) if letter.is_alphabetic() || letter == '_' => "a name",
            Some(_) => "another character",
        };
        ExpressionError { at: self.at, wanted: format!("wanted {wanted}, found {found}") }
    }

    /// Takes `sign` if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        self.blanks();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    /// Takes a word if it comes next and is not the beginning of a longer one.
    fn takes_word(&mut self, word: &str) -> bool {
        self.blanks();
        let is_next = self.name_here() == word;
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn name_here(&self) -> &'t str {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    }

    fn expect(&mut self, sign: &str, wanted: &str) -> Result<(), ExpressionError> {
        if self.takes(sign) { Ok(()) } else { Err(self.wanted(wanted)) }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if DEPTH_MAX < self.depth {
            let wanted = format!("wanted at most {DEPTH_MAX} levels, found more");
            return Err(ExpressionError { at: self.at, wanted });
        }
        let mut left = self.conjunction()?;
        let mut links = 0;
        while self.takes_word("or") {
            left = Node::Or(Box::new(left), Box::new(self.conjunction()?));
            links = self.linked(links)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        let mut links = 0;
        while self.takes_word("and") {
            left = Node::And(Box::new(left), Box::new(self.comparison()?));
            links = self.linked(links)?;
        }
        Ok(left)
    }

    /// A chain of operators is as deep a tree as it is long.
    fn linked(&self, links: usize) -> Result<usize, ExpressionError> {
        let links = links + 1;
        if links <= DEPTH_MAX {
            return Ok(links);
        }
        let wanted = format!("wanted at most {DEPTH_MAX} conditions in a row, found more");
        Err(ExpressionError { at: self.at, wanted })
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.choice()?;
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in signs {
            if self.takes(sign) {
                let right = self.choice()?;
                return Ok(Node::Compare(comparison, Box::new(left), Box::new(right)));
            }
        }
        Ok(left)
    }

    fn choice(&mut self) -> Parsed {
        let first = self.term()?;
        if !self.takes("??") {
            return Ok(first);
        }
        let mut nodes = vec![first, self.term()?];
        while self.takes("??") {
            nodes.push(self.term()?);
        }
        Ok(Node::FirstOf(nodes))
    }

    fn term(&mut self) -> Parsed {
        self.blanks();
        match self.rest().chars().next() {
            Some('(') => {
                self.at += 1;
                let node = self.expression()?;
                self.expect(")", "a closing )")?;
                Ok(node)
            }
            Some('"' | '\'') => Ok(Node::Literal(self.quoted()?)),
            Some('.') => Ok(Node::Path(self.path()?)),
            Some('0'..='9' | '-') => self.number(),
            Some(letter) if letter.is_alphabetic() || letter == '_' => self.named(),
            Some(_) | None => {
                Err(self.wanted("a path such as .a.b, a text, a number or a function"))
            }
        }
    }

    fn number(&mut self) -> Parsed {
        let rest = self.rest();
        let is_part =
            |(at, c): (usize, char)| c.is_ascii_digit() || c == '.' || (at == 0 && c == '-');
        let length = rest.char_indices().take_while(|one| is_part(*one)).count();
        if rest[..length].parse::<f64>().is_err() {
            return Err(self.wanted("a number such as 200 or -1"));
        }
        self.at += length;
        Ok(Node::Literal(rest[..length].to_owned()))
    }

    /// A text in quotes of either kind; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, character)) = characters.next() {
            if Some(character) == quote {
                self.at += at + 1;
                return Ok(text);
            }
            match character {
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                plain => text.push(plain),
            }
        }
        let wanted = "wanted a closing quote of this text, found the end".to_owned();
        Err(ExpressionError { at: start, wanted })
    }

    /// `.a.b[0]."c d"`; `.` alone is the whole.
    fn path(&mut self) -> Result<Vec<Step>, ExpressionError> {
        let mut steps = Vec::new();
        loop {
            let rest = self.rest();
            if let Some(after) = rest.strip_prefix('.') {
                self.at += 1;
                if after.starts_with(['"', '\'']) {
                    steps.push(Step::Field(self.quoted()?));
                    continue;
                }
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$');
                let name = &after[..after.find(|c| !is_part(c)).unwrap_or(after.len())];
                if name.is_empty() {
                    if steps.is_empty() && !after.starts_with('.') {
                        // The whole; an element of it may follow.
                        if after.starts_with('[') {
                            continue;
                        }
                        return Ok(steps);
                    }
                    return Err(
                        self.wanted("the name of a field, in quotes if it has blanks or dots")
                    );
                }
                self.at += name.len();
                steps.push(Step::Field(name.to_owned()));
            } else if let Some(after) = rest.strip_prefix('[') {
                self.at += 1;
                let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                let Ok(element) = after[..digits].parse() else {
                    return Err(self.wanted("the number of an element, from 0"));
                };
                self.at += digits;
                self.expect("]", "a closing ]")?;
                steps.push(Step::Element(element));
            } else {
                return Ok(steps);
            }
        }
    }

    /// `not`, `true`, `false` or a call.
    fn named(&mut self) -> Parsed {
        let (start, name) = (self.at, self.name_here());
        match name {
            "not" => {
                self.at += name.len();
                self.depth += 1;
                if DEPTH_MAX < self.depth {
                    return Err(self.wanted("fewer levels"));
                }
                let node = self.term()?;
                self.depth -= 1;
                return Ok(Node::Not(Box::new(node)));
            }
            "true" | "false" => {
                self.at += name.len();
                return Ok(Node::Literal(name.to_owned()));
            }
            _ => {}
        }
        let known = Function::ALL.iter().find(|(known, ..)| *known == name);
        if known.is_none() && !["map", "coalesce"].contains(&name) {
            let names: Vec<&str> = Function::ALL.iter().map(|(name, ..)| *name).collect();
            let names = names.join(", ");
            let wanted = format!("a function ({names}, coalesce, map), not, true or false");
            return Err(ExpressionError { at: start, ..self.wanted(&wanted) });
        }
        self.at += name.len();
        self.expect("(", "an opening ( after the function")?;
        let node = match known {
            None if name == "map" => self.map()?,
            None => Node::FirstOf(self.arguments((name, 1, 64), start)?),
            Some((_, function, min, max)) => {
                Node::Call(*function, self.arguments((name, *min, *max), start)?)
            }
        };
        if self.rest().starts_with(['.', '[']) {
            return Ok(Node::Inside(Box::new(node), self.path()?));
        }
        Ok(node)
    }

    /// Arguments up to the closing bracket, so many as the function takes.
    fn arguments(
        &mut self,
        (name, min, max): (&str, usize, usize),
        start: usize,
    ) -> Result<Vec<Node>, ExpressionError> {
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                arguments.push(self.expression()?);
                if self.takes(")") {
                    break;
                }
                self.expect(",", "a , or a closing )")?;
            }
        }
        let found = arguments.len();
        if (min..=max).contains(&found) {
            return Ok(arguments);
        }
        let range = if min == max { min.to_string() } else { format!("{min} to {max}") };
        let wanted = format!("wanted {range} arguments of {name}, found {found}");
        Err(ExpressionError { at: start, wanted })
    }

    /// `x, "a" => "b", 3 => "c", _ => "d")`.
    fn map(&mut self) -> Parsed {
        let of = Box::new(self.expression()?);
        let (mut arms, mut otherwise) = (Vec::new(), None);
        while !self.takes(")") {
            self.expect(",", "a , or a closing )")?;
            if self.takes_word("_") {
                self.expect("=>", "a =>")?;
                otherwise = Some(Box::new(self.expression()?));
                self.expect(")", "a closing ) after what _ stands for")?;
                break;
            }
            self.blanks();
            let (start, term) = (self.at, self.term()?);
            let Node::Literal(from) = term else {
                let wanted = "wanted a text or a number before =>, found something else".to_owned();
                return Err(ExpressionError { at: start, wanted });
            };
            self.expect("=>", "a =>")?;
            arms.push((from, self.expression()?));
        }
        Ok(Node::Map { of, arms, otherwise })
    }
}
