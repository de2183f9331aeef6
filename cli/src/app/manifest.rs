//! `jetlag.yaml`: what runs beside the functions, and what the functions are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keda::Deploy;
use serde::Deserialize;
use serde_yaml::Spanned;

use super::template::Template;
use crate::problem::{Exit, Problem};

/// The name of the file.
pub(crate) const FILE: &str = "jetlag.yaml";
/// A manifest has a few dozen lines.
const SIZE_LIMIT_BYTES: u64 = 1024 * 1024;

/// The manifest, read and checked.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: PathBuf,
    pub(crate) companions: BTreeMap<String, CompanionEntry>,
    pub(crate) functions: BTreeMap<String, FunctionEntry>,
    /// Where the functions run elsewhere.
    pub(crate) deploy: Deploy,
}

/// A process beside the functions.
#[derive(Debug, Clone)]
pub(crate) struct CompanionEntry {
    pub(crate) program: Program,
    pub(crate) args: Vec<Template>,
    pub(crate) env: BTreeMap<String, Template>,
    /// The schemes of the addresses that it must announce before it is up.
    pub(crate) schemes: BTreeSet<&'static str>,
}

/// What a function gets in addition to what is discovered.
#[derive(Debug)]
pub(crate) struct FunctionEntry {
    pub(crate) env: BTreeMap<String, Template>,
    /// Where it stands in the file.
    pub(crate) line: u64,
}

/// What a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// A binary of a Cargo package of this workspace.
    Bin {
        /// The package.
        package: String,
        /// The binary in it.
        bin: String,
    },
    /// A path, relative to the manifest, or a name on the search path.
    Command(PathBuf),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawManifest {
    companions: BTreeMap<String, Spanned<RawCompanion>>,
    functions: BTreeMap<String, Spanned<RawFunction>>,
    deploy: Deploy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCompanion {
    package: Option<String>,
    bin: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<Spanned<String>>,
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFunction {
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
}

impl Manifest {
    /// Finds the manifest in `from` or above.
    ///
    /// # Errors
    /// There is none (78).
    pub(crate) fn find(from: &Path) -> Result<PathBuf, Problem> {
        from.ancestors().map(|directory| directory.join(FILE)).find(|path| path.is_file()).ok_or_else(|| {
            Problem::new(Exit::Config, format!("no {FILE} in `{}` or above", from.display()))
                .remedy("go to your application, or name the file with --app FILE; an empty file in the root of a Cargo workspace will do")
        })
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// It cannot be read (66), or it is wrong (78): the message names the line.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let unreadable = |error: std::io::Error| {
            Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display())).because(error)
        };
        let path = &std::path::absolute(path).map_err(unreadable)?;
        let size_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if size_bytes > SIZE_LIMIT_BYTES {
            let what = format!("`{}` has {size_bytes} bytes, more than {SIZE_LIMIT_BYTES}", path.display());
            return Err(Problem::new(Exit::Config, what));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        // A file of nothing but comments is a manifest that says nothing.
        let says_nothing =
            text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        let raw = if says_nothing { Ok(RawManifest::default()) } else { serde_yaml::from_str(text) };
        let raw: RawManifest = raw.map_err(|error| not_yaml(path, &error))?;
        let reader = Reader { path };
        let companions = raw
            .companions
            .into_iter()
            .map(|(name, entry)| Ok((name.clone(), reader.companion(&name, entry)?)))
            .collect::<Result<BTreeMap<_, _>, Problem>>()?;
        let functions = raw
            .functions
            .into_iter()
            .map(|(name, entry)| Ok((name, reader.function(entry, &companions)?)))
            .collect::<Result<BTreeMap<_, _>, Problem>>()?;
        let mut manifest = Self { path: path.to_owned(), companions, functions, deploy: raw.deploy };
        manifest.ask_for_schemes();
        Ok(manifest)
    }

    /// A companion is up when it has announced every address that somebody uses.
    fn ask_for_schemes(&mut self) {
        for function in self.functions.values() {
            for (name, scheme) in function.env.values().flat_map(Template::companions) {
                if let Some(companion) = self.companions.get_mut(name) {
                    companion.schemes.insert(scheme);
                }
            }
        }
    }
}

