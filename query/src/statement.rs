//! [`Source`]: the text of one statement, and what it may be.
//!
//! Invariant (Q1): what passes [`Source::parse`] is one statement, only reads, and is small and flat
//! enough to be planned on a stack of [`STACK_BYTES`].
//!
//! Source of the limits: chains such as `1+1+…` overflow the planner's stack at about 2,000 terms on
//! 2 MiB (DataFusion issue 22229); a chain of [`CHAIN_MAX`] stays under a thirtieth of ours.

mod reads;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::{Place, QueryError, Spot};

/// Stack of the thread that parses and plans, in bytes.
pub(crate) const STACK_BYTES: usize = 64 << 20;
/// Longest statement in bytes.
const BYTES_MAX: usize = 256 << 10;
/// Most words and signs in a statement.
const TOKENS_MAX: usize = 50_000;
/// Most operators in one expression without parentheses or commas between them.
const CHAIN_MAX: usize = 1_000;
/// Deepest nesting of parentheses and subqueries.
pub(crate) const NESTING_MAX: usize = 64;
/// Most tables in one statement, with each name of a WITH replaced by what it stands for.
const RELATIONS_MAX: u64 = 64;
/// Most grouping sets of one SELECT: a CUBE of eight columns.
const GROUPING_SETS_MAX: u64 = 256;
/// Most column names in one expression, with each name of a subquery's column replaced by the
/// expression it stands for: so does the planner, and a statement of 60 levels that doubles a column
/// in each has 2^60 of them.
const EXPANDED_MAX: u64 = 100_000;

/// The text of one statement, cut into tokens.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    tokens: Vec<TokenWithSpan>,
}

impl Source {
    /// # Errors
    ///
    /// [`QueryError::TooLarge`], or [`QueryError::Syntax`] for an open quote or comment.
    pub(crate) fn new(text: &str) -> Result<Self, QueryError> {
        let bytes = text.trim().len();
        if BYTES_MAX < bytes {
            return Err(QueryError::TooLarge { what: "bytes", max: BYTES_MAX, found: bytes });
        }
        let tokens = tokenize(text)?;
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// The statement, if it may run.
    ///
    /// # Errors
    ///
    /// [`QueryError::Syntax`], [`QueryError::ReadOnly`], [`QueryError::TooLarge`], or
    /// [`QueryError::Invalid`] for more than one statement.
    pub(crate) fn parse(&self) -> Result<Statement, QueryError> {
        let words: Vec<_> = self.tokens.iter().filter(|one| !is_space(&one.token)).collect();
        let end = words.iter().position(|one| one.token == Token::SemiColon).unwrap_or(words.len());
        if let Some(second) = words[end..].iter().find(|one| one.token != Token::SemiColon) {
            let spot = Some(self.spot(place(second)));
            return Err(QueryError::Invalid {
                message: "one statement at a time".to_owned(),
                spot,
            });
        }
        let Some(first) = words.first().filter(|_| 0 < end) else {
            return Err(QueryError::Syntax {
                spot: self.spot(self.end()),
                message: "wanted a statement".to_owned(),
            });
        };
        if let Token::Word(word) = &first.token
            && word.keyword != Keyword::NoKeyword
            && !READING.contains(&word.keyword)
        {
            return Err(QueryError::ReadOnly { statement: word.value.to_uppercase() });
        }
        check_size(words.len(), longest_chain(&words))?;
        let parsed = DFParserBuilder::new(self.tokens.clone())
            .with_dialect(&GenericDialect {})
            .with_recursion_limit(NESTING_MAX)
            .build()
            .and_then(|mut parser| parser.parse_statements());
        let mut statements = parsed.map_err(|error| {
            crate::error::explain(&error, self, &crate::error::Names::default())
        })?;
        match statements.pop_front() {
            Some(statement) if statements.is_empty() => {
                reads::check(&statement)?;
                Ok(statement)
            }
            _ => Err(QueryError::Invalid {
                message: "one statement at a time".to_owned(),
                spot: None,
            }),
        }
    }

    /// Where `name` stands in the statement for the first time.
    pub(crate) fn find(&self, name: &str) -> Option<Spot> {
        let is_name = |token: &Token| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(name));
        let token = self.tokens.iter().find(|one| is_name(&one.token))?;
        Some(self.spot(place(token)))
    }

    /// The end of the text.
    pub(crate) fn end(&self) -> Place {
        let text = self.text.trim_end();
        let line = text.lines().count().max(1) as u64;
        let column = text.lines().last().map_or(0, |last| last.chars().count()) as u64 + 1;
        Place { line, column }
    }

    /// The line of `place` with a caret under its column.
    pub(crate) fn spot(&self, place: Place) -> Spot {
        let line = usize::try_from(place.line.max(1) - 1).unwrap_or(usize::MAX);
        let text = self.text.lines().nth(line).unwrap_or_default();
        let column = usize::try_from(place.column.max(1) - 1).unwrap_or(usize::MAX);
        // A long line is shown around the place only.
        let start = column.saturating_sub(60);
        let shown: String = text
            .chars()
            .skip(start)
            .take(100)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let excerpt = format!("  | {shown}\n  | {}^", " ".repeat(column - start));
        Spot { place, excerpt }
    }
}

