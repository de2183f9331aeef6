//! How many instructions the core needs for one input, from delivery to acknowledgement: counted by valgrind, so that
//! another program on the machine changes nothing. `cargo instructions` compares with the committed baseline, `--renew`
//! writes it anew, `--profile DIR` keeps what callgrind_annotate reads.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test")]

mod baseline;
mod count;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use baseline::{Baseline, TOLERANCE_PERMILLE};
use count::Counter;
use work::PATHS;

const USAGE: &str = "cargo instructions [--renew] [--profile DIR]";
/// What this program is told by itself, when valgrind runs it: `work PATH INPUTS`.
const WORK: &str = "work";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, path, inputs] = arguments.as_slice()
        && word == WORK
    {
        work::run(path, inputs.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let (mut renew, mut profile) = (false, None);
    let mut left = arguments.into_iter();
    while let Some(argument) = left.next() {
        match (argument.as_str(), left.len()) {
            ("--renew", _) => renew = true,
            ("--profile", 1..) => profile = left.next().map(PathBuf::from),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let counter = match Counter::new(profile) {
        Ok(counter) => counter,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let counted =
        Baseline(PATHS.iter().map(|path| (path.name.to_owned(), counter.count(path.name))).collect());
    if renew {
        counted.write();
    }
    let (text, is_worse) = counted.against(&Baseline::read());
    print!("{text}");
    if is_worse {
        eprintln!(
            "a path needs more than {}.{} % more instructions than the baseline: `cargo instructions --profile DIR` and \
             callgrind_annotate say where; if it is worth it, `cargo instructions --renew` and commit",
            TOLERANCE_PERMILLE / 10,
            TOLERANCE_PERMILLE % 10
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