/// Reads the entries of the file at `path`, whose name every error carries.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn companion(&self, name: &str, entry: Spanned<RawCompanion>) -> Result<CompanionEntry, Problem> {
        let line = entry.referenced.line();
        let raw = entry.value;
        let program = match (raw.package, raw.bin, raw.command) {
            (Some(package), bin, None) => {
                Program::Bin { bin: bin.unwrap_or_else(|| package.clone()), package }
            }
            (None, None, Some(command)) => Program::Command(self.resolved(&command)),
            _ => {
                let why = format!("companion `{name}` needs either `package` (and `bin`) or `command`");
                return Err(self.wrong(line, &why));
            }
        };
        let args = raw.args.iter().map(|arg| self.template(arg)).collect::<Result<Vec<_>, _>>()?;
        let env = self.environment(&raw.env)?;
        if let Some((other, _)) = args.iter().chain(env.values()).flat_map(Template::companions).next() {
            let why = format!("companion `{name}` cannot refer to `{other}`: companions start together");
            return Err(self.wrong(line, &why));
        }
        let mut schemes: BTreeSet<_> = args.iter().chain(env.values()).flat_map(Template::listens).collect();
        if schemes.is_empty() {
            schemes.insert("http");
        }
        Ok(CompanionEntry { program, args, env, schemes })
    }

    fn function(
        &self,
        entry: Spanned<RawFunction>,
        companions: &BTreeMap<String, CompanionEntry>,
    ) -> Result<FunctionEntry, Problem> {
        let line = entry.referenced.line();
        let raw = entry.value;
        let env = self.environment(&raw.env)?;
        for (variable, template) in &env {
            let line = raw.env.get(variable).map_or(line, |value| value.referenced.line());
            if let Some((name, _)) = template.companions().find(|(name, _)| !companions.contains_key(*name)) {
                return Err(self
                    .wrong(line, &format!("{variable} refers to `{name}`, and there is no such companion")));
            }
            if template.listens().next().is_some() {
                return Err(
                    self.wrong(line, &format!("{variable}: a function listens on PORT, not on {{listen.…}}"))
                );
            }
        }
        Ok(FunctionEntry { env, line })
    }

    fn environment(
        &self,
        raw: &BTreeMap<String, Spanned<String>>,
    ) -> Result<BTreeMap<String, Template>, Problem> {
        raw.iter().map(|(name, value)| Ok((name.clone(), self.template(value)?))).collect()
    }

    fn template(&self, value: &Spanned<String>) -> Result<Template, Problem> {
        Template::parse(&value.value).map_err(|why| self.wrong(value.referenced.line(), &why))
    }

    fn resolved(&self, command: &str) -> PathBuf {
        match self.path.parent() {
            Some(root) if command.contains('/') => root.join(command),
            _ => PathBuf::from(command),
        }
    }

    fn wrong(&self, line: u64, why: &str) -> Problem {
        Problem::new(Exit::Config, format!("{}:{line}: {why}", self.path.display()))
    }
}

fn not_yaml(path: &Path, error: &serde_yaml::Error) -> Problem {
    let line = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
    let why = error.without_snippet().to_string();
    Problem::new(Exit::Config, format!("{}{line}: {why}", path.display()))
        .remedy("a value that begins with a brace must be quoted, as in \"{gateway.url}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Manifest, String> {
        Manifest::parse(Path::new("/app/jetlag.yaml"), text).map_err(|problem| {
            assert_eq!(problem.exit(), Exit::Config);
            problem.to_string()
        })
    }

    const WHOLE: &str = r#"
# The outside world.
companions:
  gateway:
    package: world
    bin: gateway
    args: [--listen, "{listen.http}", --data, "{data}/gateway.jsonl"]
  mail:
    command: ./mail.py
functions:
  payment:
    env:
      PAYMENT_GATEWAY_URL: "{gateway.url}"
  notification:
    env:
      NOTIFY_URL: "{mail.smtp}"
"#;

    #[test]
    fn a_manifest_is_read() {
        let manifest = parsed(WHOLE).unwrap();
        let gateway = &manifest.companions["gateway"];
        assert_eq!(gateway.program, Program::Bin { package: "world".into(), bin: "gateway".into() });
        assert_eq!(gateway.schemes, BTreeSet::from(["http"]));
        let mail = &manifest.companions["mail"];
        assert_eq!(mail.program, Program::Command("/app/./mail.py".into()));
        assert!(mail.schemes.contains("smtp"));
        assert_eq!(manifest.functions["payment"].env.len(), 1);
    }

    #[test]
    fn an_empty_manifest_says_nothing() {
        assert!(parsed("").unwrap().functions.is_empty());
        assert!(parsed("# nothing yet\n").unwrap().companions.is_empty());
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let unknown = parsed("functions:\n  payment:\n    enviroment: {}\n").unwrap_err();
        assert!(unknown.starts_with("/app/jetlag.yaml:3:") && unknown.contains("enviroment"), "{unknown}");
        let top = parsed("companion: {}\n").unwrap_err();
        assert!(top.starts_with("/app/jetlag.yaml:1:") && top.contains("companion"), "{top}");
        let stranger = parsed(&WHOLE.replace("{gateway.url}", "{bank.url}")).unwrap_err();
        assert!(
            stranger.starts_with("/app/jetlag.yaml:13: PAYMENT_GATEWAY_URL refers to `bank`"),
            "{stranger}"
        );
        let template = parsed(&WHOLE.replace("{data}", "{date}")).unwrap_err();
        assert!(template.starts_with("/app/jetlag.yaml:7: `{date}` is no placeholder"), "{template}");
        let both = parsed(&WHOLE.replace("command: ./mail.py", "command: x\n    bin: y")).unwrap_err();
        assert!(both.contains("either `package`"), "{both}");
        let unquoted = parsed(&WHOLE.replace("\"{gateway.url}\"", "{gateway.url}")).unwrap_err();
        assert!(unquoted.starts_with("/app/jetlag.yaml:13:"), "{unquoted}");
        let setting = parsed("deploy:\n  broker:\n    uri: nats://x:4222\n").unwrap_err();
        assert!(setting.starts_with("/app/jetlag.yaml:3:") && setting.contains("uri"), "{setting}");
        let size = parsed("deploy:\n  streams: {max_bytes: 8GB}\n").unwrap_err();
        assert!(size.starts_with("/app/jetlag.yaml:2:") && size.contains("512Mi"), "{size}");
        let twice = parsed("functions: {}\nfunctions: {}\n").unwrap_err();
        assert!(twice.starts_with("/app/jetlag.yaml:2:"), "{twice}");
    }
}