/// The statements of a file. Each keeps its place: what stood before it is blank, so that the line
/// and column of an error are those of the file.
///
/// # Errors
///
/// [`QueryError::Syntax`] for an open quote or comment.
pub fn split_statements(text: &str) -> Result<Vec<String>, QueryError> {
    let lines: Vec<&str> = text.split('\n').collect();
    let offsets: Vec<usize> = lines
        .iter()
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some(start)
        })
        .collect();
    let byte_of = |place: Place| {
        let line = usize::try_from(place.line - 1).unwrap_or(usize::MAX).min(lines.len() - 1);
        let column = usize::try_from(place.column - 1).unwrap_or(usize::MAX);
        let within = lines[line].char_indices().nth(column).map_or(lines[line].len(), |(at, _)| at);
        offsets[line] + within
    };
    let mut statements = Vec::new();
    let mut first: Option<Place> = None;
    for token in tokenize(text)? {
        let at = place(&token);
        match (&token.token, first) {
            (Token::SemiColon, Some(start)) => {
                statements.push(padded(start, &text[byte_of(start)..byte_of(at)]));
                first = None;
            }
            (Token::SemiColon, None) => {}
            (other, None) if !is_space(other) => first = Some(at),
            _ => {}
        }
    }
    if let Some(start) = first {
        statements.push(padded(start, text[byte_of(start)..].trim_end()));
    }
    Ok(statements)
}

fn padded(start: Place, text: &str) -> String {
    let blank = |count: u64| usize::try_from(count - 1).unwrap_or(0);
    format!("{}{}{text}", "\n".repeat(blank(start.line)), " ".repeat(blank(start.column)))
}

/// Words with which a statement that only reads begins.
const READING: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::WITH,
    Keyword::VALUES,
    Keyword::TABLE,
    Keyword::FROM,
    Keyword::EXPLAIN,
    Keyword::DESCRIBE,
    Keyword::DESC,
    Keyword::SHOW,
];

fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().map_err(|error| {
        let source = Source { text: text.to_owned(), tokens: Vec::new() };
        let place = Place { line: error.location.line, column: error.location.column };
        QueryError::Syntax { spot: source.spot(place), message: error.message.to_lowercase() }
    })
}

fn place(token: &TokenWithSpan) -> Place {
    Place { line: token.span.start.line, column: token.span.start.column }
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn check_size(tokens: usize, chain: usize) -> Result<(), QueryError> {
    if TOKENS_MAX < tokens {
        return Err(QueryError::TooLarge {
            what: "words and signs",
            max: TOKENS_MAX,
            found: tokens,
        });
    }
    if CHAIN_MAX < chain {
        return Err(QueryError::TooLarge {
            what: "operators in one expression",
            max: CHAIN_MAX,
            found: chain,
        });
    }
    Ok(())
}

/// What a token adds to the chain of operators it stands in.
enum Link {
    /// One level more.
    Operator,
    Open,
    Close,
    /// A new expression begins.
    Border,
    Operand,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other sign is an operator, or as rare as one"
)]
fn link(token: &Token) -> Link {
    match token {
        Token::LParen => Link::Open,
        Token::RParen => Link::Close,
        Token::Comma => Link::Border,
        Token::Word(word) if BORDERS.contains(&word.keyword) => Link::Border,
        Token::Word(word) if OPERATORS.contains(&word.keyword) => Link::Operator,
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Period => {
            Link::Operand
        }
        _ => Link::Operator,
    }
}

const BORDERS: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::ORDER,
    Keyword::HAVING,
    Keyword::ON,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
];

const OPERATORS: &[Keyword] = &[
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IS,
    Keyword::IN,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::SIMILAR,
    Keyword::BETWEEN,
    Keyword::CASE,
    Keyword::XOR,
    Keyword::DIV,
    Keyword::AT,
    Keyword::COLLATE,
];

/// Set operations, counted over the whole statement: `SELECT` between them is no border to the planner.
const SETS: &[Keyword] = &[Keyword::UNION, Keyword::EXCEPT, Keyword::INTERSECT];

fn longest_chain(words: &[&TokenWithSpan]) -> usize {
    let (mut longest, mut sets) = (0, 0);
    let mut chains = vec![0];
    for word in words {
        let top = chains.last_mut().expect("the first chain is never closed");
        match link(&word.token) {
            Link::Operator => *top += 1,
            Link::Border => *top = 0,
            Link::Open => chains.push(0),
            Link::Close if 1 < chains.len() => {
                chains.pop();
            }
            Link::Close | Link::Operand => {}
        }
        longest = longest.max(*chains.last().expect("the first chain is never closed"));
        if matches!(&word.token, Token::Word(one) if SETS.contains(&one.keyword)) {
            // A branch of a set operation weighs as much as ten operators.
            sets += 10;
        }
    }
    longest.max(sets)
}
