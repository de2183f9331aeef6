//! Configuration from environment variables: every variable documented where it is read, every fault told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The environment as a function reads it at start.
///
/// Each read names the variable, says what it is for, and notes what is wrong with it instead of failing, so that all
/// faults are reported together. Constructors that take an `&mut Environment` must not do any work with the values:
/// they are also run to write `--help`, with nothing set.
pub struct Environment {
    lookup: Box<Lookup>,
    variables: Vec<Variable>,
    faults: Vec<String>,
}

type Lookup = dyn Fn(&str) -> Option<String>;

/// A variable that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What stands in for it, if it is not required.
    pub default: Option<String>,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// A value that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being shown.
    pub const fn of(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// An environment of given variables, for tests.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::new(move |name| variables.get(name).cloned())
    }

    fn new(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { lookup: Box::new(lookup), variables: Vec::new(), faults: Vec::new() }
    }

    /// A required text. If it is missing the fault is noted and the result is empty.
    pub fn text(&mut self, name: &'static str, about: &'static str) -> String {
        self.required(name, about).unwrap_or_default()
    }

    /// A text that may be left out.
    pub fn text_or(&mut self, name: &'static str, default: &str, about: &'static str) -> String {
        self.optional(name, Some(default), about).unwrap_or_else(|| default.into())
    }

    /// A text that may be left out, with nothing in its place.
    pub fn text_if_set(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        self.optional(name, None, about)
    }

    /// A required secret.
    pub fn secret(&mut self, name: &'static str, about: &'static str) -> Secret {
        let value = self.required(name, about).unwrap_or_default();
        self.is_secret();
        Secret(value)
    }

    /// A secret that may be left out.
    pub fn secret_if_set(&mut self, name: &'static str, about: &'static str) -> Option<Secret> {
        let value = self.optional(name, None, about);
        self.is_secret();
        value.map(Secret)
    }

    /// A value that is parsed, and may be left out.
    pub fn parsed_or<T>(&mut self, name: &'static str, default: T, about: &'static str) -> T
    where
        T: FromStr + ToString,
        T::Err: fmt::Display,
    {
        let text = self.optional(name, Some(&default.to_string()), about);
        match text.map(|text| (text.parse(), text)) {
            None => default,
            Some((Ok(value), _)) => value,
            Some((Err(error), text)) => {
                self.fault(name, format_args!("{text:?} cannot be read: {error}"));
                default
            }
        }
    }

    /// A variable that somebody else reads and documents, as far as it is set.
    pub(crate) fn of_others(&self, name: &str) -> Option<String> {
        self.value(name)
    }

    /// Notes what is wrong with the value of `name`.
    pub fn fault(&mut self, name: &str, why: impl fmt::Display) {
        self.faults.push(format!("{name}: {why}"));
    }

    /// Everything that is wrong so far, each in one line.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Every variable that was asked for so far.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The variable that was asked for last is a secret.
    fn is_secret(&mut self) {
        if let Some(variable) = self.variables.last_mut() {
            variable.secret = true;
        }
    }

    fn required(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        self.variables.push(Variable { name, about, default: None, secret: false });
        let value = self.value(name);
        if value.is_none() {
            self.fault(name, format_args!("is not set ({about})"));
        }
        value
    }

    fn optional(&mut self, name: &'static str, default: Option<&str>, about: &'static str) -> Option<String> {
        let default = Some(default.unwrap_or_default().into());
        self.variables.push(Variable { name, about, default, secret: false });
        self.value(name)
    }

    /// A variable that is set to nothing counts as not set, as Kubernetes manifests leave them.
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_at_once_and_defaults_stand_in() {
        let mut env = Environment::of([("PORT", "eighty"), ("EMPTY", "")]);
        assert_eq!(env.parsed_or("PORT", 8080, "port"), 8080);
        assert_eq!(env.text("EMPTY", "a url"), "");
        assert_eq!(env.secret("KEY", "a key"), Secret::default());
        assert_eq!(env.text_or("MODE", "stream", "mode"), "stream");
        assert_eq!(env.faults().len(), 3, "{:?}", env.faults());
        assert_eq!(env.variables().len(), 4);
        assert!(env.variables().iter().all(|variable| variable.secret == (variable.name == "KEY")));
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Environment::of([("KEY", "s3")]).secret("KEY", "")), "***");
    }
}
