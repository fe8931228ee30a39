//! [`parse`]: our own page of HTML as a tree.
//!
//! Invariant: it reads what `html/markup.rs` writes, in which every value is escaped and every element
//! that is no [`VOID`] is closed; on anything else it loses no text.

/// Elements without content.
const VOID: [&str; 5] = ["br", "meta", "rect", "line", "hr"];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Element(Element),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(one, _)| one == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn class(&self) -> &str {
        self.attribute("class")
    }

    pub(super) fn has_class(&self, class: &str) -> bool {
        self.class().split(' ').any(|one| one == class)
    }

    /// A coordinate of a plot.
    pub(super) fn number(&self, name: &str) -> f32 {
        self.attribute(name).parse().unwrap_or(0.0)
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|one| one.name == name)
    }

    /// All text in it.
    pub(super) fn text(&self) -> String {
        let text = |node: &Node| match node {
            Node::Text(text) => text.clone(),
            Node::Element(element) => element.text(),
        };
        self.children.iter().map(text).collect()
    }
}

/// The title and the body of a page.
pub(super) fn parse(page: &str) -> (String, Element) {
    let title = between(page, "<title>", "</title>").map(unescaped).unwrap_or_default();
    let body = between(page, "<body>", "</body>").unwrap_or(page);
    let mut open = vec![Element::default()];
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        add_text(&mut open, &rest[..start]);
        let Some(end) = rest[start..].find('>') else {
            rest = "";
            break;
        };
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        if tag.starts_with('/') {
            close(&mut open);
            continue;
        }
        let element = opened(tag.trim_end_matches('/'));
        if VOID.contains(&element.name.as_str()) {
            add(&mut open, Node::Element(element));
        } else {
            open.push(element);
        }
    }
    add_text(&mut open, rest);
    while 1 < open.len() {
        close(&mut open);
    }
    (title, open.pop().unwrap_or_default())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

fn add(open: &mut [Element], node: Node) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(node);
    }
}

fn add_text(open: &mut [Element], text: &str) {
    if !text.is_empty() {
        add(open, Node::Text(unescaped(text)));
    }
}

fn close(open: &mut Vec<Element>) {
    if 1 < open.len()
        && let Some(done) = open.pop()
    {
        add(open, Node::Element(done));
    }
}

/// `name key="value" key="value"`.
fn opened(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = Vec::new();
    while let Some((key, more)) = rest.split_once("=\"") {
        let Some((value, more)) = more.split_once('"') else { break };
        attributes.push((key.trim().to_owned(), unescaped(value)));
        rest = more;
    }
    Element { name: name.to_owned(), attributes, children: Vec::new() }
}

const ENTITIES: [(&str, char); 9] = [
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&quot;", '"'),
    ("&#39;", '\''),
    ("&ndash;", '\u{2013}'),
    ("&rarr;", '\u{2192}'),
    ("&nbsp;", '\u{a0}'),
    ("&ensp;", '\u{2002}'),
];

fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
        let (taken, character) = known.map_or((1, '&'), |(entity, one)| (entity.len(), *one));
        plain.push(character);
        rest = &rest[taken..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_tree_and_values_are_texts() {
        let page = "<title>a &amp; b</title><body><p class=\"note big\">x<br>&lt;b&gt; <b>y</b></p></body>";

        let (title, body) = parse(page);

        assert_eq!(title, "a & b");
        let p = body.child("p").unwrap();
        assert!(p.has_class("note") && p.has_class("big") && !p.has_class("not"));
        assert_eq!(p.text(), "x<b> y");
        assert_eq!(p.children.len(), 4);
    }

    #[test]
    fn what_is_not_closed_loses_no_text() {
        for page in ["<p>one<b>two", "one</b>two", "<p>onetwo<"] {
            assert_eq!(parse(page).1.text(), "onetwo", "{page}");
        }
    }
}
