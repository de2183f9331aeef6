//! For tests that wait far more than they work: for time to pass, for a function to notice something. They run side by side,
//! all of a binary, however few cores there are; libtest would run as many at a time as the machine has.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;

/// One test: its name, and what it does.
pub type Case = (&'static str, fn());

/// Those that were started; nothing is left of one whose outcome was asked for.
static STARTED: Mutex<Option<HashMap<&'static str, JoinHandle<()>>>> = Mutex::new(None);

/// Waits for the end of the test `name`, and fails as it does. The first call starts every one of `cases`, unless the
/// command line selects some: then each is started when it is waited for.
///
/// # Panics
/// The test has.
pub fn outcome(name: &'static str, cases: &[Case]) {
    let selects = std::env::args().skip(1).any(|argument| !argument.starts_with('-'));
    let handle = {
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = started.is_none();
        let started = started.get_or_insert_default();
        for (case, run) in cases {
            if if selects { *case == name } else { is_first } {
                started.insert(case, thread::spawn(*run));
            }
        }
        started.remove(name).expect("every test is asked for once")
    };
    if let Err(failed) = handle.join() {
        // What it printed belongs to the test that has started it.
        let told = failed.downcast_ref::<String>().map(String::as_str);
        println!("{}", told.or_else(|| failed.downcast_ref().copied()).unwrap_or_default());
        resume_unwind(failed);
    }
}

/// Runs `case` to its end.
///
/// # Panics
/// It does, or there is no thread for it.
pub fn run(case: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(case);
}

/// Makes a test of each function, all of which run side by side.
#[macro_export]
macro_rules! side_by_side {
    ($($module:ident::$name:ident,)*) => {
        const CASES: &[$crate::together::Case] =
            &[$((stringify!($name), || $crate::together::run($module::$name())),)*];
        $(
            #[test]
            fn $name() {
                $crate::together::outcome(stringify!($name), CASES);
            }
        )*
    };
}
