//! Kafka's topic filters: regular expressions in its tools. Understood here: names, `.`, `*` after `.`, `|`, `,` (which
//! Kafka reads as `|`), and a backslash before a character that shall mean itself.

use raftsman_types::is_internal_topic;

/// Which topics a `--topic` argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilter {
    alternatives: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(char),
    AnyOne,
    Anything,
}

impl TopicFilter {
    /// Reads a filter. `None` if it uses more of regular expressions than is understood.
    pub fn parse(text: &str) -> Option<TopicFilter> {
        let mut alternatives = vec![Vec::new()];
        let mut rest = text.trim().trim_matches(['"', '\'']).chars().peekable();
        while let Some(c) = rest.next() {
            let piece = match c {
                '|' | ',' => {
                    alternatives.push(Vec::new());
                    continue;
                }
                '.' if rest.next_if_eq(&'*').is_some() => Piece::Anything,
                '.' => Piece::AnyOne,
                '\\' => Piece::Literal(rest.next()?),
                ' ' => continue,
                c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') => Piece::Literal(c),
                _ => return None,
            };
            alternatives.last_mut()?.push(piece);
        }
        Some(TopicFilter { alternatives })
    }

    /// Whether it names a topic.
    pub fn matches(&self, topic: &str) -> bool {
        let name: Vec<char> = topic.chars().collect();
        self.alternatives.iter().any(|pieces| matches(pieces, &name))
    }
}

fn matches(pieces: &[Piece], name: &[char]) -> bool {
    // `reached[i]`: the pieces so far can have taken the first i characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; name.len() + 1];
        for i in (0..=name.len()).filter(|i| reached[*i]) {
            match piece {
                Piece::Anything => next[i..].fill(true),
                Piece::AnyOne if i < name.len() => next[i + 1] = true,
                Piece::Literal(c) if name.get(i) == Some(c) => next[i + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[name.len()]
}

/// The topics of `all` that a `--topic` argument names, sorted; without an argument all of them.
pub fn chosen<'a>(
    all: impl Iterator<Item = &'a str>,
    wanted: Option<&TopicFilter>,
    exclude_internal: bool,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = all
        .filter(|name| !(exclude_internal && is_internal_topic(name)))
        .filter(|name| wanted.is_none_or(|filter| filter.matches(name)))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_as_kafka_reads_them() {
        for (filter, yes, no) in [
            ("orders", "orders", "orders2"),
            ("orders.*", "orders.v1", "my-orders"),
            (".*", "anything", ""),
            ("a|b", "b", "c"),
            ("a, b", "b", "ab"),
            ("a.c", "abc", "ac"),
            ("a\\.c", "a.c", "abc"),
            (".*-dlq", "x-y-dlq", "x-dlq-y"),
        ] {
            let parsed = TopicFilter::parse(filter).unwrap();
            assert!(parsed.matches(yes), "{filter} {yes}");
            assert!(no.is_empty() || !parsed.matches(no), "{filter} {no}");
        }
        assert_eq!(TopicFilter::parse("[a-z]+"), None);
    }

    #[test]
    fn internal_topics_can_be_left_out() {
        let all = ["b", "__consumer_offsets", "a"];
        assert_eq!(chosen(all.into_iter(), None, true), ["a", "b"]);
        assert_eq!(chosen(all.into_iter(), None, false), ["__consumer_offsets", "a", "b"]);
    }
}
