//! `{gateway.url}` and the like, in the values of the manifest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::supervisor::Addresses;

/// A value of the manifest, with its placeholders read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `{data}`: the data directory, absolute.
    Data,
    /// `{gateway.url}`, `{receiver.smtp}`: where a companion listens.
    Companion {
        name: String,
        scheme: &'static str,
    },
    /// `{listen.http}`, `{listen.smtp}`: where this companion is to listen, as `host:port`.
    Listen {
        scheme: &'static str,
    },
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) data: &'a Path,
    /// The addresses of the companions that are up.
    pub(crate) companions: &'a BTreeMap<String, Addresses>,
    /// The addresses of the earlier life of this very companion.
    pub(crate) earlier: &'a Addresses,
}

impl Template {
    /// Reads a value. `{{` and `}}` stand for braces. The error is one clause for the reader.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                plain.extend(brace.chars().take(1));
                rest = after;
                continue;
            }
            let closed = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) = closed
                .ok_or_else(|| format!("a brace without its other in `{text}` (write {{{{ for a brace)"))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::parse(name)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The companions that it names, each with the scheme of the address.
    pub(crate) fn companions(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().filter_map(|part| match part {
            Part::Companion { name, scheme } => Some((name.as_str(), *scheme)),
            _ => None,
        })
    }

    /// The schemes that it asks this companion to listen on.
    pub(crate) fn listens(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|part| match part {
            Part::Listen { scheme } => Some(*scheme),
            _ => None,
        })
    }

    /// The value. The error is one clause for the reader.
    pub(crate) fn fill(&self, scope: Scope<'_>) -> Result<String, String> {
        self.0.iter().map(|part| part.fill(scope)).collect()
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{{{name}}}` is no placeholder; there are {{data}}, {{NAME.url}}, {{NAME.smtp}} and {{listen.http}}, {{listen.smtp}}"
            )
        };
        if name == "data" {
            return Ok(Self::Data);
        }
        match name.split_once('.').ok_or_else(unknown)? {
            ("listen", "http") => Ok(Self::Listen { scheme: "http" }),
            ("listen", "smtp") => Ok(Self::Listen { scheme: "smtp" }),
            ("listen" | "", _) => Err(unknown()),
            (companion, "url") => Ok(Self::Companion { name: companion.to_owned(), scheme: "http" }),
            (companion, "smtp") => Ok(Self::Companion { name: companion.to_owned(), scheme: "smtp" }),
            _ => Err(unknown()),
        }
    }

    fn fill(&self, scope: Scope<'_>) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Data => Ok(scope.data.display().to_string()),
            Self::Companion { name, scheme } => scope
                .companions
                .get(name)
                .and_then(|addresses| addresses.get(*scheme))
                .cloned()
                .ok_or_else(|| format!("companion `{name}` has not said `listening on {scheme}://…`")),
            Self::Listen { scheme } => {
                let earlier = scope.earlier.get(*scheme).and_then(|url| url.split_once("://"));
                Ok(earlier.map_or_else(|| "127.0.0.1:0".to_owned(), |(_, address)| address.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, earlier: &[(&str, &str)]) -> Result<String, String> {
        let pairs = |pairs: &[(&str, &str)]| -> Addresses {
            pairs.iter().map(|(scheme, url)| ((*scheme).to_owned(), (*url).to_owned())).collect()
        };
        let gateway = pairs(&[("http", "http://127.0.0.1:81")]);
        let companions = BTreeMap::from([("gateway".to_owned(), gateway)]);
        let scope = Scope { data: Path::new("/data"), companions: &companions, earlier: &pairs(earlier) };
        Template::parse(text)?.fill(scope)
    }

    #[test]
    fn placeholders_are_filled_and_double_braces_are_braces() {
        assert_eq!(filled("{gateway.url}/v1", &[]), Ok("http://127.0.0.1:81/v1".to_owned()));
        assert_eq!(filled("{data}/x.jsonl", &[]), Ok("/data/x.jsonl".to_owned()));
        assert_eq!(filled("{{\"a\": 1}}", &[]), Ok("{\"a\": 1}".to_owned()));
        assert_eq!(filled("plain", &[]), Ok("plain".to_owned()));
    }

    #[test]
    fn a_companion_listens_anywhere_first_and_where_it_was_after() {
        assert_eq!(filled("{listen.http}", &[]), Ok("127.0.0.1:0".to_owned()));
        assert_eq!(
            filled("{listen.http}", &[("http", "http://127.0.0.1:99")]),
            Ok("127.0.0.1:99".to_owned())
        );
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for text in ["{gateway}", "{gateway.port}", "{.url}", "{listen.url}", "{data", "data}", "{}"] {
            assert!(filled(text, &[]).is_err(), "{text}");
        }
        assert!(filled("{gateway.smtp}", &[]).unwrap_err().contains("has not said"));
    }
}
