//! `jetlag new`: a function's crate from a template.

use std::path::Path;

use clap::Args;

use super::{Format, print};
use crate::console::Console;
use crate::problem::Problem;
use crate::scaffold::{self, Made, Order};

/// Make the crate of a new function
///
/// In a Cargo workspace it is put beside the other functions, and `up`, `invoke` and `manifests` find it there: nothing else
/// has to be edited. Elsewhere, or with --alone, it is a crate of its own in a directory of its name. It has a contract, a
/// handler, an example event and a test that passes; what it does is written in its src/lib.rs. If anything is wrong,
/// nothing is written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct New {
    /// Its name: lower-case letters, digits and -, at most 40
    #[arg(value_name = "NAME")]
    name: String,

    /// The type of event that it listens to: one that the workspace knows, or a new one [default: NAME.requested]
    #[arg(long, value_name = "TYPE")]
    listens: Option<String>,

    /// The type of event that it emits: one that the workspace knows, or a new one
    #[arg(long, value_name = "TYPE")]
    emits: Option<String>,

    /// It keeps state
    #[arg(long)]
    state: bool,

    /// Make a crate of its own here, whatever workspace is around it
    #[arg(long)]
    alone: bool,

    /// Where the crate jetlag comes from, if the workspace does not say so: its directory, or a git repository
    #[arg(long, value_name = "PATH|URL")]
    jetlag: Option<String>,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  jetlag new loyalty --listens orders.confirmed --emits points.earned --state
  jetlag new stock-alarm --listens inventory.rejected
  jetlag new greeter --alone --jetlag ../jetlag/runtime      a crate of its own

Exit codes:
  0 made    64 a name or a type that cannot be    66 --jetlag is not the crate    73 it cannot be written
  78 it is there already, or no workspace has it";

impl New {
    /// Makes it, and says what comes next.
    ///
    /// # Errors
    /// Nothing was made.
    pub async fn run(self, _: Console) -> Result<(), Problem> {
        let Self { name, listens, emits, state, alone, jetlag, output } = self;
        let made = scaffold::make(&Order { name, listens, emits, state, alone, jetlag }).await?;
        print(output, || text(&made), &made)
    }
}

fn text(made: &Made) -> String {
    let Made { function, directory, files, changed, left } = made;
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
    let mut text = String::new();
    for file in files {
        let note = if file.ends_with("src/lib.rs") { "    what it does is written here" } else { "" };
        text.push_str(&format!("made     {}{note}\n", shown(&directory.join(file))));
    }
    for path in changed {
        text.push_str(&format!("changed  {}\n", shown(path)));
    }
    for sentence in left {
        text.push_str(&format!("left     {sentence}\n"));
    }
    let go = if files.iter().any(|file| file.ends_with("jetlag.yaml")) {
        format!("  cd {}\n", shown(directory))
    } else {
        String::new()
    };
    text.push_str(&format!(
        "\nNext:\n{go}  cargo test --package {function}\n  jetlag invoke {function}\n  jetlag up\n"
    ));
    text
}
